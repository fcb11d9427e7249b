"""The policy in force when a decision is used: it may have changed since the decision was made."""

from __future__ import annotations

from penstock.errors import InvalidValue, NotAuthorized
from penstock.model.policies import GatePolicy
from penstock.services.overrides import named_in
from penstock.services.references import id_in
from penstock.services.wiring import Wiring


def check_in_force(wiring: Wiring, change: str, decision: object, policy: GatePolicy | None) -> None:
    """`NotAuthorized` unless a decision was made under exactly this policy; None asks for nothing.

    Layout and comments do not count: policies are compared by what they mean.
    """
    if policy is None:
        return
    if decision is None or named_in(wiring, decision) is not None:
        raise InvalidValue("policy", policy.name, "none here: an override or an ungated model was judged under none")
    judged = wiring.store.get_decision(id_in(decision, "decision_id"))
    if judged.policy_digest != policy.digest:
        made, wanted = judged.policy_digest[:12], policy.digest[:12]
        raise NotAuthorized(
            change,
            f"the decision was made under another policy: {judged.policy_name!r} (digest {made}), "
            f"and {policy.name!r} (digest {wanted}) is in force",
            "Decide again under this one",
        )
