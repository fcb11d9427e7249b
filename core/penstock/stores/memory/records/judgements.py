"""Evaluations and decisions, in this process's memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from penstock.errors import NotFound
from penstock.model.approvals import ApprovalRequest
from penstock.model.audit import NewEvent
from penstock.model.decisions import GateDecision
from penstock.model.evaluations import Evaluation
from penstock.model.looks import Look
from penstock.ports import StepEnd
from penstock.stores.memory import gates, registry, steps
from penstock.stores.memory.records.base import InMemory
from penstock.stores.memory.state import stored_decision, stored_evaluation


class MemoryJudgementRecords(InMemory):
    """Implements `penstock.ports.JudgementRecords`, where its methods are documented."""

    def record_evaluation(self, evaluation: Evaluation, event: NewEvent, end: StepEnd) -> Evaluation:
        with self._changing() as (state, now):
            steps.end(state, end, now)
            if evaluation.evaluation_id not in state.evaluations:
                if evaluation.run_id not in state.runs or evaluation.model_id not in state.models:
                    raise NotFound("record", "that this one refers to")
                state.evaluations[evaluation.evaluation_id] = stored_evaluation(evaluation, now)
                state.append(event, now)
            return state.evaluations[evaluation.evaluation_id]

    def get_evaluation(self, evaluation_id: str) -> Evaluation:
        if evaluation_id not in self._state.evaluations:
            raise NotFound("evaluation", evaluation_id)
        return self._state.evaluations[evaluation_id]

    def list_judged_runs(self, after: str, limit: int) -> Sequence[str]:
        judged = {made.run_id for made in self._state.evaluations.values()}
        judged |= {made.run_id for made in self._state.decisions.values()}
        return sorted(run_id for run_id in judged if run_id > after)[:limit]

    def list_evaluations(self, run_id: str) -> Sequence[Evaluation]:
        found = [made for made in self._state.evaluations.values() if made.run_id == run_id]
        return sorted(found, key=lambda made: (made.created_at, made.evaluation_id))

    def record_decision(
        self,
        decision: GateDecision,
        event: NewEvent,
        end: StepEnd,
        look: Look | None = None,
        asked: Sequence[tuple[ApprovalRequest, NewEvent]] = (),
    ) -> GateDecision:
        with self._changing() as (state, now):
            steps.end(state, end, now)
            if decision.decision_id not in state.decisions:
                if decision.run_id not in state.runs or decision.evaluation_id not in state.evaluations:
                    raise NotFound("record", "that this one refers to")
                state.decisions[decision.decision_id] = stored_decision(decision, now)
                registry.authorize(state, decision.decision_id)
                if look is not None:
                    gates.take_look(state, look, now)
                state.append(event, now)
                for request, asking in asked:
                    if gates.ask(state, request, now):
                        state.append(asking, now)
            return state.decisions[decision.decision_id]

    def get_decision(self, decision_id: str) -> GateDecision:
        if decision_id not in self._state.decisions:
            raise NotFound("decision", decision_id)
        return self._state.decisions[decision_id]

    def find_decisions(self, decision_ids: Sequence[str]) -> Mapping[str, GateDecision]:
        return {its: self._state.decisions[its] for its in decision_ids if its in self._state.decisions}

    def list_decisions(self, run_id: str) -> Sequence[GateDecision]:
        found = [made for made in self._state.decisions.values() if made.run_id == run_id]
        return sorted(found, key=lambda made: (made.created_at, made.decision_id))
