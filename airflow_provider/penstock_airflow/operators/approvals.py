"""Asking a person, on Airflow's own page for required actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param

from penstock_airflow.approval_page import body_of, subject_of
from penstock_airflow.compat import AirflowSkipException
from penstock_airflow.links import DecisionLink, RunLink
from penstock_airflow.operators.base import RunOperator
from penstock_airflow.session import store_session

if TYPE_CHECKING:
    from penstock import Client
    from penstock.model.approvals import Approval
    from penstock.model.audit import Actor
    from penstock.model.decisions import GateDecision

Refusal = Literal["skip", "fail"]
REASON = "reason"


class ApproveModelOperator(RunOperator, ApprovalOperator):  # type: ignore[misc]
    """Asks a person for the approval that a decision lacks, and decides again. Returns the decision that follows.

    `decision` is what the gate returned. The person sees, in Airflow's list of required actions, everything that a yes
    holds for, and approves or rejects with a reason. The answer and the person go on record in the ledger either way;
    then the gate decides again under the same policy, and only PASS goes on: hand this task's output to `register`.

    A decision that has passed is returned at once. One that asked nobody, a rejection, and no answer within
    `response_timeout` (at most, and by default, until the request expires) are refusals: what follows is skipped, or
    with `on_refused="fail"` this task fails without retries. A request that can no longer be answered (its time ran
    out, the alias has moved) fails the task and says why. An answer given elsewhere (`penstock approvals approve`) is
    found by a retry or a clear, and by whoever answers here. Give it `retries`: Airflow 3.3 loses an answer that comes
    within seconds of the question, and then this task asks again. `assigned_users` and `notifiers` are Airflow's own.
    """

    template_fields: Sequence[str] = ("run", "decision")
    ui_color = "#f5ecd9"
    operator_extra_links = (RunLink(), DecisionLink())

    def __init__(
        self,
        *,
        decision: Any,
        on_refused: Refusal = "skip",
        response_timeout: timedelta | None = None,
        **kwargs: Any,
    ) -> None:
        if on_refused not in get_args(Refusal):
            raise ValueError(f"on_refused: expected {', '.join(map(repr, get_args(Refusal)))}, got {on_refused!r}")
        for name in ("subject", "body", "defaults", "params", "fail_on_reject"):
            if name in kwargs:
                raise TypeError(f"{name}: what is shown and asked follows from the decision, which is on record")
        why = Param("", type="string", maxLength=2000, title="Reason", description="Goes on record")
        super().__init__(subject="Approve a model?", params={REASON: why}, response_timeout=response_timeout, **kwargs)
        self.longest_wait = response_timeout
        self.decision = decision
        self.on_refused = on_refused

    def execute(self, context: Mapping[str, Any]) -> Any:
        """Ask, unless there is nothing to ask any more; then wait without a worker."""
        with store_session(self, context) as client:
            decision, found = self._asked(client, context)
            if found is None or found.answer is not None:
                return self._outcome(client, context, decision, found)
            self._check_open(found)
            self.subject, self.body = subject_of(found), body_of(found)
            self.response_timeout = _shortest(self.longest_wait, found)
            request_id = found.request.request_id
            self.log.info("%s Request %s, until %s", self.subject, request_id, found.request.expires_at)
        try:
            return ApprovalOperator.execute(self, context)
        except BaseException as waiting:
            # However this Airflow waits: the answer belongs to the request that was shown, and to no later one.
            if hasattr(waiting, "method_name") and hasattr(waiting, "kwargs"):
                waiting.kwargs = {**(waiting.kwargs or {}), "request_id": request_id}
            raise

    def execute_complete(self, context: Mapping[str, Any], event: Mapping[str, Any], request_id: str = "") -> Any:
        """Record the answer, in the name of who gave it, and decide again."""
        from penstock.errors import InvalidValue

        with store_session(self, context) as client:
            decision, _ = self._asked(client, context)
            found = client.find_approval(request_id)
            if found is None or found.request.question[0] != decision.evaluation_id:
                raise InvalidValue("approval request", request_id, f"one that decision {decision.decision_id} made")
            if found.answer is None or event.get("error_type") != "timeout":
                self._check_open(found)
                approve, reason, actor = self._answer(event)
                found = client.answer_approval(found.request.request_id, approve, reason, actor=actor)
            return self._outcome(client, context, decision, found)

    def act(self, client: Client, context: Mapping[str, Any]) -> Any:
        """Not how this operator works: it waits between asking and answering."""
        raise TypeError("ApproveModelOperator acts in two parts: execute and execute_complete")

    def _asked(self, client: Client, context: Mapping[str, Any]) -> tuple[GateDecision, Approval | None]:
        """Re-read the decision, which must belong here, and return it with the approval that it lacks."""
        from penstock.services.references import check_belongs

        place = self.within(client, context)
        decision = client.get_decision(self.decision)
        self.acts_under = decision.decision_id
        check_belongs(
            client.wiring.store, "decision", decision.decision_id, decision.run_id, place["run"], self.accept_from
        )
        return decision, None if decision.passed else client.find_approval(decision)

    def _check_open(self, found: Approval) -> None:
        from penstock.errors import Conflict

        if found.answer is None and found.lapsed:
            hint = "Clear the gate's task: it decides, and asks, again"
            raise Conflict("approval", found.request.request_id, "an open request", found.lapsed, hint)

    def _answer(self, event: Mapping[str, Any]) -> tuple[bool, str, Actor]:
        """Return the answer in what Airflow tells: whether, why, and who."""
        from penstock.errors import InvalidValue
        from penstock.model.audit import Actor

        if event.get("error_type") == "timeout":
            return False, "nobody answered in time", Actor("service", "airflow", "airflow")
        if "error" in event:
            raise InvalidValue("answer", event["error"], "Approve or Reject")
        chosen, said = list(event["chosen_options"]), (event.get("params_input") or {}).get(REASON)
        if chosen not in ([self.APPROVE], [self.REJECT]):
            raise InvalidValue("answer", chosen, "Approve or Reject")
        user = event.get("responded_by_user") or {}
        name, number = (str(user.get(field) or "") for field in ("name", "id"))
        # Airflow vouches for both: the name is what four eyes compare, the id tells two people of one name apart.
        issuer = f"airflow#{number}" if number and name and number != name else "airflow"
        who = Actor("user", name or number or "unknown", issuer)
        reason = said if isinstance(said, str) and said.strip() else "no reason given"
        return chosen == [self.APPROVE], reason, who

    def _outcome(
        self, client: Client, context: Mapping[str, Any], decision: GateDecision, found: Approval | None
    ) -> dict[str, Any]:
        """Return the decision to go on with; skip or fail where there is none."""
        from penstock.errors import GateBlocked
        from penstock.model.audit import Actor

        if decision.passed:
            self.log.info("Decision %s has passed: there is nothing to ask", decision.decision_id)
            return decision.ref
        if found is None or found.answer is None:
            return self._refuse(GateBlocked(decision.decision_id, decision.verdict.value, decision.reasons))
        answer, request = found.answer, found.request
        said = f"{found.state.value} by {Actor(**answer.actor)} as {request.role}: {answer.reason}"
        self.log.info("%s@%s %s (request %s)", request.model, request.alias, said, request.request_id)
        again = client.decide_again(decision, run=self.works_in, accept_from=self.accept_from)
        self.log.info("%s", client.explain(again))
        self.acts_under = again.decision_id
        if again.passed or self._waits_for_another(client, again, request.role):
            return again.ref
        context["ti"].xcom_push(key="answer", value={**found.ref, "reason": answer.reason})
        return self._refuse(GateBlocked(again.decision_id, again.verdict.value, said))

    def _waits_for_another(self, client: Client, decision: GateDecision, role: str) -> bool:
        """Whether the policy wants a second approval, which the next ApproveModelOperator asks for."""
        found = client.find_approval(decision)
        return found is not None and found.state.value == "pending" and found.request.role != role

    def _refuse(self, blocked: Exception) -> dict[str, Any]:
        self.log.warning("%s", blocked)
        if self.on_refused == "fail":
            raise blocked
        raise AirflowSkipException(str(blocked))


def _shortest(wanted: timedelta | None, found: Approval) -> timedelta | None:
    """Return how long to wait: no longer than the request can be answered."""
    if found.request.expires_at is None:
        return wanted
    left = max(found.request.expires_at - datetime.now(UTC), timedelta(seconds=1))
    return left if wanted is None else min(wanted, left)
