"""The contract of a metadata store, run over each of ours; and the same calls leave the same ledger in all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.model.runs import RunStatus
from penstock.ports import MetadataStore
from penstock.stores.memory.store import MemoryStore
from penstock.stores.sql.store import SqlStore
from tests.contracts import samples
from tests.contracts.metadata_store import MetadataStoreContract
from tests.scenarios.ledgers import entry


class TestMemory(MetadataStoreContract):
    @pytest.fixture
    def store(self) -> MetadataStore:
        return MemoryStore()


class TestSqlite(MetadataStoreContract):
    @pytest.fixture
    def store(self, store_url: str) -> Iterator[MetadataStore]:
        store = SqlStore(store_url)
        yield store
        store.close()


class TestPostgres(MetadataStoreContract):
    @pytest.fixture
    def store(self, postgres_url: str) -> Iterator[MetadataStore]:
        store = SqlStore(postgres_url)
        yield store
        store.close()


def _story(store: MetadataStore) -> list[dict[str, Any]]:
    samples.released(store, "a")
    judgement, version, _ = samples.released(store, "b", generation=1)
    samples.promoted(store, judgement, version, map_index=0)
    store.end_run(judgement.model.run_id, RunStatus.FAILED, "broken", samples.ACTOR)
    samples.opened(store, "b")
    store.close()
    return [entry(event) for event in store.read_ledger()]


def test_the_same_calls_leave_the_same_ledger_in_every_store(tmp_path: Path, postgres_url: str) -> None:
    stores: list[MetadataStore] = [MemoryStore(), SqlStore(f"sqlite:///{tmp_path / 'p.db'}"), SqlStore(postgres_url)]
    memory, sqlite, postgres = (_story(store) for store in stores)
    assert len(memory) == 14
    assert memory == sqlite == postgres
    for store in stores:
        store.close()
