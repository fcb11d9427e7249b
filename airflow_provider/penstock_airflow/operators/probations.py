"""Judging what is live, while it is on probation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from penstock_airflow.branches import go_on_with
from penstock_airflow.context import in_backfill
from penstock_airflow.operators.base import RunOperator

if TYPE_CHECKING:
    from penstock import Client


class JudgeProbationOperator(RunOperator):
    """Judges an evaluation of what an alias points to, if that was promoted on probation (`PromoteModelOperator`).

    A FAIL takes the alias back to the version before, unless it has moved since, and skips what is directly downstream,
    which would act on a version that is no longer live. The judgement is on record; the same evaluation again returns
    it. Where nothing is on probation, nothing is judged. Returns `{"verdict", "state", "rolled_back_to"}`, each None
    where it has no answer. In a backfill run nothing is recorded or changed.
    """

    template_fields: Sequence[str] = ("run", "model", "alias", "evaluation")
    inherits_from_skipmixin = True

    def __init__(self, *, model: str, evaluation: Any, alias: str = "champion", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.alias = alias
        self.evaluation = evaluation

    def act(self, client: Client, context: Mapping[str, Any]) -> dict[str, Any]:
        """Judge."""
        from penstock.services.references import check_belongs, id_in

        place, store = self.within(client, context), client.wiring.store
        measured = store.get_evaluation(id_in(self.evaluation, "evaluation_id"))
        check_belongs(store, "evaluation", measured.evaluation_id, measured.run_id, place["run"], self.accept_from)
        judged = client.judge_any_probation(self.model, self.alias, measured.ref, backfill=in_backfill(context))
        if judged is None:
            self.log.info("Not judged: what was evaluated is not on probation as %s@%s", self.model, self.alias)
            return {"verdict": None, "state": None, "rolled_back_to": None}
        self.log.info(
            "Probation of %s@%s: %s, it is %s: %s",
            self.model,
            self.alias,
            judged.verdict.value,
            judged.state.value,
            judged.why,
        )
        result = {
            "verdict": judged.verdict.value,
            "state": judged.state.value,
            "rolled_back_to": judged.rolled_back_to,
        }
        if judged.rolled_back_to is not None:
            self.log.warning("Took %s@%s back to version %d", self.model, self.alias, judged.rolled_back_to)
            go_on_with(self, context, result, [])
        return result
