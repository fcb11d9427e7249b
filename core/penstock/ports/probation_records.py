"""What a store does for promotions on probation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from penstock.model.audit import NewEvent
from penstock.model.probation import AliasProbation, ProbationJudgement
from penstock.model.versions import Authorization


class ProbationRecords(Protocol):
    """What a store does for promotions on probation. `move_alias` begins one."""

    def list_probations(self, model: str | None) -> Sequence[AliasProbation]:
        """Return the probations of a model (None: of all), by model, alias and generation."""
        ...

    def list_probation_judgements(self, model: str, alias: str, generation: int) -> Sequence[ProbationJudgement]:
        """Return a probation's judgements in order."""
        ...

    def record_probation_judgement(
        self, judgement: ProbationJudgement, back: tuple[Authorization, NewEvent] | None
    ) -> ProbationJudgement:
        """Record a judgement and what follows from it, in one transaction with its events.

        An open probation fails with a FAIL, and then the alias goes back (`back` authorizes and records it) to the
        version it pointed to before, if it has not moved since. It passes with enough passes, or when its time was over
        already; it is superseded when the alias has moved. The same evaluation again returns what was recorded;
        `Conflict` for another evaluation of a probation that has ended, `NotFound` for one that never began.
        """
        ...

    def settle_probations(self, actor: Mapping[str, Any]) -> Sequence[AliasProbation]:
        """End the probations whose time is over, or whose alias has moved since, with their events; return those."""
        ...
