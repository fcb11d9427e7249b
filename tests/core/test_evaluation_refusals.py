"""The measuring engine against models and data that misbehave: undefined with a cause, or a clear error."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import RidgeClassifier
from sklearn.naive_bayes import GaussianNB

from penstock.errors import Busy, InvalidValue, NotFound, PredictionFailed
from penstock.evaluation.engine import MeasuringEngine
from penstock.model.data import DataSource
from penstock.model.evaluations import BASELINE, Measurement
from penstock.models.sklearn_predictor import SklearnPredictor
from tests.core.measuring import (
    HELD_OUT,
    LABEL_METRICS,
    SCORE_METRICS,
    Model,
    Scripted,
    find,
    held,
    measure,
    script,
    trained,
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
        expected = f"metric '{metric}' needs predict_proba, and the model gives no probabilities"
        assert (found.value, found.cause) == (None, expected)
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


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("exact_rows", [1, 100])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_regression_without_one_finite_prediction_is_nan_with_its_cause(bad: float, exact_rows: int) -> None:
    frame = script([1.0, 2.0, 3.0, 4.0], [bad] * 4, g=["a", "a", "b", "b"])
    engine = MeasuringEngine(2)
    engine.exact_rows = exact_rows
    measured = engine.measure(
        None, held(frame, prediction="said"), task="regression", slices=["g"], bootstrap=50, plots=True
    )
    for where, rows in (({}, 4), ({"g": "a"}, 2)):
        for metric in ("mean_absolute_error", "median_absolute_error", "r2"):
            found = find(measured, metric, **where)
            assert math.isnan(found.value or 0)
            assert found.cause == f"{rows} of {rows} predictions are not finite"


def test_scores_outside_the_unit_interval_rank_but_are_no_probabilities() -> None:
    measured = measure(Scripted(), held(script([0, 1, 0, 1], p=[-2.0, 3.0, 0.1, 0.2])))
    assert find(measured, "roc_auc").value == 1
    assert find(measured, "log_loss").value is find(measured, "brier_score").value is None
    assert find(measured, "brier_score").cause == "scores are outside [0, 1]"


def test_weights_that_sum_to_zero_leave_everything_undefined() -> None:
    measured = measure(Scripted(), held(script([0, 1], p=[0.1, 0.9], w=[0.0, 0.0]), weight="w"))
    assert {(m.value, m.cause) for m in measured.measurements} == {(None, "the weights sum to 0")}


@pytest.mark.parametrize("exact_rows", [1, 100])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_slice_whose_weights_sum_to_zero_is_undefined_and_changes_nothing_else(task: str, exact_rows: int) -> None:
    classes = 3 if task == "multiclass" else 2
    proba = np.random.default_rng(0).dirichlet([1.0] * classes, 24)
    columns = {f"p{kind}": proba[:, kind] for kind in range(classes)}
    frame = pd.DataFrame({"y": np.arange(24) % classes, "said": proba.argmax(axis=1), **columns})
    frame["w"], frame["g"] = [0.0] * 12 + [1.0] * 12, ["none"] * 12 + ["some"] * 12
    scores = {"binary": "p1", "multiclass": tuple(columns), "regression": None}[task]
    engine = MeasuringEngine()
    engine.exact_rows = exact_rows

    def measured(rows: pd.DataFrame) -> dict[tuple[str, str], Measurement]:
        data = DataSource(rows, label="y", weight="w", prediction="said", scores=scores)
        found = engine.measure(None, data, task=task, slices=["g"], bootstrap=50, plots=True).measurements
        return {(m.metric, m.slice.get("g", "")): m for m in found}

    whole, alone = measured(frame), measured(frame[12:])
    without = {metric: m for (metric, group), m in whole.items() if group == "none"}
    assert {m.value for m in without.values()} == {None}
    metric = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "median_absolute_error"}[task]
    assert without[metric].cause == "the weights sum to 0"
    values = {key: whole[key].value for key in whole if key[1] == "some"}
    assert values == {key: alone[key].value for key in alone if key[1] == "some"}


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


@pytest.mark.parametrize("task", ["auto", "binary", "multiclass"])
@pytest.mark.parametrize(("labels", "said"), [(["0", "1", "1"], [0, 1, 1]), ([0, 1, 1], ["0", "1", "1"])])
def test_predictions_of_another_type_than_the_labels_are_an_error_that_names_both(
    task: str, labels: list[Any], said: list[Any]
) -> None:
    one, other = type(labels[0]).__name__, type(said[0]).__name__
    with pytest.raises(InvalidValue, match=rf"'target' and 'said'.*label type {one}, prediction type {other}"):
        measure(None, held(script(labels, said), prediction="said"), task=task)


def test_labels_of_several_types_and_labels_and_predictions_that_are_no_numbers_are_refused() -> None:
    days = pd.date_range("2013-01-01", periods=3)
    cases: list[tuple[list[Any] | Any, list[Any] | Any, str, type[Exception], str]] = [
        ([0, "a", 1], [0, 1, 1], "binary", InvalidValue, "'target': expected labels of one type, got 'int and str'"),
        (["1", "2", "3"], [1, 2, 3], "regression", InvalidValue, "expected numbers, for this task, got 'str'"),
        (days, [1, 2, 3], "regression", InvalidValue, "expected numbers, for this task, got 'datetime64"),
        ([1, 2, 3], ["1", "2", "3"], "regression", PredictionFailed, "not numbers: '1' is of type str"),
        ([1, 2, 3], days, "regression", PredictionFailed, "not numbers: they are datetime64"),
        ([1, 2, 3], [1, 2, 3j], "regression", PredictionFailed, "not numbers: they are complex128"),
    ]
    for labels, said, task, error, expected in cases:
        with pytest.raises(error, match=expected):
            measure(None, held(script(labels, said), prediction="said"), task=task)
    with pytest.raises(InvalidValue, match=r"scores columns: expected numbers, got \"'0\.2' is of type str"):
        measure(None, held(script([0, 1], p=["0.2", "0.9"]), scores="p"))


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
        (held([HELD_OUT[:0], HELD_OUT[:0]]), {}, "held-out data has 0 rows"),
        (held(HELD_OUT.rename(columns={"mean radius": " Mean radius"})), {}, "There is ' Mean radius', which differs"),
        (held(pd.concat([HELD_OUT, HELD_OUT[["mean radius"]]], axis=1)), {}, "every column name once.*'mean radius'"),
        (held(label="mean radius"), {}, "Column 'mean radius' is declared as label"),
        (DataSource(HELD_OUT), {}, "no label column"),
        (held(label="gone"), {}, "label column.*'gone'"),
        (held(weight="gone"), {}, "weight column.*'gone'"),
        (held(HELD_OUT.drop(columns="mean radius")), {}, "no 'mean radius'"),
        (held(drop=("mean radius",)), {}, "no 'mean radius'.*declared as label, id, weight or drop"),
        (held(), {"slices": ["gone"]}, "slice column.*'gone'.*Its columns are: mean radius"),
        (held(HELD_OUT.assign(w=-1.0), weight="w"), {}, "weight column 'w'.*284 rows"),
        (held(HELD_OUT.assign(w=np.nan), weight="w"), {}, "a finite weight"),
        (held(HELD_OUT.assign(w="x"), weight="w"), {}, "weight column 'w'"),
        (held(), {"task": "survival"}, "one of binary, multiclass"),
    ]
    for data, options, expected in cases:
        with pytest.raises(InvalidValue, match=expected):
            measure(logistic, data, **options)
    with pytest.raises(NotFound):
        measure(logistic, held(tmp_path / "gone.parquet"))
    with pytest.raises(InvalidValue, match="a column in one role only"):
        held(weight="target")


def test_batches_without_rows_are_read_past_and_columns_are_found_by_name() -> None:
    model, frame = Scripted(), script([0, 1, 0, 1], [0, 1, 1, 1], [0.1, 0.8, 0.6, 0.7])
    whole = measure(model, held(frame))
    empty, table = frame[:0], pa.Table.from_pandas(frame, preserve_index=False)
    for batches in (
        [empty, frame],
        [table[:0], table[:2], empty, table[2:]],
        [pa.RecordBatch.from_pandas(empty, preserve_index=False), *table.to_batches()],
    ):
        assert measure(model, held(batches)).measurements == whole.measurements
        assert measure(model, held(lambda given=batches: iter(given))).measurements == whole.measurements
    turned = frame[frame.columns[::-1]].assign(more=1.0)
    assert measure(model, held(turned)).measurements == whole.measurements


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
        (Scripted(predict=lambda b: np.zeros(len(b) - 1)), "predict returned 1 values for 2 rows"),
        (Scripted(predict=lambda b: np.zeros(len(b) + 1)), "predict returned 3 values for 2 rows"),
        (Scripted(predict=lambda b: np.zeros((len(b), 1))), r"an array of shape \(2, 1\), not \(2,\)"),
        (Scripted(predict=lambda b: np.zeros((len(b), 2))), r"an array of shape \(2, 2\), not \(2,\)"),
        (Scripted(predict=lambda b: b[["said"]]), r"an array of shape \(2, 1\), not \(2,\)"),
        (Scripted(predict=lambda b: 1), "one value of type int64 for 2 rows"),
        (Scripted(predict=lambda b: None), "one value of type NoneType for 2 rows"),
        (Scripted(predict=lambda b: (1 for _ in range(len(b)))), "one value of type generator for 2 rows"),
        (Scripted(predict=lambda b: csr_matrix(np.ones((len(b), 1)))), "one value of type csr_matrix for 2 rows"),
        (Scripted(predict=lambda b: [[0], [1, 1]]), "ValueError: setting an array element with a sequence"),
        (Scripted(predict=lambda b: ["a"] * len(b)), "predicted 'a', not one of its classes 0, 1"),
        (Scripted(proba=lambda b: np.zeros((len(b) - 1, 2))), "predict_proba returned 1 values for 2 rows"),
        (Scripted(proba=lambda b: np.zeros((len(b), 3))), r"shape \(2, 3\), not \(2, 2\)"),
        (Scripted(proba=lambda b: np.zeros(len(b))), r"shape \(2,\), not \(2, 2\)"),
        (Scripted(proba=lambda b: [["a", "b"]] * len(b)), "not numbers"),
        (Scripted(proba=lambda b: [["0.1", "0.9"]] * len(b)), "not numbers"),
        (Scripted(proba=lambda b: 0.5), "predict_proba returned one value of type float64"),
    ],
)
def test_a_model_that_fails_is_named_with_the_rows_it_failed_on(model: Any, expected: str) -> None:
    frame = script([0, 1, 0, 1])
    for options in ({}, {"baseline": model}):
        with pytest.raises(PredictionFailed, match=expected) as caught:
            measure(Scripted() if options else model, held(frame), batch_rows=2, **options)
        assert "models:/scripted/1' failed to predict rows 0–1" in str(caught.value)


def test_an_answer_with_the_index_of_the_rows_in_another_order_is_put_in_theirs() -> None:
    frame = script([0, 1, 0, 1], p=[0.1, 0.9, 0.2, 0.8])
    turned = Scripted(predict=lambda b: b["said"][::-1], proba=lambda b: pd.DataFrame({0: 1 - b["p"], 1: b["p"]})[::-1])
    own = Scripted(predict=lambda b: pd.Series(b["said"].to_numpy(), index=[f"row {n}" for n in b.index]))
    for model in (turned, own):
        measured = measure(model, held(frame), batch_rows=3)
        assert (find(measured, "accuracy").value, find(measured, "roc_auc").value) == (1, 1)
    wrapped = SklearnPredictor(_Backwards().fit(frame[["p"]], frame["target"]), "models:/backwards/1")
    assert find(measure(wrapped, held(frame[["p", "target"]])), "accuracy").value == 1


class _Named(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Answers with a column for each class, in an order of its own."""

    def __init__(self, names: tuple[str, ...] = ("yes", "no")) -> None:
        self.names = names

    def fit(self, rows: pd.DataFrame, labels: Any) -> _Named:
        self.classes_ = np.unique(labels)
        return self

    def predict(self, rows: pd.DataFrame) -> Any:
        return np.where(rows["p"] > 0.5, "yes", "no")

    def predict_proba(self, rows: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({name: rows["p"] if name == "yes" else 1 - rows["p"] for name in self.names})


def test_probabilities_with_named_columns_are_those_of_the_classes_they_name() -> None:
    frame = script(["no", "yes", "no", "yes"], p=[0.1, 0.9, 0.4, 0.3])
    straight = measure(Scripted(("no", "yes")), held(frame[["target", "p"]].assign(said=["no", "yes", "no", "no"])))
    wrapped = SklearnPredictor(_Named().fit(frame[["p"]], frame["target"]), "models:/named/1")
    for model in (Scripted(("no", "yes"), _Named().predict, _Named().predict_proba), wrapped):
        measured = measure(model, held(frame[["target", "p"]]))
        for metric in ("log_loss", "roc_auc", "brier_score", "accuracy"):
            assert find(measured, metric).value == find(straight, metric).value, metric
    numbers = script([1, 0, 1], p=[0.9, 0.2, 0.8])
    turned = Scripted(proba=lambda b: pd.DataFrame({"1": b["p"], "0": 1 - b["p"]}))
    numbered = Scripted(("no", "yes"), proba=lambda b: pd.DataFrame(np.column_stack([1 - b["p"], b["p"]])))
    assert find(measure(turned, held(numbers)), "roc_auc").value == 1
    assert measure(numbered, held(frame)).measurements == measure(Scripted(("no", "yes")), held(frame)).measurements


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("yes", "maybe"), r"columns \['yes', 'maybe'\], .* class \['no', 'yes'\]: no \['no'\], unknown \['maybe'\]"),
        (("yes", "no", "maybe"), r"unknown \['maybe'\]"),
        (("yes",), r"no \['no'\]"),
    ],
)
def test_probabilities_of_other_classes_are_refused_with_the_list_of_them(
    names: tuple[str, ...], expected: str
) -> None:
    frame = script(["no", "yes"], p=[0.1, 0.9])[["target", "p"]]
    wrapped = SklearnPredictor(_Named(names).fit(frame[["p"]], frame["target"]), "models:/scripted/1")
    for model in (Scripted(("no", "yes"), _Named().predict, _Named(names).predict_proba), wrapped):
        with pytest.raises(PredictionFailed, match=f"'models:/scripted/1' failed to predict rows 0–1: .*{expected}"):
            measure(model, held(frame))


class _Backwards(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Answers with a Series from the last row to the first."""

    def fit(self, rows: pd.DataFrame, labels: Any) -> _Backwards:
        self.classes_ = np.unique(labels)
        return self

    def predict(self, rows: pd.DataFrame) -> pd.Series[Any]:
        return (rows["p"] > 0.5).astype(int)[::-1]


def test_what_a_model_does_to_the_ways_of_numpy_stays_with_it() -> None:
    def strict(batch: pd.DataFrame) -> Any:
        np.seterr(all="raise")
        return np.full(len(batch), 1e-200)

    before = np.geterr()
    model = Scripted(predict=strict)
    model.classes = None
    measured = measure(model, held(script([0.0, 0.0, 0.0])), task="regression")
    assert find(measured, "mean_absolute_error").value == 1e-200
    assert np.geterr() == before


def test_a_passing_fault_in_a_model_stays_a_passing_fault() -> None:
    def busy(_: Any) -> Any:
        raise Busy("model server", 3)

    with pytest.raises(Busy):
        measure(Scripted(predict=busy), held(script([0, 1])))
