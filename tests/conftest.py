"""What every test may use: a store of its own, in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import penstock


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'penstock.db'}"


@pytest.fixture
def client(store_url: str) -> Iterator[penstock.Client]:
    with penstock.connect(store_url, actor="tester") as client:
        yield client
