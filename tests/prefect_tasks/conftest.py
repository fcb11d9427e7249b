"""Prefect tests: a real server for those marked `prefect`, a store named by the environment, what Prefect logs."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests import tiny
from tests.prefect_server import prefect_server, server_for_marked_tests

__all__ = ["prefect_server", "server_for_marked_tests"]


@pytest.fixture(autouse=True)
def store_in_environment(monkeypatch: pytest.MonkeyPatch, store_url: str) -> None:
    """As a worker is set up: the store is named by its environment."""
    monkeypatch.setenv("PENSTOCK_URL", store_url)
    monkeypatch.delenv("PENSTOCK_ARTIFACTS", raising=False)
    monkeypatch.setenv("PENSTOCK_ACTOR", "tester")


@pytest.fixture(scope="session")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The held-out rows, as a file."""
    return tiny.held_out_file(tmp_path_factory.mktemp("held_out"))


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What users see and more: the whole log of flows and tasks, which Prefect does not hand to pytest by itself."""
    loggers = [logging.getLogger(name) for name in ("prefect.flow_runs", "prefect.task_runs")]
    for logger in loggers:
        logger.addHandler(caplog.handler)
    yield caplog
    for logger in loggers:
        logger.removeHandler(caplog.handler)
