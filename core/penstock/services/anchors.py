"""The anchor of a model family: set by a person, or moved to a version that was shown to be better than it.

Never to the highest point estimate: the best of many equal candidates is the luckiest, and a bar that creeps up by luck
refuses good models as surely as one that creeps down lets bad ones in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from penstock.errors import GateBlocked, NotAuthorized
from penstock.model.approvals import check_reason
from penstock.model.audit import NewEvent, model_chain
from penstock.model.decisions import GateDecision, Outcome, RuleOutcome
from penstock.model.ids import check_model_name
from penstock.model.overrides import Anchor
from penstock.model.versions import ModelVersion
from penstock.services.references import id_in
from penstock.services.registry import get_version
from penstock.services.wiring import Wiring


def set_anchor(wiring: Wiring, name: str, version: int, *, reason: str, decision: object = None) -> Anchor:
    """Make a version the model's anchor: for a person's reason, or with a decision that shows it to be better.

    A `decision` must have passed for exactly this version's payload, with a `better_than` with confidence against the
    anchor of now. Setting the anchor of now again changes nothing. `Conflict` if somebody else was quicker.
    """
    said = check_reason(reason, "why this version is the one to hold others against, in words")
    target = get_version(wiring, version, check_model_name(name))
    there = wiring.store.list_anchors(name)
    judged = None
    if decision is not None:
        judged = wiring.store.get_decision(id_in(decision, "decision_id"))
        _check_shows(judged, target, there[-1] if there else None)
    actor = wiring.actor.to_json()
    anchor = Anchor(
        model=name,
        sequence=len(there) + 1,
        version=target.version,
        payload_digest=target.payload_digest,
        reason=said,
        actor=actor,
        decision_id=None if judged is None else judged.decision_id,
    )
    event = NewEvent(
        chain=model_chain(name),
        kind="anchor_set",
        subject={"model": name, **({} if judged is None else {"decision_id": judged.decision_id})},
        actor=actor,
        why=said,
        before={"version": there[-1].version} if there else None,
        after={"version": target.version, "payload_digest": target.payload_digest, "number": anchor.sequence},
    )
    return wiring.store.record_anchor(anchor, event)


def _check_shows(decision: GateDecision, target: ModelVersion, anchor: Anchor | None) -> None:
    change = f"moving the anchor of {target.model!r} to version {target.version}"
    if not decision.passed:
        raise GateBlocked(decision.decision_id, decision.verdict.value, decision.reasons)
    if (decision.model, decision.payload_digest) != (target.model, target.payload_digest):
        raise NotAuthorized(change, "the decision judged another model or artifact")
    if anchor is None:
        raise NotAuthorized(change, "there is no anchor yet to be better than", "A person sets the first one")
    compared = [_baseline_of(outcome) for outcome in _shown_better(decision.outcomes)]
    if anchor.version not in compared:
        hint = "Evaluate against the anchor and decide under a policy with better_than and confidence"
        shown = f"the decision does not show it to be better than version {anchor.version}, the anchor, with confidence"
        raise NotAuthorized(change, shown, hint)


def _shown_better(outcomes: Sequence[RuleOutcome]) -> Iterator[RuleOutcome]:
    """Yield the superiority tests over all rows that passed and had to: not those of an `any_of`, nor of slices."""
    for outcome in outcomes:
        if outcome.outcome is not Outcome.PASSED:
            continue
        # The confidence it was judged with is the rule's own or the policy's.
        if "better_than" in outcome.rule and outcome.compared.get("confidence") is not None:
            yield outcome
        elif "all_of" in outcome.rule:
            yield from _shown_better(outcome.parts)


def _baseline_of(outcome: RuleOutcome) -> object:
    return outcome.compared.get("baseline", {}).get("version")
