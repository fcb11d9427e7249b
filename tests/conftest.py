"""What every test may use: a store of its own, in a folder of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import penstock
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
