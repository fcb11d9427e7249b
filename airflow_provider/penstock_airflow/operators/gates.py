"""Letting a model through, or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from penstock_airflow.branches import go_on_with
from penstock_airflow.compat import AirflowSkipException
from penstock_airflow.links import DecisionLink, RunLink
from penstock_airflow.operators.base import RunOperator
from penstock_airflow.templates import is_expanded_over_a_task, is_said_by_a_task

if TYPE_CHECKING:
    from penstock import Client
    from penstock.model.decisions import GateDecision

Refusal = Literal["skip", "fail", "branch", "ask"]
VERDICTS = ("PASS", "FAIL", "INCONCLUSIVE")
_NOT_BY_A_TASK = "a policy is named by the DAG's code and never by another task: it would be its own"


class GateOperator(RunOperator):
    """Applies a written policy to an evaluation. Only PASS goes on, and returns the decision's reference.

    FAIL and INCONCLUSIVE log every reason. What then becomes of the DAG, `on_refused` says, and `on_inconclusive` for
    INCONCLUSIVE alone, where that differs:

        skip    this task and what follows it are skipped
        fail    this task fails, without retries
        branch  what `branches` names for the verdict is followed, everything else directly downstream is skipped
        ask     (INCONCLUSIVE) as branch: the tasks in `branches` are those that ask a person

    `branches` is verdict → task id or ids, as `{"FAIL": "report", "INCONCLUSIVE": "approve"}`; PASS is followed by
    everything directly downstream that no refusal is followed by, unless it is named, too. In no mode does a verdict
    other than PASS authorize anything: a registration re-reads the decision. `policy` is a policy file's path or data.
    """

    template_fields: Sequence[str] = ("run", "evaluation", "policy", "model", "alias")
    operator_extra_links = (RunLink(), DecisionLink())
    # Airflow asks a cleared task's upstream branches again whether it was to be skipped.
    inherits_from_skipmixin = True

    def __init__(
        self,
        *,
        evaluation: Any,
        policy: Any,
        model: str,
        alias: str = "champion",
        on_refused: Refusal = "skip",
        on_inconclusive: Refusal | None = None,
        branches: Mapping[str, str | Sequence[str]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if is_said_by_a_task(policy):
            raise ValueError(f"policy: {_NOT_BY_A_TASK}")
        modes = {"FAIL": on_refused, "INCONCLUSIVE": on_inconclusive or on_refused}
        _check(on_refused, modes, branches or {})
        self.evaluation = evaluation
        self.policy = policy
        self.model = model
        self.alias = alias
        self.on_refused = on_refused
        self.on_inconclusive = on_inconclusive
        self.branches = branches
        self.modes = modes

    def act(self, client: Client, context: Mapping[str, Any]) -> dict[str, Any]:
        """Decide."""
        from penstock.errors import GateBlocked, InvalidValue

        if is_expanded_over_a_task(self, "policy"):
            raise InvalidValue("policy", self.policy, "one that the DAG's code names", _NOT_BY_A_TASK)
        decision = client.decide(
            self.evaluation, self.policy, model=self.model, alias=self.alias, **self.within(client, context)
        )
        self.acts_under = decision.decision_id
        for outcome in decision.outcomes:
            self.log.info("%s: %s", outcome.outcome.value, outcome.reason)
        verdict = decision.verdict.value
        self.log.info("%s", client.explain(decision))
        if decision.passed:
            self._follow(context, decision)
            return decision.ref
        blocked = GateBlocked(decision.decision_id, verdict, decision.reasons)
        self.log.warning("%s", blocked)
        mode = self.modes[verdict]
        if mode in {"branch", "ask"}:
            self._follow(context, decision)
            return decision.ref
        if mode == "skip":
            raise AirflowSkipException(str(blocked))
        raise blocked

    def _follow(self, context: Mapping[str, Any], decision: GateDecision) -> None:
        """Skip what is directly downstream and belongs to another verdict. Airflow ends the task here: by raising."""
        if not self.branches:
            return
        named = {
            verdict: [tasks] if isinstance(tasks, str) else list(tasks) for verdict, tasks in self.branches.items()
        }
        verdict = decision.verdict.value
        if verdict == "PASS" and verdict not in named:
            refused = {task for tasks in named.values() for task in tasks}
            followed = [task for task in sorted(self.downstream_task_ids) if task not in refused]
        else:
            followed = named[verdict]
        go_on_with(self, context, decision.ref, followed)


def _check(on_refused: str, modes: Mapping[str, str], branches: Mapping[str, Any]) -> None:
    allowed = get_args(Refusal)
    for name, mode in (("on_refused", on_refused), ("on_inconclusive", modes["INCONCLUSIVE"])):
        if mode not in allowed:
            raise ValueError(f"{name}: expected {', '.join(map(repr, allowed))}, got {mode!r}")
    if on_refused == "ask":
        raise ValueError("on_refused: a person may be asked where the gate cannot say: on_inconclusive='ask'")
    for verdict in branches:
        if verdict not in VERDICTS:
            raise ValueError(f"branches: expected {', '.join(VERDICTS)}, got {verdict!r}")
    for verdict, mode in modes.items():
        if (mode in {"branch", "ask"}) != (verdict in branches):
            wanted = "needs to name" if verdict not in branches else f"is of no use beside {mode!r}: do not name"
            raise ValueError(f"branches {wanted} the tasks that follow {verdict}")
