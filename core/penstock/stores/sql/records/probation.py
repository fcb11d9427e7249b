"""Promotions on probation, in a SQL database, each method one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.model.audit import NewEvent
from penstock.model.probation import AliasProbation, ProbationJudgement
from penstock.model.versions import Authorization
from penstock.stores.sql import probation
from penstock.stores.sql.database import retried
from penstock.stores.sql.records.base import OnDatabase


class SqlProbationRecords(OnDatabase):
    """Implements `penstock.ports.ProbationRecords`, where its methods are documented."""

    def list_probations(self, model: str | None) -> Sequence[AliasProbation]:
        with self._database.reading() as connection:
            return probation.every(connection, model)

    def list_probation_judgements(self, model: str, alias: str, generation: int) -> Sequence[ProbationJudgement]:
        with self._database.reading() as connection:
            return probation.judgements(connection, model, alias, generation)

    @retried
    def record_probation_judgement(
        self, judgement: ProbationJudgement, back: tuple[Authorization, NewEvent] | None
    ) -> ProbationJudgement:
        with self._database.writing() as connection:
            return probation.judge(connection, judgement, back)

    def settle_probations(self, actor: Mapping[str, Any]) -> Sequence[AliasProbation]:
        open_ones = [found for found in self.list_probations(None) if found.open]
        settled = [self._settle(found, actor) for found in open_ones]
        return [found for found in settled if found is not None]

    @retried
    def _settle(self, found: AliasProbation, actor: Mapping[str, Any]) -> AliasProbation | None:
        with self._database.writing() as connection:
            return probation.settle(connection, found, actor)
