"""What every test may use: a store of its own, in a folder of its own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import penstock
from penstock.model.runs import Attempt
from penstock.models import trial
from penstock.ports import MetadataStore
from penstock.ports.model_trial import Trial
from penstock.services.heartbeat import Heartbeat
from tests.postgres_server import empty_postgres_url, postgres_server, postgres_template, postgres_url
from tests.prefect_server import prefect_server, server_for_marked_tests

__all__ = [
    "empty_postgres_url",
    "postgres_server",
    "postgres_template",
    "postgres_url",
    "prefect_server",
    "server_for_marked_tests",
]

# One thread: on a busy machine of few cores, numerical libraries spend their time waiting for their own threads.
os.environ["OMP_NUM_THREADS"] = "1"


# How long one example takes says more about the machine than about the code.
settings.register_profile("house", deadline=None)
settings.load_profile("house")


@pytest.fixture(autouse=True, scope="session")
def models_are_tried_in_this_process() -> Iterator[None]:
    """A version is tried before it gets an alias: here, because a new interpreter takes two seconds each time.

    `tests/core/registry/test_load_check.py` tries in processes of their own, as everybody else does.
    """

    def here(folder: Path, uri: str, timeout_s: float) -> Trial:
        return trial.examine(folder, uri)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial, "in_clean_process", here)
        yield


@pytest.fixture(autouse=True, scope="module")
def heartbeats_end_with_their_module() -> Iterator[None]:
    """A task that a test ends in this process leaves its heartbeat behind; one that writes while a later test forks
    leaves the child with a lock that nobody will ever release."""
    started: list[Heartbeat] = []
    begin = Heartbeat.__init__

    def noted(heartbeat: Heartbeat, store: MetadataStore, attempt: Attempt) -> None:
        started.append(heartbeat)
        begin(heartbeat, store, attempt)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Heartbeat, "__init__", noted)
        yield
    for heartbeat in started:
        heartbeat.stop()


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder on no disk, where the machine has one: what is timed there does not depend on how long a disk syncs."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'penstock.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, store_url: str) -> str:
    """The URL of a database with nothing in it: a test that asks for it runs on every database."""
    return store_url if request.param == "sqlite" else str(request.getfixturevalue("empty_postgres_url"))


@pytest.fixture
def client(store_url: str) -> Iterator[penstock.Client]:
    with penstock.connect(store_url, actor="tester") as client:
        yield client
