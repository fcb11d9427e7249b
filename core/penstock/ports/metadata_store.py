"""Where records live: what services need of a store, noun by noun."""

from __future__ import annotations

from typing import Protocol

from penstock.ports.event_records import EventRecords
from penstock.ports.gate_records import GateRecords
from penstock.ports.judgement_records import JudgementRecords
from penstock.ports.ledger_records import LedgerRecords
from penstock.ports.model_records import ModelRecords
from penstock.ports.probation_records import ProbationRecords
from penstock.ports.registry_records import RegistryRecords
from penstock.ports.retention_records import RetentionRecords
from penstock.ports.run_records import RunRecords
from penstock.ports.ungated_records import UngatedRecords
from penstock.ports.version_records import VersionRecords


class MetadataStore(
    RunRecords,
    ModelRecords,
    JudgementRecords,
    GateRecords,
    RegistryRecords,
    VersionRecords,
    LedgerRecords,
    EventRecords,
    ProbationRecords,
    UngatedRecords,
    RetentionRecords,
    Protocol,
):
    """Where records live.

    Writers pass the attempt they write for. A write by an attempt that a newer one has superseded, or that has ended,
    raises `Fenced` and changes nothing. Governance events are written in the transaction of the change they record.
    """

    def close(self) -> None:
        """Give back connections. The store may be used again afterwards."""
        ...
