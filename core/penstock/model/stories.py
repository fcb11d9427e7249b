"""One run as a person asks about it: what was trained, how it measured, what the gate said, what changed."""

from __future__ import annotations

from dataclasses import dataclass

from penstock.model.decisions import GateDecision
from penstock.model.evaluations import Evaluation
from penstock.model.runs import Run
from penstock.model.versions import AliasMove, ModelVersion


@dataclass(frozen=True)
class RunStory:
    """A run with its newest evaluation and decision and what they led to; None where a run did not get so far."""

    run: Run
    evaluation: Evaluation | None = None
    decision: GateDecision | None = None
    version: ModelVersion | None = None
    moves: tuple[AliasMove, ...] = ()
