"""Evaluations and decisions, in a SQL database, each method one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from penstock.model.approvals import ApprovalRequest
from penstock.model.audit import NewEvent
from penstock.model.decisions import GateDecision
from penstock.model.evaluations import Evaluation
from penstock.model.looks import Look
from penstock.ports import StepEnd
from penstock.stores.sql import approvals, judgements, ledger, looks, steps
from penstock.stores.sql.database import retried
from penstock.stores.sql.records.base import OnDatabase


class SqlJudgementRecords(OnDatabase):
    """Implements `penstock.ports.JudgementRecords`, where its methods are documented."""

    @retried
    def record_evaluation(self, evaluation: Evaluation, event: NewEvent, end: StepEnd) -> Evaluation:
        with self._database.writing() as connection:
            steps.end(connection, end)
            if judgements.add_evaluation(connection, evaluation):
                ledger.append(connection, event)
            return judgements.get_evaluation(connection, evaluation.evaluation_id)

    def get_evaluation(self, evaluation_id: str) -> Evaluation:
        with self._database.reading(one_statement=True) as connection:
            return judgements.get_evaluation(connection, evaluation_id)

    def list_judged_runs(self, after: str, limit: int) -> Sequence[str]:
        with self._database.reading() as connection:
            return judgements.judged_runs(connection, after, limit)

    def list_evaluations(self, run_id: str) -> Sequence[Evaluation]:
        with self._database.reading(one_statement=True) as connection:
            return judgements.list_evaluations(connection, run_id)

    @retried
    def record_decision(
        self,
        decision: GateDecision,
        event: NewEvent,
        end: StepEnd,
        look: Look | None = None,
        asked: Sequence[tuple[ApprovalRequest, NewEvent]] = (),
    ) -> GateDecision:
        with self._database.writing() as connection:
            steps.end(connection, end)
            if judgements.add_decision(connection, decision):
                if look is not None:
                    looks.add(connection, look)
                ledger.append(connection, event)
                for request, asking in asked:
                    if approvals.add(connection, request):
                        ledger.append(connection, asking)
            return judgements.get_decision(connection, decision.decision_id)

    def get_decision(self, decision_id: str) -> GateDecision:
        with self._database.reading(one_statement=True) as connection:
            return judgements.get_decision(connection, decision_id)

    def find_decisions(self, decision_ids: Sequence[str]) -> Mapping[str, GateDecision]:
        with self._database.reading(one_statement=True) as connection:
            return judgements.find_decisions(connection, decision_ids)

    def list_decisions(self, run_id: str) -> Sequence[GateDecision]:
        with self._database.reading(one_statement=True) as connection:
            return judgements.list_decisions(connection, run_id)
