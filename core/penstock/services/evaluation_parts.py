"""An evaluation in parts: mapped tasks each measure some of the rows, a last one merges what they found.

A part is a file of the run: a line of JSON that says what was measured against what, then the engine's state. The
reference to it is small JSON that names the run, the file and its SHA-256; the file is read again from the store.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from penstock.errors import Conflict, InvalidValue, NotFound
from penstock.model.data import DataSource
from penstock.model.evaluations import BaselineRef, Evaluation
from penstock.model.ids import check_step_name
from penstock.model.runs import Attempt, AttemptState, StepId
from penstock.model.versions import FileEntry
from penstock.ports import StepEnd
from penstock.services import evaluation, model_access
from penstock.services.datasets import training_data, training_rows
from penstock.services.evaluation import Asked, Loaded, Place
from penstock.services.once import new_attempt, once
from penstock.services.references import id_in
from penstock.services.storing import referred_to
from penstock.services.wiring import Wiring

PART_STEP = "evaluate-part"
_FOLDER = "evaluations/parts"
# What the parts of one evaluation must agree on.
_SHARED = ("payload_digest", "model", "baseline", "anchor", "asked", "columns")


def evaluate_part(
    wiring: Wiring,
    model: object,
    held_out: DataSource,
    asked: Asked,
    *,
    run: object = None,
    accept_from: Sequence[str] = (),
    step: str = PART_STEP,
    map_index: int = -1,
) -> Mapping[str, Any]:
    """Measure a part of the rows once, and return the reference to what was found, for `merge_evaluations`.

    Parts that run side by side need a map index (or a `step` name) each.
    """
    data = dict(wiring.reader().fingerprint(held_out))
    place = evaluation.place_of(wiring, model, data, run, accept_from, step, map_index)
    asked = evaluation.resolved(wiring, asked)
    new = new_attempt(
        wiring,
        place.step,
        {"model": place.candidate.payload_digest, "held_out": data, "part": True, **asked.declared()},
    )

    def measure(attempt: Attempt) -> Mapping[str, Any]:
        training = training_data(wiring, place.candidate.run_id)
        with (
            evaluation.loading(wiring, place, asked, attempt) as loaded,
            training_rows(wiring, training) as trained_on,
        ):
            part = wiring.evaluator().measure_part(
                held_out=held_out, trained_on=trained_on, **loaded.models, **asked.options
            )
        head = {
            "model": place.uri,
            "payload_digest": place.candidate.payload_digest,
            "baseline": None if loaded.baseline is None else loaded.baseline.to_json(),
            "anchor": None if loaded.anchor is None else loaded.anchor.to_json(),
            "isolated": loaded.isolated,
            "asked": asked.declared(),
            "columns": {role: list(columns) for role, columns in held_out.columns.items()},
            "name": held_out.name,
        }
        reference = _store(wiring, attempt, head, part)
        wiring.store.end_attempt(StepEnd(attempt, AttemptState.DONE, reference))
        return reference

    return once(wiring, new, measure, lambda stored: dict(stored))


def merge_evaluations(
    wiring: Wiring,
    parts: Sequence[object],
    asked: Asked,
    *,
    run: object = None,
    step: str = evaluation.STEP,
    map_index: int = -1,
) -> Evaluation:
    """Merge parts into one evaluation: the measurements that one pass over all their rows would have found.

    The same parts, in any order, return the stored evaluation. `asked.metrics` are needed again where the parts have
    metrics of one's own. `Conflict` for parts of different models, baselines, columns or wishes, `InvalidValue` for
    none, for one given twice, or for parts of another run.
    """
    references = [_reference(part) for part in parts]
    digests = sorted(reference["sha256"] for reference in references)
    if len(set(digests)) != len(digests) or not digests:
        raise InvalidValue("parts of an evaluation", f"{len(digests)} parts", "at least one part, and every part once")
    run_id = references[0]["run_id"] if run is None else id_in(run, "run_id")
    if others := sorted({reference["run_id"] for reference in references} - {run_id}):
        raise InvalidValue("parts of an evaluation", others, f"parts of run {run_id}")
    inputs: dict[str, Any] = {"parts": digests}
    if asked.expect_digest is not None:
        inputs["expect_digest"] = asked.expect_digest
    new = new_attempt(wiring, StepId(run_id, check_step_name(step), map_index), inputs)

    def merge(attempt: Attempt) -> Evaluation:
        read = [_fetch(wiring, reference) for reference in sorted(references, key=lambda found: found["path"])]
        heads = [head for head, _ in read]
        for head in heads[1:]:
            for name in _SHARED:
                if head[name] != heads[0][name]:
                    differs = "digests differ" if name == "payload_digest" else f"{name} differs"
                    what_to_do = "Measure all parts against one baseline: name a version, or hold the alias still"
                    hint = f"They are not comparable: {differs}. {what_to_do}"
                    raise Conflict("parts of an evaluation", name, heads[0][name], head[name], hint)
        place = _place(wiring, heads[0], new.step)
        with training_rows(wiring, training_data(wiring, place.candidate.run_id)) as trained_on:
            measured = wiring.evaluator().merge_parts(
                [part for _, part in read], _data(heads[0]), metrics=asked.metrics, trained_on=trained_on
            )
        measured = replace(measured, dataset=replace(measured.dataset, source=f"{len(read)} parts"))
        evaluation.check_expected(asked, measured.dataset)
        baseline, anchor = (
            None if heads[0][of] is None else BaselineRef(**heads[0][of]) for of in ("baseline", "anchor")
        )
        loaded = Loaded({}, baseline, anchor, isolated=all(head["isolated"] for head in heads))
        plots = bool(heads[0]["asked"].get("plots"))
        return evaluation.record(wiring, attempt, new.inputs_digest, place, loaded, measured, plots=plots)

    return once(wiring, new, merge, lambda stored: evaluation.recall(wiring, stored))


def _place(wiring: Wiring, head: Mapping[str, Any], step: StepId) -> Place:
    candidate = model_access.find(wiring.store, head["model"]).logged
    if candidate.payload_digest != head["payload_digest"]:
        hint = "The alias moved after the parts were measured: evaluate again"
        raise Conflict("model", head["model"], head["payload_digest"], candidate.payload_digest, hint)
    return Place(head["model"], candidate, step)


def _data(head: Mapping[str, Any]) -> DataSource:
    columns = {role: tuple(named) for role, named in head["columns"].items()}
    several = {role: columns[role] for role in ("drop", "scores") if role in columns}
    single = {role: named[0] for role, named in columns.items() if role not in several}
    return DataSource(_no_rows, name=head["name"], **single, **several)  # type: ignore[arg-type]


def _no_rows() -> Iterator[Any]:
    """The rows have been read where the parts were measured."""
    return iter(())


def _store(wiring: Wiring, attempt: Attempt, head: Mapping[str, Any], part: bytes) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="penstock-") as scratch:
        path = Path(scratch) / "part"
        with path.open("wb") as file:
            file.write(json.dumps(head).encode() + b"\n")
            file.write(part)

        def refer(stored: tuple[str, int], sweeps: Sequence[str]) -> dict[str, Any]:
            sha256, size = stored
            name = f"{_FOLDER}/{attempt.step.name}-{max(attempt.step.map_index, 0)}-{sha256[:16]}"
            wiring.store.put_artifacts(attempt, [FileEntry(name, sha256, size)], sweeps)
            return {"evaluation_part": name, "path": name, "sha256": sha256, "run_id": attempt.step.run_id}

        return referred_to(lambda: wiring.artifacts.put_file(path), refer)


def _reference(part: object) -> dict[str, str]:
    names = ("path", "sha256", "run_id")
    if not isinstance(part, Mapping) or not all(isinstance(part.get(name), str) for name in names):
        raise InvalidValue("part of an evaluation", part, "the reference that evaluate_part returned")
    return {name: str(part[name]) for name in names}


def _fetch(wiring: Wiring, reference: Mapping[str, str]) -> tuple[Mapping[str, Any], bytes]:
    entries = {entry.path: entry for entry in wiring.store.list_artifacts(reference["run_id"])}
    entry = entries.get(reference["path"])
    if entry is None or entry.sha256 != reference["sha256"]:
        raise NotFound("part of an evaluation", reference["path"], f"Run {reference['run_id']} has no such part")
    with tempfile.TemporaryDirectory(prefix="penstock-") as scratch:
        path = Path(scratch) / "part"
        wiring.artifacts.fetch(entry.sha256, path)
        head, _, part = path.read_bytes().partition(b"\n")
    return json.loads(head), part
