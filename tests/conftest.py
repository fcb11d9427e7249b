"""What every test may use: a store of its own, in a folder of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import penstock
from tests.prefect_server import prefect_server, server_for_marked_tests

__all__ = ["prefect_server", "server_for_marked_tests"]

# One thread: on a busy machine of few cores, numerical libraries spend their time waiting for their own threads.
os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'penstock.db'}"


@pytest.fixture
def client(store_url: str) -> Iterator[penstock.Client]:
    with penstock.connect(store_url, actor="tester") as client:
        yield client
