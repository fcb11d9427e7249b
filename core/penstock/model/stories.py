"""One run as a person asks about it: what was trained, how it measured, what the gate said, what changed."""

from __future__ import annotations

from dataclasses import dataclass

from penstock.model.audit import Actor
from penstock.model.decisions import GateDecision
from penstock.model.evaluations import Evaluation
from penstock.model.overrides import Override
from penstock.model.runs import Run
from penstock.model.versions import AliasMove, AuthorizationKind, ModelVersion


@dataclass(frozen=True)
class RunStory:
    """A run with its newest evaluation and decision and what they led to; None where a run did not get so far.

    `overrides` let models of the run past the gate; `moves` are those under its decision and under them.
    """

    run: Run
    evaluation: Evaluation | None = None
    decision: GateDecision | None = None
    version: ModelVersion | None = None
    moves: tuple[AliasMove, ...] = ()
    overrides: tuple[Override, ...] = ()

    @property
    def overruled(self) -> str:
        """Who let a model of the run past the gate, and why; empty where nobody did."""
        return "; ".join(f"let past the gate by {Actor(**made.actor)}: {made.reason}" for made in self.overrides)

    @property
    def moved_to(self) -> str:
        """Where the run left the alias, in a word or two; empty where it did not move it."""
        if not self.moves:
            return ""
        last = self.moves[-1]
        return f"v{last.to_version}" + (" (override)" if last.authorization.kind is AuthorizationKind.OVERRIDE else "")
