"""What stays and what goes: probations, ungated models, retention policies, collecting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from penstock.client.base import OnWiring
from penstock.services.reachability import GRACE_S

if TYPE_CHECKING:
    from penstock.model.probation import AliasProbation, ProbationJudgement
    from penstock.model.retention import Collected, RetentionPolicy
    from penstock.model.ungated import GateDeclaration


class Retention(OnWiring):
    """What stays and what goes: probations, ungated models, retention policies, collecting."""

    # ----------------------------------------------------------------------------------------------- probation

    def judge_probation(
        self, model: str, alias: str, evaluation: object, *, backfill: bool = False
    ) -> ProbationJudgement:
        """Judge a later evaluation of what is live by the policy of the alias's probation, on record.

        A FAIL takes the alias back to the version before, unless it has moved since; INCONCLUSIVE leaves the probation
        open. The same evaluation again returns the same judgement. With `backfill` nothing is recorded or changed.
        """
        from penstock.services import probation

        return probation.judge(self.wiring, model, alias, evaluation, backfill=backfill)

    def judge_any_probation(
        self, model: str, alias: str, evaluation: object, *, backfill: bool = False
    ) -> ProbationJudgement | None:
        """Judge as `judge_probation` does if what was evaluated is on probation, or was judged before; else None."""
        from penstock.services import probation

        return probation.judge_if_any(self.wiring, model, alias, evaluation, backfill=backfill)

    def list_probations(self, model: str | None = None) -> Sequence[AliasProbation]:
        """Return probations, of one model or all, by model, alias and generation."""
        return self.wiring.store.list_probations(model)

    def probation_judgements(self, probation: AliasProbation) -> Sequence[ProbationJudgement]:
        """Return a probation's judgements in order."""
        store = self.wiring.store
        return store.list_probation_judgements(probation.model, probation.alias, probation.generation)

    def settle_probations(self) -> Sequence[AliasProbation]:
        """End the probations whose time is over (passed) or whose alias has moved (superseded); return those."""
        from penstock.services import probation

        return probation.settle(self.wiring)

    # ------------------------------------------------------------------------------------------------- ungated

    def declare_ungated(self, model: str, reason: str) -> GateDeclaration:
        """Let versions of a model in, and its aliases move, without a decision: in your name, on record, until revoked.

        Protected aliases still need a passed gate. Models are gated by default.
        """
        from penstock.services import ungated

        return ungated.declare(self.wiring, model, gated=False, reason=reason)

    def declare_gated(self, model: str, reason: str) -> GateDeclaration:
        """Revoke `declare_ungated`: from now on only a passed decision or an override lets this model in."""
        from penstock.services import ungated

        return ungated.declare(self.wiring, model, gated=True, reason=reason)

    def ungated_models(self) -> Mapping[str, GateDeclaration]:
        """Return the models that are ungated now, each with who declared it, when and why."""
        last = {held.model: held for held in self.wiring.store.list_gate_declarations(None)}
        return {name: held for name, held in last.items() if not held.gated}

    def gate_declarations(self, model: str) -> Sequence[GateDeclaration]:
        """Return every declaration of a model as ungated or gated, oldest first."""
        return self.wiring.store.list_gate_declarations(model)

    # ----------------------------------------------------------------------------------------------- retention

    def set_retention(
        self, experiment: str, *, model: str = "", keep_last: int | None = None, keep_days: float | None = None
    ) -> RetentionPolicy:
        """Say how long an experiment's runs are kept or, with `model`, the files of models logged under this name.

        The newest `keep_last` and what ended within `keep_days` are kept, and whatever is referred to. `collect` lets
        go of the rest.
        """
        from penstock.services import retention

        return retention.set_retention(self.wiring, experiment, model, keep_last, keep_days)

    def remove_retention(self, experiment: str, *, model: str = "") -> None:
        """Remove a retention policy: everything is kept again. `NotFound` if there is none."""
        from penstock.services import retention

        retention.remove_retention(self.wiring, experiment, model)

    def list_retention(self) -> Sequence[RetentionPolicy]:
        """Return the retention policies by experiment and model."""
        return self.wiring.store.list_retention()

    def collect(self, *, dry_run: bool = True, deleted: bool = False, grace_s: float = GRACE_S) -> Collected:
        """Let go of what retention policies do not keep, and delete bytes that no record refers to.

        A dry run says what would go, and changes nothing. With `deleted` what people have deleted goes, too. Bytes
        younger than `grace_s` stay. May be killed at any point and run again; never touches what is referred to.
        """
        from penstock.services import gc

        return gc.collect(self.wiring, dry_run=dry_run, with_deleted=deleted, grace_s=grace_s)
