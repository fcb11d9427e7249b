"""Measuring a model on held-out rows, with its baseline on the same rows in the same pass."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from penstock.errors import DataChanged, InvalidValue
from penstock.model.audit import NewEvent, experiment_chain
from penstock.model.custom_metrics import MetricSpec, declared
from penstock.model.data import Dataset, DataSource
from penstock.model.evaluations import ANCHOR, BASELINE, CANDIDATE, BaselineRef, Evaluation
from penstock.model.ids import check_step_name, derived_id
from penstock.model.runs import Attempt, AttemptState, StepId
from penstock.model.slices import SliceSpec, read_slicing
from penstock.model.uris import AliasUri, VersionUri, parse_model_uri
from penstock.model.versions import FileEntry, LoggedModel
from penstock.ports import Limits, Measured, StepEnd
from penstock.services import model_access
from penstock.services.datasets import training_data, training_rows
from penstock.services.once import new_attempt, once
from penstock.services.references import check_belongs, id_in, model_uri_in
from penstock.services.stand_ins import FLAVORS, FOLDER, FUNCTION, find_stand_in
from penstock.services.wiring import Wiring

Load = Callable[[], Any]

STEP = "evaluate"
BOOTSTRAP = 200  # replicates


@dataclass(frozen=True)
class Asked:
    """What an evaluation is asked for, beside model and data."""

    task: str = "auto"
    baseline: str | None = None
    slices: Sequence[SliceSpec] = ()
    metrics: Sequence[MetricSpec] = ()
    min_rows: int = 1
    trusted_types: Sequence[str] | None = None
    progress: Callable[[int], None] | None = None
    bootstrap: int = BOOTSTRAP
    anchor: str | bool = True
    sandbox: Limits | bool = False
    determinism: bool = False
    latency: bool = False
    plots: bool = False
    search_slices: Sequence[str] = ()
    expect_digest: str | None = None

    def declared(self) -> dict[str, Any]:
        """Return what identifies it as plain JSON; only what is not the default, so that old identities hold."""
        known: dict[str, Any] = {"task": self.task, "baseline": self.baseline, "slices": self.slice_names}
        if self.metrics:
            known["metrics"] = [declared(metric) for metric in self.metrics]
        if self.bootstrap != BOOTSTRAP:
            known["bootstrap"] = self.bootstrap
        if isinstance(self.anchor, str):
            known["anchor"] = self.anchor
        if self.expect_digest is not None:
            known["expect_digest"] = self.expect_digest
        if self.search_slices:
            known["search_slices"] = list(self.search_slices)
        known |= {name: True for name in ("determinism", "latency", "plots") if getattr(self, name)}
        return known | ({"min_rows": self.min_rows} if self.min_rows != 1 else {})

    @property
    def slice_names(self) -> list[str]:
        """The slicings by their stable names."""
        return [str(read_slicing(given)) for given in self.slices]

    @property
    def options(self) -> dict[str, Any]:
        """Return what the measuring engine takes."""
        return {
            "task": self.task,
            "slices": self.slice_names,
            "metrics": self.metrics,
            "min_rows": self.min_rows,
            "bootstrap": self.bootstrap,
            "determinism": self.determinism,
            "plots": self.plots,
            "search_slices": self.search_slices,
            "progress": self.progress,
        }

    @property
    def limits(self) -> Limits | None:
        """How far models in processes of their own may go; None where they predict in this one."""
        if isinstance(self.sandbox, Limits):
            return self.sandbox
        return Limits() if self.sandbox or self.latency else None


def resolved(wiring: Wiring, asked: Asked) -> Asked:
    """Return what is asked with the anchor as a URI: the one named, or the one on record for the baseline's model.

    Where the baseline is a registered model's, its anchor is measured unless `anchor` is False: the policies that need
    one are written for just that. What it is, is part of what identifies the evaluation.
    """
    if asked.anchor is not True or asked.baseline is None:
        return asked
    parsed = parse_model_uri(asked.baseline)
    anchors = wiring.store.list_anchors(parsed.model) if isinstance(parsed, AliasUri | VersionUri) else ()
    if not anchors:
        return asked
    return replace(asked, anchor=str(VersionUri(anchors[-1].model, anchors[-1].version)))


@dataclass(frozen=True)
class Loaded:
    """The models of an evaluation, and which versions the others were when they were loaded."""

    models: Mapping[str, Any]
    baseline: BaselineRef | None = None
    anchor: BaselineRef | None = None
    isolated: bool = False


@dataclass(frozen=True)
class Place:
    """A model that is to be measured, and the step of the run in which it is; `given` is what stands for no model."""

    uri: str
    candidate: LoggedModel
    step: StepId
    given: Any = None


def place_of(
    wiring: Wiring,
    model: object,
    data: Mapping[str, Any],
    run: object,
    accept_from: Sequence[str],
    step: str,
    map_index: int,
) -> Place:
    """Find the model and the run its evaluation belongs to: `run`, or the run that logged the model."""
    stand_in = find_stand_in(wiring, model, data, run)
    if stand_in is not None:
        return Place(stand_in.uri, stand_in, StepId(stand_in.run_id, check_step_name(step), map_index), model)
    uri = model_uri_in(model)
    candidate = model_access.find(wiring.store, uri).logged
    check_belongs(wiring.store, "model", uri, candidate.run_id, run, accept_from)
    run_id = candidate.run_id if run is None else id_in(run, "run_id")
    return Place(uri, candidate, StepId(run_id, check_step_name(step), map_index))


def evaluate(
    wiring: Wiring,
    model: object,
    held_out: DataSource,
    asked: Asked,
    *,
    run: object = None,
    accept_from: Sequence[str] = (),
    step: str = STEP,
    map_index: int = -1,
) -> Evaluation:
    """Measure once; the same model on the same data with the same baseline URI returns the stored evaluation.

    Evaluations that run side by side in one run need a `step` name (or map index) each: a step's newer attempt fences
    the older one. The evaluation belongs to `run`, or to the run that logged the model. What is stored is visible only
    when the whole pass has succeeded.
    """
    data = dict(wiring.reader().fingerprint(held_out))
    place = place_of(wiring, model, data, run, accept_from, step, map_index)
    training = training_data(wiring, place.candidate.run_id)
    asked = resolved(wiring, asked)
    inputs = {"model": place.candidate.payload_digest, "held_out": data, **asked.declared()}
    if training:  # logged later, it is looked for then
        inputs["trained_on"] = sorted({dataset.digest for dataset in training})
    new = new_attempt(wiring, place.step, inputs)

    def measure(attempt: Attempt) -> Evaluation:
        with loading(wiring, place, asked, attempt) as loaded, training_rows(wiring, training) as trained_on:
            measured = wiring.evaluator().measure(
                held_out=held_out, trained_on=trained_on, latency=asked.latency, **loaded.models, **asked.options
            )
        check_unchanged(data, measured.dataset)
        check_expected(asked, measured.dataset)
        return record(wiring, attempt, new.inputs_digest, place, loaded, measured, plots=asked.plots)

    return once(wiring, new, measure, lambda stored: recall(wiring, stored))


def check_unchanged(fingerprint: Mapping[str, Any], measured: Dataset) -> None:
    """Raise `DataChanged` where the rows measured are not those the step was entered for."""
    expected = fingerprint.get("rows", measured.digest)
    if measured.digest != expected:
        hint = "It changed while it was read, or a query or function gives other rows every time"
        raise DataChanged("data", measured.name, expected, measured.digest, hint)


def check_expected(asked: Asked, measured: Dataset) -> None:
    """Raise `DataChanged` where the rows are not those that the caller expects (`expect_digest`)."""
    if asked.expect_digest is not None and measured.digest != asked.expect_digest:
        hint = "No evaluation is on record. Restore the rows or, if they were meant to change, expect the new digest"
        raise DataChanged("held-out data", measured.name, asked.expect_digest, measured.digest, hint)


@contextmanager
def loading(wiring: Wiring, place: Place, asked: Asked, attempt: Attempt) -> Iterator[Loaded]:
    """Load the candidate and, where they are asked for and there, baseline and anchor; processes end with the block."""
    with ExitStack() as opened:
        loads = {"candidate": _candidate(wiring, place, asked, attempt)}
        ref, anchored = None, None
        if asked.baseline is not None:
            ref, against = model_access.find_baseline(wiring.store, asked.baseline)
            loads["baseline"] = None if against is None else _model(wiring, against.logged, asked.baseline, asked)
        if isinstance(asked.anchor, str):
            anchored, held = model_access.find_baseline(wiring.store, asked.anchor)
            # What is the baseline, too, need not be measured twice.
            same = ref is not None and (ref.model, ref.version) == (anchored.model, anchored.version)
            loads["anchor"] = None if held is None or same else _model(wiring, held.logged, asked.anchor, asked)
        models = {of: load if load is None else load() for of, load in _side_by_side(loads, asked, opened).items()}
        yield Loaded(models, ref, anchored, asked.limits is not None and models["candidate"] is not None)


def _side_by_side(loads: Mapping[str, Load | None], asked: Asked, opened: ExitStack) -> Mapping[str, Load | None]:
    """Begin to load models that get processes of their own, each of which must first import what they need.

    The threads last as long as the processes: a process ends with the thread that started it.
    """
    if asked.limits is None:
        return loads
    pool = opened.enter_context(ThreadPoolExecutor(len(loads), thread_name_prefix="penstock-loads"))

    def loaded(load: Load) -> Any:
        isolated = load()
        opened.callback(getattr(isolated, "close", lambda: None))
        return isolated

    return {of: None if load is None else pool.submit(loaded, load).result for of, load in loads.items()}


def _candidate(wiring: Wiring, place: Place, asked: Asked, attempt: Attempt) -> Load | None:
    flavor, limits = place.candidate.flavor, asked.limits
    if flavor not in FLAVORS:
        return _model(wiring, place.candidate, place.uri, asked)
    if asked.latency and flavor != FOLDER:
        raise InvalidValue("latency", f"a {flavor}", "a model: a logged one, or an MLmodel folder")
    if limits is not None and flavor == FUNCTION:
        hint = "Say sandbox=False to run it here, or log a model (run.log_model) and evaluate that"
        raise InvalidValue("sandbox", "a function", "a model that can be loaded in a process of its own", hint)
    wiring.store.add_model(attempt, place.candidate)
    if flavor != FOLDER:
        return None if place.given is None else lambda: place.given
    if limits is None:
        return lambda: model_access.load(wiring, place.given, asked.trusted_types)
    return lambda: model_access.load_folder_isolated(wiring, place.given, asked.trusted_types, limits)


def _model(wiring: Wiring, logged: LoggedModel, uri: str, asked: Asked) -> Load:
    if asked.limits is None:
        return lambda: model_access.load_logged(wiring, logged, uri, asked.trusted_types)
    return lambda: model_access.load_isolated(wiring, logged, uri, asked.trusted_types, asked.limits)


def record(
    wiring: Wiring,
    attempt: Attempt,
    inputs_digest: str,
    place: Place,
    loaded: Loaded,
    measured: Measured,
    *,
    plots: bool = False,
) -> Evaluation:
    """Store an evaluation, with its page and plots as files of the run where they are wanted, and end its attempt."""
    candidate = place.candidate
    facts = {**_known(candidate.facts), "size_bytes": candidate.size_bytes, "flavor": candidate.flavor}
    if loaded.isolated:  # it was loaded, and has predicted, where nothing that trained it is at hand
        facts["load_test"] = {"passed": True, "rows": measured.dataset.rows}
    evaluation = Evaluation(
        evaluation_id=derived_id("evaluation", place.step.run_id, inputs_digest),
        run_id=place.step.run_id,
        model_id=candidate.model_id,
        payload_digest=candidate.payload_digest,
        task=measured.task,
        dataset=measured.dataset,
        measurements=measured.measurements,
        baseline=loaded.baseline,
        anchor=loaded.anchor,
        curves=measured.curves,
        model_facts={**facts, **measured.facts},
    )
    if plots:
        _keep_plots(wiring, attempt, evaluation, place.uri)
    end = StepEnd(attempt, AttemptState.DONE, evaluation.ref)
    return wiring.store.record_evaluation(evaluation, _event(wiring, evaluation), end)


def _keep_plots(wiring: Wiring, attempt: Attempt, evaluation: Evaluation, uri: str) -> None:
    files = wiring.evaluator().draw(evaluation, title=f"{uri} on {evaluation.dataset.name}")
    entries = []
    with tempfile.TemporaryDirectory(prefix="penstock-") as scratch:
        for name, text in files.items():
            path = Path(scratch) / name
            path.write_text(text, encoding="utf-8")
            entries.append(
                FileEntry(f"evaluations/{evaluation.evaluation_id}/{name}", *wiring.artifacts.put_file(path))
            )
    wiring.store.put_artifacts(attempt, entries)


def recall(wiring: Wiring, stored: Any) -> Evaluation:
    """Return the evaluation that a step's stored result names."""
    return wiring.store.get_evaluation(id_in(stored, "evaluation_id"))


