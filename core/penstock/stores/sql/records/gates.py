"""What gates keep beside decisions, in a SQL database, each method one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penstock.model.approvals import Approval, ApprovalAnswer
from penstock.model.audit import NewEvent
from penstock.model.decisions import GateDecision
from penstock.model.looks import Look
from penstock.model.overrides import Anchor, Override
from penstock.stores.sql import approvals, judgements, ledger, looks, overrides
from penstock.stores.sql.database import retried
from penstock.stores.sql.dialects import now_ms
from penstock.stores.sql.records.base import OnDatabase


class SqlGateRecords(OnDatabase):
    """Implements `penstock.ports.GateRecords`, where its methods are documented."""

    def now_ms(self) -> int:
        with self._database.reading() as connection:
            return now_ms(connection)

    def read_decisions(self, model: str | None = None) -> Iterator[GateDecision]:
        with self._database.reading() as connection:
            yield from judgements.read_decisions(connection, model)

    def list_authors(self, run_id: str) -> Sequence[Mapping[str, Any]]:
        with self._database.reading() as connection:
            return ledger.authors(connection, run_id)

    def list_looks(self, model: str) -> Sequence[Look]:
        with self._database.reading() as connection:
            return looks.of_family(connection, model)

    def list_set_questions(self, data_digest: str) -> Sequence[str]:
        with self._database.reading() as connection:
            return looks.asked_of_set(connection, data_digest)

    @retried
    def record_look(self, look: Look, event: NewEvent) -> Look:
        with self._database.writing() as connection:
            taken = looks.add(connection, look)
            ledger.append(connection, event)
            return taken

    def get_approval(self, request_id: str) -> Approval:
        with self._database.reading() as connection:
            return approvals.get(connection, request_id)

    def list_approvals(self, run_id: str | None = None, model: str | None = None) -> Sequence[Approval]:
        with self._database.reading() as connection:
            return approvals.find(connection, run_id, model)

    @retried
    def answer_approval(self, answer: ApprovalAnswer, event: NewEvent) -> Approval:
        with self._database.writing() as connection:
            approval, new = approvals.answer(connection, answer)
            if new:
                ledger.append(connection, event)
            return approval

    @retried
    def record_override(self, override: Override, event: NewEvent) -> Override:
        with self._database.writing() as connection:
            time_ms = now_ms(connection)
            if overrides.add(connection, override, time_ms):
                ledger.append(connection, event, time_ms)
            return overrides.get(connection, override.override_id)

    def find_override(self, override_id: str) -> Override | None:
        with self._database.reading() as connection:
            return overrides.find(connection, override_id)

    def list_overrides(self, model: str | None = None) -> Sequence[Override]:
        with self._database.reading() as connection:
            return overrides.of_model(connection, model)

    @retried
    def record_anchor(self, anchor: Anchor, event: NewEvent) -> Anchor:
        with self._database.writing() as connection:
            made, new = overrides.set_anchor(connection, anchor)
            if new:
                ledger.append(connection, event)
            return made

    def list_anchors(self, model: str) -> Sequence[Anchor]:
        with self._database.reading() as connection:
            return overrides.anchors_of(connection, model)
