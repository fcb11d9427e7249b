"""Models that a person has declared ungated: their versions and alias moves need no passed decision (law L2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from penstock.errors import NotAuthorized
from penstock.model.audit import NewEvent, model_chain
from penstock.model.ids import derived_id
from penstock.model.versions import Authorization, AuthorizationKind


@dataclass(frozen=True)
class GateDeclaration:
    """A person's word that a model is let in without a gate from now on, or (`gated`) only through it again.

    A model is gated until somebody has said otherwise. `number` counts a model's declarations; the last one holds.
    """

    model: str
    number: int
    gated: bool
    reason: str
    actor: Mapping[str, Any] = field(default_factory=dict)
    declared_at: datetime | None = None

    @property
    def authorization(self) -> Authorization:
        """The authorization that declaring a model ungated is."""
        given = derived_id("ungated", self.model, self.number)
        return Authorization(given, AuthorizationKind.UNGATED, self.model, None, self.reason, self.actor)


def check_ungated(held: GateDeclaration | None, change: str) -> GateDeclaration:
    """Return the declaration that allows a change without a decision; `NotAuthorized` for a gated model."""
    if held is None or held.gated:
        hint = "Evaluate and decide; or, on record and in your name: penstock models ungate"
        raise NotAuthorized(change, "the model is gated, and no decision was given", hint)
    return held


def declared(declaration: GateDeclaration) -> NewEvent:
    """Return the ledger's entry of a declaration."""
    return NewEvent(
        chain=model_chain(declaration.model),
        kind="model_gated" if declaration.gated else "model_ungated",
        subject={"model": declaration.model, "declaration": declaration.number},
        actor=declaration.actor,
        why=declaration.reason,
        after={"gated": declaration.gated},
    )
