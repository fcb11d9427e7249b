"""What gates keep beside decisions, in this process's memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penstock.model.approvals import Approval, ApprovalAnswer
from penstock.model.audit import NewEvent
from penstock.model.decisions import GateDecision
from penstock.model.looks import Look
from penstock.model.overrides import Anchor, Override
from penstock.stores.memory import gates
from penstock.stores.memory.records.base import InMemory

_AUTHORED = {"run_opened", "run_reopened", "evaluation_recorded"}


class MemoryGateRecords(InMemory):
    """Implements `penstock.ports.GateRecords`, where its methods are documented."""

    def now_ms(self) -> int:
        return self._now_ms()

    def read_decisions(self, model: str | None = None) -> Iterator[GateDecision]:
        found = [made for made in self._state.decisions.values() if model in {None, made.model}]
        yield from sorted(found, key=lambda made: (made.created_at, made.decision_id))

    def list_authors(self, run_id: str) -> Sequence[Mapping[str, Any]]:
        authors: list[Mapping[str, Any]] = []
        for chain, entries in self._state.chains.items():
            for entry in entries if chain.kind == "experiment" else ():
                made = entry.kind in _AUTHORED and entry.subject.get("run_id") == run_id
                if made and entry.actor not in authors:
                    authors.append(entry.actor)
        return authors

    def list_looks(self, model: str) -> Sequence[Look]:
        return list(self._state.looks.get(model, ()))

    def list_set_questions(self, data_digest: str) -> Sequence[str]:
        return list(self._state.set_questions.get(data_digest, ()))

    def record_look(self, look: Look, event: NewEvent) -> Look:
        with self._changing() as (state, now):
            taken = gates.take_look(state, look, now)
            state.append(event, now)
            return taken

    def get_approval(self, request_id: str) -> Approval:
        return gates.approval(self._state, request_id, self._now_ms())

    def list_approvals(self, run_id: str | None = None, model: str | None = None) -> Sequence[Approval]:
        found = [
            gates.approval(self._state, request.request_id, self._now_ms())
            for request in self._state.requests.values()
            if run_id in {None, request.step.run_id} and model in {None, request.model}
        ]
        return sorted(found, key=lambda one: (one.request.asked_at, one.request.request_id))

    def answer_approval(self, answer: ApprovalAnswer, event: NewEvent) -> Approval:
        with self._changing() as (state, now):
            approval, new = gates.answer(state, answer, now)
            if new:
                state.append(event, now)
            return approval

    def record_override(self, override: Override, event: NewEvent) -> Override:
        with self._changing() as (state, now):
            if gates.add_override(state, override, now):
                state.append(event, now)
            return gates.get_override(state, override.override_id)

    def find_override(self, override_id: str) -> Override | None:
        return gates.override(self._state, override_id)

    def list_overrides(self, model: str | None = None) -> Sequence[Override]:
        found = [made for made in self._state.overrides.values() if model in {None, made.model}]
        found.sort(key=lambda made: (made.created_at, made.override_id))
        return [made for one in found if (made := gates.override(self._state, one.override_id)) is not None]

    def record_anchor(self, anchor: Anchor, event: NewEvent) -> Anchor:
        with self._changing() as (state, now):
            made, new = gates.set_anchor(state, anchor, now)
            if new:
                state.append(event, now)
            return made

    def list_anchors(self, model: str) -> Sequence[Anchor]:
        return list(self._state.anchors.get(model, ()))
