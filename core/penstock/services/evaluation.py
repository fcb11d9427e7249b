"""Measuring a model on held-out rows, with its baseline on the same rows in the same pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from penstock.model.audit import NewEvent, experiment_chain
from penstock.model.data import DataSource
from penstock.model.evaluations import BASELINE, CANDIDATE, Evaluation
from penstock.model.ids import check_step_name, derived_id
from penstock.model.runs import Attempt, AttemptState, StepId
from penstock.ports import StepEnd
from penstock.services import model_access
from penstock.services.once import new_attempt, once
from penstock.services.references import check_belongs, id_in, model_uri_in
from penstock.services.wiring import Wiring

STEP = "evaluate"


def evaluate(
    wiring: Wiring,
    model: object,
    held_out: DataSource,
    *,
    task: str = "auto",
    baseline: str | None = None,
    slices: Sequence[str] = (),
    run: object = None,
    accept_from: Sequence[str] = (),
    trusted_types: Sequence[str] | None = None,
    step: str = STEP,
    map_index: int = -1,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Measure once; the same model on the same data with the same baseline URI returns the stored evaluation.

    Evaluations that run side by side in one run need a `step` name (or map index) each: a step's newer attempt fences
    the older one. The evaluation belongs to `run`, or to the run that logged the model. What is stored is visible only
    when the whole pass has succeeded.
    """
    uri = model_uri_in(model)
    candidate = model_access.find(wiring.store, uri).logged
    check_belongs(wiring.store, "model", uri, candidate.run_id, run, accept_from)
    run_id = candidate.run_id if run is None else id_in(run, "run_id")
    place = StepId(run_id, check_step_name(step), map_index)
    declared = {
        "model": candidate.payload_digest,
        "held_out": dict(wiring.reader().fingerprint(held_out)),
        "task": task,
        "baseline": baseline,
        "slices": list(slices),
    }
    new = new_attempt(wiring, place, declared)

    def measure(attempt: Attempt) -> Evaluation:
        predictor = model_access.load_logged(wiring, candidate, uri, trusted_types)
        ref, against = (None, None) if baseline is None else model_access.find_baseline(wiring.store, baseline)
        champion = None
        if against is not None:
            champion = model_access.load_logged(wiring, against.logged, str(baseline), trusted_types)
        measured = wiring.evaluator().measure(
            predictor, held_out, task=task, baseline=champion, slices=slices, progress=progress
        )
        evaluation = Evaluation(
            evaluation_id=derived_id("evaluation", run_id, new.inputs_digest),
            run_id=run_id,
            model_id=candidate.model_id,
            payload_digest=candidate.payload_digest,
            task=measured.task,
            dataset=measured.dataset,
            measurements=measured.measurements,
            baseline=ref,
            curves=measured.curves,
            model_facts={
                **_known(candidate.facts),
                "size_bytes": candidate.size_bytes,
                "flavor": candidate.flavor,
            },
        )
        end = StepEnd(attempt, AttemptState.DONE, evaluation.ref)
        return wiring.store.record_evaluation(evaluation, _event(wiring, evaluation), end)

    def recall(stored: Any) -> Evaluation:
        return wiring.store.get_evaluation(id_in(stored, "evaluation_id"))

    return once(wiring, new, measure, recall)


def _known(facts: Any) -> dict[str, Any]:
    """The facts that policies ask about, without those that only loading needs."""
    kept = ("signature", "input_example")
    return {name: facts[name] for name in kept if name in facts}


def _event(wiring: Wiring, evaluation: Evaluation) -> NewEvent:
    run = wiring.store.get_run(evaluation.run_id)
    baseline = None if evaluation.baseline is None else evaluation.baseline.to_json()
    return NewEvent(
        chain=experiment_chain(run.experiment),
        kind="evaluation_recorded",
        subject={"run_id": run.run_id, "evaluation_id": evaluation.evaluation_id},
        actor=wiring.actor.to_json(),
        after={
            "payload_digest": evaluation.payload_digest,
            "data_digest": evaluation.dataset.digest,
            "rows": evaluation.dataset.rows,
            "baseline": baseline,
            CANDIDATE: overall_values(evaluation, CANDIDATE),
            BASELINE: overall_values(evaluation, BASELINE),
        },
    )


def overall_values(evaluation: Evaluation, of: str) -> dict[str, Any]:
    """Return metric → value over all rows, as the ledger records it: a value that is no finite number by its kind."""
    values = {}
    for measurement in evaluation.measurements:
        if measurement.of == of and not measurement.slice:
            data = measurement.to_json()
            values[measurement.metric] = data["kind"] if data["value"] is None else data["value"]
    return values
