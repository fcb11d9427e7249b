"""What a store does for gates beside decisions: looks, approvals, overrides, anchors, history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from penstock.model.approvals import Approval, ApprovalAnswer
from penstock.model.audit import NewEvent
from penstock.model.decisions import GateDecision
from penstock.model.looks import Look
from penstock.model.overrides import Anchor, Override


class GateRecords(Protocol):
    """What a store does for gates beside decisions: looks, approvals, overrides, anchors, history."""

    def now_ms(self) -> int:
        """Return the store's own time, by which everything here lapses and expires."""
        ...

    def read_decisions(self, model: str | None = None) -> Iterator[GateDecision]:
        """Yield decisions, oldest first; of one model if it is named."""
        ...

    def list_authors(self, run_id: str) -> Sequence[Mapping[str, Any]]:
        """Return the actors who opened or reopened a run or evaluated in it, each once, by the ledger."""
        ...

    def list_looks(self, model: str) -> Sequence[Look]:
        """Return a model family's looks in order."""
        ...

    def list_set_questions(self, data_digest: str) -> Sequence[str]:
        """Return the questions that any family has asked of the same rows, in order."""
        ...

    def record_look(self, look: Look, event: NewEvent) -> Look:
        """Record a dry run's look with its event. `Conflict` of kind `look` if one of its numbers is taken."""
        ...

    def get_approval(self, request_id: str) -> Approval:
        """Return an approval request with what became of it; `NotFound` if there is none."""
        ...

    def list_approvals(self, run_id: str | None = None, model: str | None = None) -> Sequence[Approval]:
        """Return approval requests, oldest first: of a run, of a model, or all."""
        ...

    def answer_approval(self, answer: ApprovalAnswer, event: NewEvent) -> Approval:
        """Record an answer with its event. The same answer again changes nothing.

        `Conflict` if the request was answered otherwise or has lapsed, `NotAuthorized` if its author approves.
        """
        ...

    def record_override(self, override: Override, event: NewEvent) -> Override:
        """Record an override, the authorization it is, and its event; one known already adds no event."""
        ...

    def find_override(self, override_id: str) -> Override | None:
        """Return an override with what was done under it; None if there is none."""
        ...

    def list_overrides(self, model: str | None = None) -> Sequence[Override]:
        """Return overrides, oldest first: of one model or all."""
        ...

    def record_anchor(self, anchor: Anchor, event: NewEvent) -> Anchor:
        """Set a model's anchor as number `anchor.sequence`, with its event.

        The same anchor again changes nothing; `Conflict` naming who was first if the number is taken otherwise.
        """
        ...

    def list_anchors(self, model: str) -> Sequence[Anchor]:
        """Return a model's anchors, oldest first; the last one holds."""
        ...
