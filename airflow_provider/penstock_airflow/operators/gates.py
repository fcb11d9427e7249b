"""Letting a model through, or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from penstock_airflow.operators.base import RunOperator

if TYPE_CHECKING:
    from penstock import Client


class GateOperator(RunOperator):
    """Applies a written policy to an evaluation. Only PASS goes on, and returns the decision's reference.

    FAIL and INCONCLUSIVE log every reason; then `on_refused="skip"` skips this task and what follows it, and
    `on_refused="fail"` fails it, without retries. `policy` is the path of a policy file, or plain data.
    """

    template_fields: Sequence[str] = ("run", "evaluation", "policy", "model", "alias")

    def __init__(
        self,
        *,
        evaluation: Any,
        policy: Any,
        model: str,
        alias: str = "champion",
        on_refused: Literal["skip", "fail"] = "skip",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if on_refused not in {"skip", "fail"}:
            raise ValueError(f"on_refused: expected 'skip' or 'fail', got {on_refused!r}")
        self.evaluation = evaluation
        self.policy = policy
        self.model = model
        self.alias = alias
        self.on_refused = on_refused

    def act(self, client: Client, context: Mapping[str, Any]) -> dict[str, Any]:
        """Decide."""
        from airflow.sdk.exceptions import AirflowSkipException

        from penstock.errors import GateBlocked

        decision = client.decide(
            self.evaluation, self.policy, model=self.model, alias=self.alias, **self.within(context)
        )
        for outcome in decision.outcomes:
            self.log.info("%s: %s", outcome.outcome.value, outcome.reason)
        blocked = GateBlocked(decision.decision_id, decision.verdict.value, decision.reasons)
        if decision.passed:
            self.log.info("Gate PASS for %s@%s (decision %s)", self.model, self.alias, decision.decision_id)
            return decision.ref
        if self.on_refused == "skip":
            self.log.warning("%s", blocked)
            raise AirflowSkipException(str(blocked))
        raise blocked
