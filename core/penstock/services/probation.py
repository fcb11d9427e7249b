"""Promotions on probation: later evaluations of what is live are judged, and what fails goes back by itself.

A rollback here expects the generation that the probation belongs to, so that it never undoes a newer move. Backfills
judge nothing (law L7).
"""

from __future__ import annotations

from collections.abc import Sequence

from penstock.errors import InvalidValue, NotFound
from penstock.model.audit import NewEvent, model_chain
from penstock.model.decisions import Verdict
from penstock.model.evaluations import Evaluation
from penstock.model.ids import check_alias_name, check_model_name, derived_id
from penstock.model.policies import GatePolicy
from penstock.model.probation import AliasProbation, Probation, ProbationJudgement, ProbationTerms
from penstock.model.versions import Authorization, AuthorizationKind
from penstock.services.deciding import decide, decision_inputs
from penstock.services.gate_context import mentions, standing_of
from penstock.services.references import id_in
from penstock.services.wiring import Wiring

_UNFIT = ("approval", "budget")


def terms_of(probation: Probation, policy: GatePolicy) -> ProbationTerms:
    """Return a probation as it is kept; `InvalidValue` for a policy that waits for people or counts looks."""
    for word in _UNFIT:
        if mentions(policy, word):
            raise InvalidValue("probation policy", policy.name, f"a policy without {word!r}, which judges by itself")
    return ProbationTerms(
        policy_name=policy.name,
        policy_digest=policy.digest,
        policy=policy.to_json(),
        policy_text=policy.text,
        days=probation.days,
        evaluations=probation.evaluations,
    )


def judge(wiring: Wiring, model: str, alias: str, evaluation: object, *, backfill: bool = False) -> ProbationJudgement:
    """Judge an evaluation by the policy of the alias's last probation, on record, with what follows from it.

    The same evaluation again returns what was recorded. A backfill is judged and nothing is recorded.
    `NotFound` without a probation; `InvalidValue` for an evaluation of another model, or from before the promotion.
    """
    measured, found = _asked(wiring, model, alias, evaluation)
    if not found:
        hint = "Promote with one: client.promote(..., probation=Probation(policy=..., days=14))"
        raise NotFound("probation", f"models:/{model}@{alias}", hint)
    for probation in reversed(found):
        known = _known(wiring, probation, measured)
        if known is not None:
            return known
    probation = found[-1]
    _check_fits(probation, measured)
    policy = GatePolicy.from_data(probation.terms.policy, probation.terms.policy_text)
    context = standing_of(wiring.store, measured, policy, model, alias, wiring.actor).context
    verdict, outcomes = decide(policy, measured, context)
    judgement = ProbationJudgement(
        model=model,
        alias=alias,
        generation=probation.generation,
        evaluation_id=measured.evaluation_id,
        verdict=verdict,
        outcomes=outcomes,
        actor=wiring.actor.to_json(),
        state=probation.state,
        inputs=decision_inputs(policy, measured, context),
    )
    if backfill or measured.model_facts.get("backfill"):
        return judgement
    back = _back(wiring, probation, judgement) if verdict is Verdict.FAIL else None
    return wiring.store.record_probation_judgement(judgement, back)


def judge_if_any(
    wiring: Wiring, model: str, alias: str, evaluation: object, *, backfill: bool = False
) -> ProbationJudgement | None:
    """Judge an evaluation if what it measured is on probation, or was judged by it before; else return None."""
    measured, found = _asked(wiring, model, alias, evaluation)
    known = any(_known(wiring, probation, measured) is not None for probation in found)
    if not known and not (found and found[-1].open and found[-1].payload_digest == measured.payload_digest):
        return None
    return judge(wiring, model, alias, evaluation, backfill=backfill)


def settle(wiring: Wiring) -> Sequence[AliasProbation]:
    """End the probations whose time is over, or whose alias has moved since, on record; return those."""
    return wiring.store.settle_probations(wiring.actor.to_json())


def _asked(wiring: Wiring, model: str, alias: str, evaluation: object) -> tuple[Evaluation, Sequence[AliasProbation]]:
    """Return the evaluation, and every probation that the alias has had."""
    check_model_name(model)
    check_alias_name(alias)
    measured = wiring.store.get_evaluation(id_in(evaluation, "evaluation_id"))
    return measured, [one for one in wiring.store.list_probations(model) if one.alias == alias]


def _known(wiring: Wiring, probation: AliasProbation, measured: Evaluation) -> ProbationJudgement | None:
    made = wiring.store.list_probation_judgements(probation.model, probation.alias, probation.generation)
    return next((one for one in made if one.evaluation_id == measured.evaluation_id), None)


def _check_fits(probation: AliasProbation, measured: Evaluation) -> None:
    if measured.payload_digest != probation.payload_digest:
        expected = f"one of models:/{probation.model}/{probation.version}, which is on probation"
        hint = f"Evaluate models:/{probation.model}@{probation.alias}"
        raise InvalidValue("evaluation", measured.evaluation_id, expected, hint)
    made, started = measured.created_at, probation.started_at
    if made is not None and started is not None and made < started:
        expected = "one made since the promotion, on labels that arrived later"
        raise InvalidValue("evaluation", measured.evaluation_id, expected)


def _back(wiring: Wiring, probation: AliasProbation, judgement: ProbationJudgement) -> tuple[Authorization, NewEvent]:
    """Return what authorizes and records the way back: the earlier tenure of the version that was there before."""
    actor = wiring.actor.to_json()
    given = derived_id("rollback", probation.model, probation.alias, f"probation {probation.generation}")
    why = f"failed its probation: {judgement.reasons}"
    subject = {"model": probation.model, "alias": probation.alias, "rollback": given}
    authorization = Authorization(given, AuthorizationKind.ROLLBACK, probation.model, None, why, actor)
    return authorization, NewEvent(model_chain(probation.model), "alias_moved", subject, actor, why)
