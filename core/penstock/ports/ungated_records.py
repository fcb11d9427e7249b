"""What a store does for models that are let in without a gate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from penstock.model.ungated import GateDeclaration


class UngatedRecords(Protocol):
    """What a store does for models that are let in without a gate.

    `record_version` and `move_alias` take an authorization of kind `ungated` that is not on record yet: they put it
    there, in the name and with the reason of the declaration that holds, or raise `NotAuthorized` for a gated model.
    """

    def declare_gating(self, new: GateDeclaration) -> GateDeclaration:
        """Record a declaration as a model's number `new.number`, with its event and, if ungated, its authorization.

        `Conflict` if that number is taken.
        """
        ...

    def list_gate_declarations(self, model: str | None) -> Sequence[GateDeclaration]:
        """Return every declaration of a model (None: of all), by model and number. A model's last one holds."""
        ...
