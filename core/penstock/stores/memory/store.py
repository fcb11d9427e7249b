"""The reference store: the port in plain Python."""

from __future__ import annotations

from penstock.stores.memory.records.events import MemoryEventRecords
from penstock.stores.memory.records.gates import MemoryGateRecords
from penstock.stores.memory.records.judgements import MemoryJudgementRecords
from penstock.stores.memory.records.ledger import MemoryLedgerRecords
from penstock.stores.memory.records.models import MemoryModelRecords
from penstock.stores.memory.records.probation import MemoryProbationRecords
from penstock.stores.memory.records.registry import MemoryRegistryRecords
from penstock.stores.memory.records.retention import MemoryRetentionRecords
from penstock.stores.memory.records.runs import MemoryRunRecords
from penstock.stores.memory.records.ungated import MemoryUngatedRecords
from penstock.stores.memory.records.versions import MemoryVersionRecords


class MemoryStore(
    MemoryRunRecords,
    MemoryModelRecords,
    MemoryJudgementRecords,
    MemoryGateRecords,
    MemoryRegistryRecords,
    MemoryVersionRecords,
    MemoryLedgerRecords,
    MemoryEventRecords,
    MemoryProbationRecords,
    MemoryUngatedRecords,
    MemoryRetentionRecords,
):
    """A `MetadataStore` in this process's memory, gone with it. For tests, and to say what the others must do."""

    def close(self) -> None:
        """There is nothing to give back."""
