"""Models let in without a gate, in this process's memory."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.model.ungated import GateDeclaration
from penstock.stores.memory import ungated
from penstock.stores.memory.records.base import InMemory


class MemoryUngatedRecords(InMemory):
    """Implements `penstock.ports.UngatedRecords`, where its methods are documented."""

    def declare_gating(self, new: GateDeclaration) -> GateDeclaration:
        with self._changing() as (state, now):
            return ungated.declare(state, new, now)

    def list_gate_declarations(self, model: str | None) -> Sequence[GateDeclaration]:
        declarations = self._state.declarations
        return [made for name in sorted(declarations) if model in {None, name} for made in declarations[name]]
