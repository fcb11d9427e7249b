"""Beside the gate: dry runs, replays, policy diffs, approvals, overrides, anchors, looks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from penstock.client.base import OnWiring
from penstock.errors import InvalidValue
from penstock.model.approvals import Approval, ApprovalState
from penstock.model.audit import Actor
from penstock.model.decisions import GateDecision
from penstock.model.looks import Look
from penstock.model.overrides import Anchor, Override
from penstock.services.references import id_in

if TYPE_CHECKING:
    from penstock.services.policy_diff import PolicyDiff, Replayed


class Gating(OnWiring):
    """Beside the gate: dry runs, replays, policy diffs, approvals, overrides, anchors, looks."""

    def dry_run(self, evaluation: object, policy: Any, *, model: str, alias: str = "champion") -> GateDecision:
        """Say what the gate would say, deciding nothing. It shows numbers, so it counts as a look, on record."""
        from penstock.policies.loading import load_policy
        from penstock.services import gates

        return gates.dry_run(self.wiring, evaluation, load_policy(policy), model=model, alias=alias)

    def explain(self, decision: object, form: str = "short") -> str:
        """Return a decision for people elsewhere: `short` for a chat message, `html` for a page, `junit` for CI.

        A dry run's answer, which is not on record, is explained as it is given.
        """
        from penstock.services import explaining

        html = partial(explaining.as_html, styled=True)
        forms: dict[str, Callable[[GateDecision], str]]
        forms = {"short": explaining.short_text, "html": html, "junit": explaining.as_junit}
        if form not in forms:
            raise InvalidValue("form", form, "short, html or junit")
        if isinstance(decision, GateDecision):
            return forms[form](decision)
        return forms[form](self.wiring.store.get_decision(id_in(decision, "decision_id")))

    def replay(self, decision: object) -> Replayed:
        """Recompute a decision from its own record alone; not a look, and nothing is written."""
        from penstock.services.policy_diff import replay_of

        return replay_of(self.wiring.store.get_decision(id_in(decision, "decision_id")))

    def diff_policies(self, old: Any, new: Any, *, model: str | None = None, of_any_policy: bool = False) -> PolicyDiff:
        """Say which past decisions would have come out differently under another policy, and why.

        Of decisions made under a policy with the old one's name, or with `of_any_policy` of all; of one model if it is
        named. From the records alone: not a look, and nothing is written.
        """
        from penstock.policies.loading import load_policy
        from penstock.services.policy_diff import policy_diff

        decisions = self.wiring.store.read_decisions(model)
        return policy_diff(decisions, load_policy(old), load_policy(new), of_any_policy=of_any_policy)

    def list_looks(self, model: str) -> Sequence[Look]:
        """Return every time the numbers of a model's candidates were seen: decisions and dry runs, in order."""
        return self.wiring.store.list_looks(model)

    def list_approvals(
        self, *, run: object = None, model: str | None = None, state: ApprovalState | str | None = None
    ) -> Sequence[Approval]:
        """Return approval requests with what became of them, oldest first."""
        run_id = None if run is None else id_in(run, "run_id")
        wanted = None if state is None else ApprovalState(state)
        found = self.wiring.store.list_approvals(run_id, model)
        return [approval for approval in found if wanted in {None, approval.state}]

    def find_approval(self, given: object) -> Approval | None:
        """Return an approval by its request's id or reference, or the one a decision asked for; None if none."""
        from penstock.services import approvals

        return approvals.find(self.wiring.store, given)

    def answer_approval(
        self, request: object, approve: bool, reason: str, *, actor: Actor | str | None = None
    ) -> Approval:
        """Approve or reject what a decision asked for, with a reason; then decide again.

        `request` is a request's id or reference, or the decision that asked. The same answer again changes nothing.
        `NotAuthorized` if the policy wants four eyes and `actor` (this client's, if left out) made what is judged;
        `Conflict` if it was answered otherwise or has lapsed. In library mode names are asserted, not checked.
        """
        from penstock.services import approvals

        who = Actor("user", actor) if isinstance(actor, str) else actor
        return approvals.answer(self.wiring, request, approve, reason, who)

    def decide_again(self, decision: object, *, run: object = None, accept_from: Sequence[str] = ()) -> GateDecision:
        """Decide what a decision was asked once more, as the same step and under its own policy, read from its record.

        For when a person has answered: the answer makes a new decision. Where nothing has been answered since, this is
        a retry and returns the decision that is on record.
        """
        from penstock.model.policies import GatePolicy
        from penstock.services import gates

        asked = self.wiring.store.get_decision(id_in(decision, "decision_id"))
        found = self.find_approval(asked)
        place: dict[str, Any] = {}
        if found is not None:
            place = {"step": found.request.step.name, "map_index": found.request.step.map_index}
        policy = GatePolicy.from_data(asked.inputs["policy"], asked.policy_text)
        return gates.decide_on(
            self.wiring,
            {"evaluation_id": asked.evaluation_id},
            policy,
            model=asked.model,
            alias=asked.alias,
            run=run,
            accept_from=accept_from,
            **place,
        )

    def override(
        self,
        name: str,
        model: object,
        *,
        aliases: Sequence[str] = ("champion",),
        reason: str,
        expires_hours: float = 24,
    ) -> Override:
        """Allow one registration of exactly this model, and one move of each alias named, without a passed gate.

        In this client's actor's name, for a time, with a reason; on record and visible wherever the version is shown.
        Give it to `register` and `promote` in place of a decision.
        """
        from penstock.services import overrides

        return overrides.give(self.wiring, name, model, aliases=aliases, reason=reason, expires_hours=expires_hours)

    def list_overrides(self, model: str | None = None) -> Sequence[Override]:
        """Return overrides with what was done under them, oldest first; of one model or all."""
        return self.wiring.store.list_overrides(model)

    def set_anchor(self, name: str, version: int, *, reason: str, decision: object = None) -> Anchor:
        """Make a version the one that repeated "no worse than" rules are held against, too.

        By a person's word, or with a `decision` that passed `better_than` against the anchor with confidence.
        """
        from penstock.services import anchors

        return anchors.set_anchor(self.wiring, name, version, reason=reason, decision=decision)

    def find_anchor(self, name: str) -> Anchor | None:
        """Return a model's anchor; None if nobody has set one."""
        return next(iter(self.anchor_history(name)[-1:]), None)

    def anchor_history(self, name: str) -> Sequence[Anchor]:
        """Return every anchor a model has had, oldest first."""
        return self.wiring.store.list_anchors(name)
