"""Promotions on probation, in this process's memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.model.audit import NewEvent
from penstock.model.probation import AliasProbation, ProbationJudgement
from penstock.model.versions import Authorization
from penstock.stores.memory import probation
from penstock.stores.memory.records.base import InMemory


class MemoryProbationRecords(InMemory):
    """Implements `penstock.ports.ProbationRecords`, where its methods are documented."""

    def list_probations(self, model: str | None) -> Sequence[AliasProbation]:
        return [probation.get(self._state, key) for key in sorted(self._state.probations) if model in {None, key[0]}]

    def list_probation_judgements(self, model: str, alias: str, generation: int) -> Sequence[ProbationJudgement]:
        return list(self._state.probation_judgements.get((model, alias, generation), []))

    def record_probation_judgement(
        self, judgement: ProbationJudgement, back: tuple[Authorization, NewEvent] | None
    ) -> ProbationJudgement:
        with self._changing() as (state, now):
            return probation.judge(state, judgement, back, now)

    def settle_probations(self, actor: Mapping[str, Any]) -> Sequence[AliasProbation]:
        with self._changing() as (state, now):
            settled = [probation.settle(state, key, actor, now) for key in sorted(state.probations)]
            return [found for found in settled if found is not None]