def _known(facts: Any) -> dict[str, Any]:
    """The facts that policies ask about, without those that only loading needs."""
    kept = ("signature", "input_example")
    return {name: facts[name] for name in kept if name in facts}


def _event(wiring: Wiring, evaluation: Evaluation) -> NewEvent:
    run = wiring.store.get_run(evaluation.run_id)
    return NewEvent(
        chain=experiment_chain(run.experiment),
        kind="evaluation_recorded",
        subject={"run_id": run.run_id, "evaluation_id": evaluation.evaluation_id},
        actor=wiring.actor.to_json(),
        after=said_of_evaluation(evaluation, evaluation.payload_digest),
    )


def said_of_evaluation(evaluation: Evaluation, payload_digest: str) -> dict[str, Any]:
    """Return what the ledger says of an evaluation of a model with this payload, as plain JSON."""
    return {
        "payload_digest": payload_digest,
        "data_digest": evaluation.dataset.digest,
        "rows": evaluation.dataset.rows,
        "baseline": None if evaluation.baseline is None else evaluation.baseline.to_json(),
        CANDIDATE: overall_values(evaluation, CANDIDATE),
        BASELINE: overall_values(evaluation, BASELINE),
        **({} if evaluation.anchor is None else {ANCHOR: overall_values(evaluation, ANCHOR)}),
    }


def overall_values(evaluation: Evaluation, of: str) -> dict[str, Any]:
    """Return metric → value over all rows, as the ledger records it: a value that is no finite number by its kind."""
    values = {}
    for measurement in evaluation.measurements:
        if measurement.of == of and not measurement.slice:
            data = measurement.to_json()
            values[measurement.metric] = data["kind"] if data["value"] is None else data["value"]
    return values
