"""Where a version comes from: run, code, data, evaluation, decision, policy, people; and where it has been."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.model.decisions import GateDecision
from penstock.model.evaluations import Evaluation
from penstock.model.load_checks import LoadCheck
from penstock.model.notes import Notes
from penstock.model.runs import RunDetails
from penstock.model.versions import AliasMove, LoggedModel, ModelVersion


@dataclass(frozen=True)
class Lineage:
    """A version with everything on record that led to it.

    `approvals` are the answers of people that its decision rests on, as plain JSON; `aliases` are those that point to
    it now, `moves` every move to it, oldest first.
    """

    version: ModelVersion
    model: LoggedModel
    run: RunDetails
    decision: GateDecision | None = None
    evaluation: Evaluation | None = None
    approvals: tuple[Mapping[str, Any], ...] = ()
    checks: tuple[LoadCheck, ...] = ()
    aliases: tuple[str, ...] = ()
    moves: tuple[AliasMove, ...] = ()
    notes: Notes = field(default_factory=Notes)

    @property
    def code(self) -> Mapping[str, Any]:
        """The code that trained it: commit, whether the tree was dirty, entry point; whatever is known."""
        return self.run.run.source

    @property
    def training_data(self) -> Mapping[str, str]:
        """Name → digest of the data that its run has read for training."""
        return {data.name: data.digest for data in self.run.inputs if data.role == "train"}
