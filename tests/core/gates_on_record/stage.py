"""A store with models that were measured by hand: what gates keep beside decisions needs numbers, not predictions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import penstock
from penstock.model.audit import NewEvent, experiment_chain
from penstock.model.canonical import digest
from penstock.model.data import Dataset
from penstock.model.evaluations import BASELINE, CANDIDATE, BaselineRef, Evaluation, Measurement
from penstock.model.ids import derived_id
from penstock.model.versions import LoggedModel, ModelVersion
from penstock.services.evaluation import overall_values
from penstock.statistics.evidence import PairedProportions, Proportion
from tests.contracts import samples

MODEL, ALIAS = "on-time", "champion"
ROWS = 2000
AT_LEAST = {"name": "p", "rules": [{"at_least": {"metric": "accuracy", "value": 0.8}}]}
ASKING = {
    "name": "asking",
    "rules": [
        {"at_least": {"metric": "accuracy", "value": 0.8}},
        {"approval": {"role": "owner", "expires_hours": 24, "four_eyes": True}},
    ],
}


def better(**more: Any) -> dict[str, Any]:
    """A policy that wants to see that a candidate is better than the champion, with confidence."""
    rule = {"better_than": {"baseline": ALIAS, "metric": "accuracy", "by": 0, "confidence": 0.95}}
    return {"name": "better", "rules": [rule], **more}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'penstock.db'}"


@pytest.fixture
def client(url: str) -> Iterator[penstock.Client]:
    """The pipeline's client: its actor makes what is judged."""
    with penstock.connect(url, actor="pipeline") as client:
        yield client


@pytest.fixture
def vera(url: str, client: penstock.Client) -> Iterator[penstock.Client]:
    """Somebody else."""
    with penstock.connect(url, actor="vera") as vera:
        yield vera


def trained(client: penstock.Client, partition: str) -> LoggedModel:
    """A model of its own for each partition, logged in a run of its own."""
    with client.open_run("delays/on-time", partition) as run:
        store = client.wiring.store
        attempt = samples.begun(store, run.run_id, "train", partition)
        model = store.add_model(attempt, samples.logged_model(run.run_id, partition))
        store.end_attempt(samples.done(attempt, model.ref))
    return model


def measured(
    client: penstock.Client,
    partition: str,
    accuracy: float = 0.9,
    *,
    rows_of: str = "",
    against: ModelVersion | None = None,
    baseline_accuracy: float = 0.85,
) -> Evaluation:
    """A candidate measured on the rows named `rows_of` (fresh ones by default), beside a version if one is named."""
    model = trained(client, partition)
    right, theirs = round(accuracy * ROWS), round(baseline_accuracy * ROWS)
    stats: dict[str, Any] = {"evidence": Proportion(right, ROWS).to_json()}
    measurements, baseline = [], None
    if against is not None:
        both = min(right, theirs) - 20
        table = PairedProportions(both, right - both, theirs - both, ROWS - right - theirs + both)
        stats["paired"] = table.to_json()
        theirs_stats = {"evidence": Proportion(theirs, ROWS).to_json()}
        measurements.append(Measurement("accuracy", BASELINE, theirs / ROWS, ROWS, stats=theirs_stats))
        live = client.wiring.store.find_alias(MODEL, ALIAS)
        baseline = BaselineRef(
            f"models:/{MODEL}@{ALIAS}",
            MODEL,
            ALIAS,
            against.version,
            0 if live is None else live.generation,
            against.payload_digest,
        )
    measurements.append(Measurement("accuracy", CANDIDATE, right / ROWS, ROWS, stats=stats))
    evaluation = Evaluation(
        evaluation_id=derived_id("evaluation", partition, rows_of, accuracy),
        run_id=model.run_id,
        model_id=model.model_id,
        payload_digest=model.payload_digest,
        task="binary",
        dataset=Dataset("flights", digest(rows_of or partition), ROWS, "held-out", "flights.parquet"),
        measurements=tuple(measurements),
        baseline=baseline,
    )
    store = client.wiring.store
    attempt = samples.begun(store, model.run_id, "evaluate", evaluation.evaluation_id)
    told = {
        "payload_digest": evaluation.payload_digest,
        "data_digest": evaluation.dataset.digest,
        "rows": evaluation.dataset.rows,
        "baseline": None if baseline is None else baseline.to_json(),
        CANDIDATE: overall_values(evaluation, CANDIDATE),
        BASELINE: overall_values(evaluation, BASELINE),
    }
    subject = {"run_id": model.run_id, "evaluation_id": evaluation.evaluation_id}
    actor = client.wiring.actor.to_json()
    event = NewEvent(experiment_chain("delays/on-time"), "evaluation_recorded", subject, actor, after=told)
    return store.record_evaluation(evaluation, event, samples.done(attempt, evaluation.ref))


def loads(client: penstock.Client, version: ModelVersion) -> ModelVersion:
    """Put on record that a version loads: these models have no bytes."""
    client.wiring.store.record_load_check(samples.passed_check(version))
    return version


def released(client: penstock.Client, partition: str, accuracy: float = 0.85) -> ModelVersion:
    """Measured, decided, registered, champion."""
    evaluation = measured(client, partition, accuracy)
    decision = client.decide(evaluation, AT_LEAST, model=MODEL)
    logged = client.wiring.store.get_model(evaluation.model_id)
    version = loads(client, client.register(MODEL, logged, decision))
    client.promote(MODEL, ALIAS, version, decision)
    return version


def kinds(client: penstock.Client) -> list[str]:
    return [entry.kind for entry in client.read_ledger(model=MODEL)]
