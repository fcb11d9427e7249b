"""What a store does for evaluations and decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from penstock.model.approvals import ApprovalRequest
from penstock.model.audit import NewEvent
from penstock.model.decisions import GateDecision
from penstock.model.evaluations import Evaluation
from penstock.model.looks import Look
from penstock.ports.writes import StepEnd


class JudgementRecords(Protocol):
    """What a store does for evaluations and decisions."""

    def record_evaluation(self, evaluation: Evaluation, event: NewEvent, end: StepEnd) -> Evaluation:
        """Store an evaluation, its event and its step's result in one transaction; one known already adds no event.

        `NotFound` for a run or model that is not there.
        """
        ...

    def get_evaluation(self, evaluation_id: str) -> Evaluation:
        """Return an evaluation; `NotFound` if there is none."""
        ...

    def record_decision(
        self,
        decision: GateDecision,
        event: NewEvent,
        end: StepEnd,
        look: Look | None = None,
        asked: Sequence[tuple[ApprovalRequest, NewEvent]] = (),
    ) -> GateDecision:
        """Store a decision, its authorization if it passed, its event and its step's result in one transaction.

        In the same transaction its look is taken, and approvals are `asked` for, each with its event. `Conflict` of
        kind `look`, changing nothing, if the look's sequence number has been taken. A decision known already adds
        nothing. `NotFound` for a run or an evaluation that is not there.
        """
        ...

    def get_decision(self, decision_id: str) -> GateDecision:
        """Return a decision; `NotFound` if there is none."""
        ...

    def find_decisions(self, decision_ids: Sequence[str]) -> Mapping[str, GateDecision]:
        """Return these decisions by id, at most 10,000 at once; those that are not there are left out."""
        ...

    def list_judged_runs(self, after: str, limit: int) -> Sequence[str]:
        """Return the ids of runs with evaluations or decisions, in order: the first ones after `after`."""
        ...

    def list_evaluations(self, run_id: str) -> Sequence[Evaluation]:
        """Return the run's evaluations, oldest first."""
        ...

    def list_decisions(self, run_id: str) -> Sequence[GateDecision]:
        """Return the decisions on the run's evaluations, oldest first."""
        ...
