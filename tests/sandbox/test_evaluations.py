"""Evaluations whose models predict in processes of their own: one that misbehaves is a failed evaluation, no more."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import penstock
from penstock.errors import DataChanged, InvalidValue, PredictionFailed
from penstock.model.data import DataSource
from penstock.model.decisions import Verdict
from penstock.model.evaluations import BASELINE
from penstock.model.runs import AttemptState
from penstock.ports.sandbox import Limits
from tests.core.measuring import FEATURES, HELD_OUT, TRAIN
from tests.sandbox.misbehaving import Misbehaving

ROOT = Path(__file__).parents[2]
TYPE = "tests.sandbox.misbehaving.Misbehaving"
X = list(FEATURES)


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[penstock.Client]:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with penstock.connect(f"sqlite:///{tmp_path}/p.db", artifacts=tmp_path / "artifacts") as client:
        yield client


def logged(client: penstock.Client, key: str, estimator: Any, **options: Any) -> Any:
    with client.open_run("team/cancer", key=key) as run:
        return run.log_model(estimator.fit(TRAIN[X], TRAIN["target"]), "model", **options)


def children() -> str:
    asked = ["ps", "--ppid", str(os.getpid()), "-o", "args="]
    lines = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.splitlines()
    return "\n".join(line for line in lines if "penstock.models.sandbox" in line)


def test_an_isolated_evaluation_measures_the_same_and_says_that_the_model_loads(client: penstock.Client) -> None:
    model = logged(client, "1", LogisticRegression(max_iter=3000))
    other = logged(client, "2", LogisticRegression(C=0.01, max_iter=3000))
    here = client.evaluate(model, HELD_OUT, label="target", baseline=other.uri, bootstrap=0)
    there = client.evaluate(
        model, HELD_OUT, label="target", baseline=other.uri, bootstrap=0, sandbox=True, latency=True, step="there"
    )
    quality = [m for m in there.measurements if m.unit == "1"]
    policy = {
        "name": "loads",
        "rules": [
            {"requires": {"load_test": True, "max_latency_p95_ms": 1000, "max_peak_memory_mb": 4000}},
            {"at_most": {"metric": "latency_p99_ms", "value": 1000}},
            {"at_most": {"metric": "peak_memory_bytes", "value": 4e9}},
        ],
    }

    assert [(m.metric, m.of) for m in quality] == [(m.metric, m.of) for m in here.measurements]
    values = [(mine.value, same.value) for mine, same in zip(quality, here.measurements, strict=True)]
    assert all(mine == pytest.approx(same, rel=1e-9) for mine, same in values)
    assert children() == ""
    assert there.model_facts["load_test"] == {"passed": True, "rows": len(HELD_OUT)}
    p50, p95 = there.find("latency_p50_ms"), there.find("latency_p95_ms", BASELINE)
    assert p50 is not None
    assert p95 is not None
    assert (p50.unit, p50.n) == ("ms", 200)
    assert 0 < (p50.value or 0) <= (there.value("latency_p99_ms") or 0)
    assert there.value("load_ms")
    assert there.value("batch_latency_p95_ms")
    assert client.decide(there, policy, model="cancer").verdict is Verdict.PASS
    assert client.decide(here, policy, model="cancer", step="here").verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("manner", "cause"), [("segfault", "signal 11"), ("hang", "exceeded 1 s; sandbox=Limits")])
def test_a_model_that_misbehaves_fails_its_evaluation_and_nothing_else(
    client: penstock.Client, manner: str, cause: str
) -> None:
    model = logged(client, manner, Misbehaving(manner), trusted_types=[TYPE])
    with pytest.raises(PredictionFailed, match=cause) as failed:
        client.evaluate(model, HELD_OUT, label="target", sandbox=Limits(time_s=1))

    assert f"rows 0–{len(HELD_OUT) - 1}" in str(failed.value)
    assert children() == ""
    (step,) = [found for found in client.get_run(model.run_id).steps if found.step.name == "evaluate"]
    assert step.state is AttemptState.FAILED


def test_the_rows_of_a_failure_are_counted_from_the_first_batch(client: penstock.Client, tmp_path: Path) -> None:
    model = logged(client, "late", Misbehaving("late"), trusted_types=[TYPE])

    def batches() -> Iterator[pd.DataFrame]:
        yield HELD_OUT[:100]
        yield HELD_OUT[100:150]

    data = DataSource(batches, label="target", name="batches")
    with pytest.raises(PredictionFailed, match="rows 100–149: ValueError: enough"):
        client.evaluate(model, data, sandbox=True)


def test_what_stands_for_a_model_is_isolated_where_that_means_something(
    client: penstock.Client, tmp_path: Path
) -> None:
    model = logged(client, "1", LogisticRegression(max_iter=3000))
    folder = tmp_path / "model"
    client.wiring.artifacts.fetch_all([(file.sha256, folder / file.path) for file in model.files])
    with client.open_run("team/cancer", key="stand-ins") as run:
        given = DataSource(HELD_OUT.assign(said=HELD_OUT["target"]), label="target", prediction="said")
        assert client.evaluate(None, given, run=run, sandbox=True).value("accuracy") == 1
        found = client.evaluate(str(folder), HELD_OUT, label="target", run=run, sandbox=True, step="folder")
        assert found.model_facts["load_test"]["passed"]
        with pytest.raises(InvalidValue, match="sandbox=False"):
            client.evaluate(lambda rows: np.zeros(len(rows)), HELD_OUT, label="target", run=run, sandbox=True)
        with pytest.raises(InvalidValue, match="expected a model: a logged one"):
            client.evaluate(None, given, run=run, latency=True, step="latency")


def test_a_random_model_is_told_from_one_that_answers_alike(client: penstock.Client) -> None:
    random = logged(client, "random", Misbehaving("random"), trusted_types=[TYPE])
    with pytest.raises(PredictionFailed, match=r"two evaluations differ by up to 1, in \d+ of 284 rows: it is random"):
        client.evaluate(random, HELD_OUT, label="target", determinism=True)
    steady = logged(client, "steady", LogisticRegression(max_iter=3000))
    found = client.evaluate(steady, HELD_OUT, label="target", determinism=True, bootstrap=0)
    assert found.model_facts["determinism"] == {"rows": 284}


def test_held_out_rows_that_are_not_the_expected_ones_are_refused(client: penstock.Client) -> None:
    model = logged(client, "1", LogisticRegression(max_iter=3000))
    known = client.evaluate(model, HELD_OUT, label="target", bootstrap=0).dataset.digest
    again = client.evaluate(model, HELD_OUT, label="target", bootstrap=0, expect_digest=known, step="again")
    assert again.dataset.digest == known
    changed = HELD_OUT.assign(**{"mean radius": HELD_OUT["mean radius"] + 1e-9 * (HELD_OUT.index == 3)})
    with pytest.raises(DataChanged, match=f"^held-out data changed: expected {known}, found rows:284:"):
        client.evaluate(model, changed, label="target", bootstrap=0, expect_digest=known, step="changed")
