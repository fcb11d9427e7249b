"""Applying a written policy to an evaluation, on record: the decision binds exactly what it judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock._version import __version__
from penstock.model.audit import NewEvent, model_chain
from penstock.model.decisions import GateDecision
from penstock.model.evaluations import Evaluation
from penstock.model.ids import check_alias_name, check_model_name, check_step_name, derived_id
from penstock.model.policies import GatePolicy
from penstock.model.runs import Attempt, AttemptState, StepId
from penstock.ports import StepEnd
from penstock.services.deciding import decide, decision_inputs
from penstock.services.once import new_attempt, once
from penstock.services.references import check_belongs, id_in
from penstock.services.wiring import Wiring

STEP = "decide"


def decide_on(
    wiring: Wiring,
    evaluation: object,
    policy: GatePolicy,
    *,
    model: str,
    alias: str,
    run: object = None,
    accept_from: Sequence[str] = (),
    step: str = STEP,
    map_index: int = -1,
) -> GateDecision:
    """Decide once: the same evaluation under the same policy returns the stored decision.

    The decision, the authorization it gives when it passed, its ledger entry and the step's result are one transaction.
    """
    check_model_name(model)
    check_alias_name(alias)
    measured = wiring.store.get_evaluation(id_in(evaluation, "evaluation_id"))
    check_belongs(wiring.store, "evaluation", measured.evaluation_id, measured.run_id, run, accept_from)
    declared = {"evaluation": measured.evaluation_id, "policy": policy.digest, "model": model, "alias": alias}
    new = new_attempt(wiring, StepId(measured.run_id, check_step_name(step), map_index), declared)

    def work(attempt: Attempt) -> GateDecision:
        decision = _judge(wiring, measured, policy, model, alias, new.inputs_digest)
        event = NewEvent(
            chain=model_chain(model),
            kind="decision_made",
            subject={"model": model, "alias": alias, "decision_id": decision.decision_id, "run_id": measured.run_id},
            actor=wiring.actor.to_json(),
            why=decision.reasons,
            after={
                "verdict": decision.verdict.value,
                "policy": policy.name,
                "policy_digest": policy.digest,
                "payload_digest": decision.payload_digest,
                "data_digest": decision.data_digest,
                "baseline_version": decision.baseline_version,
                "alias_generation": decision.alias_generation,
            },
        )
        return wiring.store.record_decision(decision, event, StepEnd(attempt, AttemptState.DONE, decision.ref))

    def recall(stored: Any) -> GateDecision:
        return wiring.store.get_decision(id_in(stored, "decision_id"))

    return once(wiring, new, work, recall)


def _judge(
    wiring: Wiring, evaluation: Evaluation, policy: GatePolicy, model: str, alias: str, inputs_digest: str
) -> GateDecision:
    details = wiring.store.get_run_details(evaluation.run_id)
    context = {
        "training_digests": sorted({data.digest for data in details.inputs if data.role == "train"}),
        "tags": dict(details.tags),
        "model": model,
    }
    verdict, outcomes = decide(policy, evaluation, context)
    baseline = evaluation.baseline
    if baseline is not None and (baseline.model, baseline.alias) == (model, alias):
        # What the candidate was compared with, not what is live now: a promotion in between must be found out.
        version, generation = baseline.version, baseline.generation or 0
    else:
        current = wiring.store.find_alias(model, alias)
        version, generation = (None, 0) if current is None else (current.version, current.generation)
    return GateDecision(
        decision_id=derived_id("decision", evaluation.run_id, inputs_digest),
        run_id=evaluation.run_id,
        evaluation_id=evaluation.evaluation_id,
        model=model,
        alias=alias,
        verdict=verdict,
        outcomes=outcomes,
        policy_name=policy.name,
        policy_text=policy.text,
        policy_digest=policy.digest,
        payload_digest=evaluation.payload_digest,
        data_digest=evaluation.dataset.digest,
        baseline_version=version,
        alias_generation=generation,
        no_baseline=version is None,
        code_version=f"penstock {__version__}",
        inputs=decision_inputs(policy, evaluation, context),
        actor=wiring.actor.to_json(),
    )
