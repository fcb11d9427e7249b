"""A store of each kind with a folder of bytes, and what collecting is tried on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import penstock
from penstock.services import gc
from tests.core.retention.stage import Stage


@pytest.fixture
def stage(tmp_path: Path, store_url: str) -> Iterator[Stage]:
    with penstock.connect(store_url, tmp_path / "bytes", actor="ana") as client:
        yield Stage(client, tmp_path, store_url)


@pytest.fixture(autouse=True)
def a_killed_collector_is_soon_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its successor waits five minutes elsewhere."""
    monkeypatch.setattr(gc, "LEASE_S", 2.0)
