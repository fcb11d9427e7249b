"""Models let in without a gate, in a SQL database, each method one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.model.ungated import GateDeclaration
from penstock.stores.sql import registry, ungated
from penstock.stores.sql.database import retried
from penstock.stores.sql.records.base import OnDatabase


class SqlUngatedRecords(OnDatabase):
    """Implements `penstock.ports.UngatedRecords`, where its methods are documented."""

    @retried
    def declare_gating(self, new: GateDeclaration) -> GateDeclaration:
        with self._database.writing() as connection:
            registry.lock(connection, new.model)
            return ungated.declare(connection, new)

    def list_gate_declarations(self, model: str | None) -> Sequence[GateDeclaration]:
        with self._database.reading() as connection:
            return ungated.every(connection, model)
