"""What bounds the measurements of real evaluations: formulas where rows are independent, the bootstrap elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.stats import skew
from sklearn import metrics as sk
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from penstock.errors import InvalidValue
from penstock.evaluation.answers import Answers, JudgedRows
from penstock.evaluation.engine import MeasuringEngine
from penstock.evaluation.inference.plans import plan_of
from penstock.evaluation.inference.weights import keys_of_rows, poisson_weights
from penstock.evaluation.state.groups import GroupCodes
from penstock.evaluation.tasks.classes import log_losses
from penstock.evaluation.tasks.task import Settings
from penstock.model.data import DataSource
from penstock.model.evaluations import BASELINE, CANDIDATE, Measurement
from penstock.ports import Measured
from penstock.statistics.bounds import MOST_SKEWED, method_of, upper_bound
from penstock.statistics.evidence import Mean, PairedEstimates, Replicates, evidence_from_json, paired_from_json

# Nothing reliable can be said about how these spread.
UNBOUNDED = {"ks_statistic", "calibration_error", "max_error", "best_threshold_f1"}


class Fitted:
    """An estimator on named columns as a Predictor."""

    def __init__(self, estimator: Any, rows: pd.DataFrame, columns: list[str]) -> None:
        self.estimator, self.columns = estimator.fit(rows[columns], rows["target"]), tuple(columns)
        self.classes = tuple(estimator.classes_.tolist()) if hasattr(estimator, "classes_") else None
        self.uri = f"models:/{type(estimator).__name__}/1"

    def predict(self, batch: pd.DataFrame) -> Any:
        return self.estimator.predict(batch[list(self.columns)])

    def predict_proba(self, batch: pd.DataFrame) -> Any:
        return self.estimator.predict_proba(batch[list(self.columns)]) if self.classes else None


def frame(load: Any) -> pd.DataFrame:
    rows: pd.DataFrame = load(as_frame=True).frame
    return rows.sample(frac=1.0, random_state=0).reset_index(drop=True).assign(row=range(len(rows)))


def measured(rows: pd.DataFrame, task: str, models: tuple[Any, Any], **how: Any) -> Measured:
    columns = {name: how.pop(name) for name in ("group", "id", "drop", "weight") if name in how}
    data = DataSource(rows, label="target", **columns)
    return MeasuringEngine().measure(models[0], data, task=task, baseline=models[1], **how)


@pytest.fixture(scope="module")
def tumours() -> tuple[pd.DataFrame, tuple[Fitted, Fitted]]:
    rows = frame(load_breast_cancer)
    half, names = rows[:200], list(rows.columns[:6])
    models = (
        Fitted(LogisticRegression(max_iter=3000), half, names),
        Fitted(DecisionTreeClassifier(max_depth=3), half, names),
    )
    return rows[200:].reset_index(drop=True), models


def kinds(found: Measured, of: str, name: str, slice: Any = None) -> dict[str, str]:
    wanted = [m for m in found.measurements if m.of == of and dict(m.slice) == (slice or {})]
    return {m.metric: m.stats[name]["kind"] for m in wanted if name in m.stats}


class ManyLabels:
    """A classifier for each label as a Predictor: which labels a digit has."""

    uri, classes = "models:/labels/1", ("even", "large", "round")

    def __init__(self, rows: pd.DataFrame, columns: list[str], estimator: Callable[[], Any]) -> None:
        self.columns = tuple(columns)
        has = {label: np.array([label in labels for labels in rows["target"]]) for label in self.classes}
        self._fitted = [estimator().fit(rows[columns], has[label]) for label in self.classes]

    def predict(self, batch: pd.DataFrame) -> Any:
        return np.column_stack([model.predict(batch[list(self.columns)]) for model in self._fitted]).astype(int)

    def predict_proba(self, batch: pd.DataFrame) -> Any:
        return np.column_stack([model.predict_proba(batch[list(self.columns)])[:, 1] for model in self._fitted])


def labels_of(digit: int) -> list[str]:
    known = {"even": digit % 2 == 0, "large": digit > 4, "round": digit in (0, 6, 8, 9)}
    return [label for label, there in known.items() if there]


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression", "multilabel"])
def test_every_metric_but_the_published_few_is_bounded_alone_against_the_baseline_and_on_slices(task: str) -> None:
    """The list of those that are not is in core/adr/0010 and in the README."""
    loads: dict[str, Any] = {"binary": load_breast_cancer, "regression": load_diabetes}
    rows = frame(loads.get(task, load_digits)).assign(side=lambda table: np.where(table["row"] % 3, "left", "right"))
    if task == "multilabel":
        rows["target"] = [labels_of(digit) for digit in rows["target"]]
    half, names = rows[: len(rows) // 2], list(rows.columns[:12][:8])
    models: tuple[Any, Any]
    if task == "multilabel":
        models = ManyLabels(half, names, LogisticRegression), ManyLabels(half, names, GaussianNB)
    else:
        pair = (LinearRegression(), DecisionTreeRegressor(max_depth=3)) if task == "regression" else None
        estimators = pair or (LogisticRegression(max_iter=200), DecisionTreeClassifier(max_depth=6))
        models = Fitted(estimators[0], half, names), Fitted(estimators[1], half, names)
    asked = {
        "binary": ["jaccard", "fbeta_2", "lift@0.2", "best_threshold_f1"],
        "multiclass": ["f1_micro", "jaccard_micro", "jaccard_macro", "top_k_accuracy@3"],
        "regression": ["absolute_error_quantile_0.9", "pinball_loss_0.9"],
        "multilabel": ["jaccard_macro", "f1_weighted", "roc_auc[even]"],
    }
    found = measured(rows[len(rows) // 2 :], task, models, bootstrap=100, metrics=asked[task], slices=["side"])

    for where in ({}, {"side": "left"}):
        here = [m for m in found.measurements if dict(m.slice) == where and m.value is not None]
        candidate, baseline = ({m.metric for m in here if m.of == of} - UNBOUNDED for of in (CANDIDATE, BASELINE))
        assert len(candidate) >= 8
        assert set(kinds(found, CANDIDATE, "evidence", where)) == candidate
        assert set(kinds(found, CANDIDATE, "paired", where)) == candidate & baseline
        assert not kinds(found, BASELINE, "paired", where)


def test_formulas_come_before_the_bootstrap_and_without_it_are_all_there_is(tumours: Any) -> None:
    rows, models = tumours
    plain, drawn = measured(rows, "binary", models), measured(rows, "binary", models, bootstrap=100)
    formulas = kinds(plain, CANDIDATE, "evidence")
    assert formulas["roc_auc"] == "auc"
    assert formulas["accuracy"] == formulas["recall"] == "proportion"
    assert formulas["log_loss"] == "mean"
    assert "f1" not in formulas
    assert {**kinds(drawn, CANDIDATE, "evidence"), **formulas} == kinds(drawn, CANDIDATE, "evidence")
    assert kinds(drawn, CANDIDATE, "evidence")["f1"] == "replicates"


@pytest.mark.parametrize(("said", "bounded"), [(4, False), (40, True)])
def test_what_is_asked_of_a_class_that_is_hardly_ever_said_has_no_bounds(said: int, bounded: bool) -> None:
    labels = np.repeat(["early", "late", "very late"], [400, 100, 60])
    answers = np.where(np.arange(len(labels)) % 9, labels, "early")
    answers[labels == "very late"] = "early"
    answers[-said:] = "very late"
    rows = pd.DataFrame({"target": labels, "said": answers})
    found = MeasuringEngine().measure(
        None, DataSource(rows, label="target", prediction="said"), task="multiclass", bootstrap=50
    )
    known = kinds(found, CANDIDATE, "evidence")

    assert {"accuracy", "balanced_accuracy", "recall[very late]", "precision[late]", "f1[late]"} <= known.keys()
    for metric in ("f1[very late]", "precision[very late]", "f1_macro", "precision_weighted"):
        assert (metric in known) is bounded


def test_the_skewness_of_losses_is_stored_with_their_mean() -> None:
    rows = frame(load_diabetes)
    model = Fitted(LinearRegression(), rows[:200], ["bmi", "bp"])
    found_ = measured(rows[200:].reset_index(drop=True), "regression", (model, None))
    errors = model.predict(rows[200:]) - rows["target"][200:]
    for metric, losses in (("mean_squared_error", errors**2), ("mean_absolute_error", errors.abs())):
        stored = found(found_, metric).stats["evidence"]["skewness"]
        assert stored == pytest.approx(skew(losses), rel=1e-9)


def test_rows_of_one_group_are_no_independent_evidence(tumours: Any) -> None:
    """Every row four times over, grouped: bounds are as wide as those of the rows once, and no formula is believed."""
    rows, models = tumours
    once = measured(rows, "binary", models, bootstrap=200, id="row")
    fourfold = pd.concat([rows] * 4, ignore_index=True)
    grouped = measured(fourfold, "binary", models, bootstrap=200, group="row")
    assert set(kinds(grouped, CANDIDATE, "evidence").values()) == {"replicates"}
    assert kinds(measured(fourfold, "binary", models, group="row"), CANDIDATE, "evidence") == {}
    for metric in ("f1", "average_precision"):
        errors = [found(part, metric).stats["evidence"]["standard_error"] for part in (once, grouped)]
        assert errors[1] == pytest.approx(errors[0], rel=0.25)
    independent = found(measured(fourfold, "binary", models), "log_loss").stats["evidence"]["standard_error"]
    assert found(grouped, "log_loss").stats["evidence"]["standard_error"] == pytest.approx(2 * independent, rel=0.25)


def found(part: Measured, metric: str, of: str = CANDIDATE) -> Measurement:
    return next(m for m in part.measurements if (m.metric, m.of, dict(m.slice)) == (metric, of, {}))


def test_a_handful_of_groups_bounds_nothing(tumours: Any) -> None:
    rows, models = tumours
    few = measured(rows.assign(day=rows["row"] % 10), "binary", models, bootstrap=100, group="day")
    assert kinds(few, CANDIDATE, "evidence") == kinds(few, CANDIDATE, "paired") == {}


def test_rows_with_ids_have_the_same_replicates_in_parts(tumours: Any) -> None:
    rows, models = tumours
    rows = rows.assign(side=np.where(rows["row"] % 3 == 0, "a", "b"))
    how: dict[str, Any] = {"task": "binary", "baseline": models[1], "slices": ["side"], "bootstrap": 100}
    engine, data = MeasuringEngine(), DataSource(rows, label="target", id="row", drop=("side",))
    whole = engine.measure(models[0], data, **how)
    parts = [
        engine.measure_part(models[0], DataSource(part, label="target", id="row", drop=("side",)), **how)
        for part in (rows[250:], rows[:100], rows[100:250])
    ]
    merged = engine.merge_parts(parts, data)
    for one, other in zip(whole.measurements, merged.measurements, strict=True):
        for name in ("evidence", "paired"):
            mine, theirs = one.stats.get(name, {}), other.stats.get(name, {})
            numbers = {key: value for key, value in mine.items() if isinstance(value, int | float)}
            assert mine.keys() == theirs.keys()
            assert {key: theirs[key] for key in numbers} == pytest.approx(numbers, rel=1e-9, abs=1e-15), one.metric
    assert kinds(whole, CANDIDATE, "evidence", {"side": "a"})["f1"] == "replicates"


def test_very_many_slices_leave_replicates_to_all_rows(tumours: Any) -> None:
    rows, models = tumours
    part = measured(rows, "binary", models, bootstrap=50, slices=["row"], drop=("row",))
    assert kinds(part, CANDIDATE, "evidence")["f1"] == "replicates"
    assert "replicates" not in {
        kind for row in rows["row"] for kind in kinds(part, CANDIDATE, "evidence", {"row": str(row)}).values()
    }


@pytest.mark.parametrize("count", [-1, 1, 19, 2_001])
def test_too_few_or_too_many_replicates_are_refused(tumours: Any, count: int) -> None:
    rows, models = tumours
    with pytest.raises(InvalidValue, match="bootstrap"):
        measured(rows, "binary", models, bootstrap=count)


def test_replicates_of_many_classes_are_scikit_learns_with_their_weights() -> None:
    rows = frame(load_digits)
    names = list(rows.columns[:20])
    model = Fitted(LogisticRegression(max_iter=100), rows[:600], names)
    y = rows["target"].to_numpy()
    proba = model.predict_proba(rows)
    predicted: NDArray[np.intp] = proba.argmax(axis=1)
    classes = model.classes
    assert classes is not None
    plan = plan_of(Settings("multiclass", (CANDIDATE,), False, classes=classes))
    assert plan is not None
    state, keys = plan.state(40, False), keys_of_rows("digits", 0, len(y))
    drawn = poisson_weights(keys, 40)
    judged = JudgedRows(y, None, {CANDIDATE: Answers(predicted, proba, log_losses(proba, y))})
    state.update(keys, GroupCodes(len(y)), **plan.counted(judged))

    by_label: dict[str, Any] = {
        "f1_macro": lambda w: sk.f1_score(y, predicted, average="macro", sample_weight=w),
        "precision_weighted": lambda w: sk.precision_score(y, predicted, average="weighted", sample_weight=w),
        "recall[3]": lambda w: sk.recall_score(y == 3, predicted == 3, sample_weight=w),
        "cohen_kappa": lambda w: sk.cohen_kappa_score(y, predicted, sample_weight=w),
        "log_loss": lambda w: sk.log_loss(y, proba, sample_weight=w),
    }
    by_score: dict[str, Any] = {
        "roc_auc_ovr": lambda w: sk.roc_auc_score(y, proba, multi_class="ovr", sample_weight=w),
        "roc_auc_ovr_weighted": lambda w: sk.roc_auc_score(
            y, proba, multi_class="ovr", average="weighted", sample_weight=w
        ),
        "roc_auc_ovo": lambda w: _ovo(y, proba, w, "macro"),
        "roc_auc_ovo_weighted": lambda w: _ovo(y, proba, w, "weighted"),
        "average_precision[7]": lambda w: sk.average_precision_score(y == 7, proba[:, 7], sample_weight=w),
    }
    for metric, expected in by_label.items():
        found = plan.replicates(state, metric, CANDIDATE, 0)
        assert found is not None, metric
        assert found == pytest.approx([expected(weights) for weights in drawn.T], rel=1e-9), metric
    for metric, expected in by_score.items():
        found = plan.replicates(state, metric, CANDIDATE, 0)
        assert found is not None, metric
        exact = np.array([expected(weights) for weights in drawn.T])
        # The bins that scores share move all replicates alike: it is their spread that is used.
        assert found == pytest.approx(exact, abs=0.015), metric
        assert found.std() == pytest.approx(exact.std(), rel=0.06), metric
        assert np.corrcoef(found, exact)[0, 1] > 0.99, metric
    assert plan.replicates(state, "recall[cat]", CANDIDATE, 0) is None
    tops = plan.replicates(state, "top_k_accuracy@2", CANDIDATE, 0)
    assert tops is not None
    expected_tops = [sk.top_k_accuracy_score(y, proba, k=2, sample_weight=weights) for weights in drawn.T]
    assert tops == pytest.approx(expected_tops, rel=1e-12)


def _ovo(y: NDArray[Any], proba: NDArray[Any], weights: NDArray[Any], average: str) -> float:
    """Scikit-learn's, which takes no weights: rows are there as often as they weigh."""
    again = np.repeat(np.arange(len(y)), weights.astype(np.intp))
    return float(sk.roc_auc_score(y[again], proba[again], multi_class="ovo", average=average))


def test_replicates_of_quantiles_gain_and_sliced_sums_are_those_of_weighted_rows() -> None:
    random = np.random.default_rng(3)
    y, size, group = random.random(700) * 10, random.exponential(2, 700), random.integers(1, 4, 700).astype(np.int32)
    rows = JudgedRows(y, None, {CANDIDATE: Answers(y + size)})
    plan = plan_of(Settings("regression", (CANDIDATE,), False))
    assert plan is not None
    state, keys = plan.state(200, False), keys_of_rows("t", 0, 700)
    state.update(keys, GroupCodes(700, [group], 4), **plan.counted(rows))
    drawn = poisson_weights(keys)
    found = {m: plan.replicates(state, m, CANDIDATE, g) for m, g in (("median_absolute_error", 0), ("r2", 2))}
    medians, r2 = found["median_absolute_error"], found["r2"]
    assert medians is not None
    assert r2 is not None
    order = np.argsort(size)
    for draw in range(0, 200, 40):
        weights = drawn[:, draw]
        reached = np.cumsum(weights[order])
        assert medians[draw] == pytest.approx(size[order][np.searchsorted(reached, reached[-1] / 2)], rel=1e-9)
        own = weights * (group == 2)
        assert r2[draw] == pytest.approx(sk.r2_score(y, y + size, sample_weight=own), abs=0.05)

    p = np.round(random.random(700), 3)
    label = (random.random(700) < p).astype(np.int32)
    sorted_out = plan_of(Settings("binary", (CANDIDATE,), False, classes=(0, 1)))
    assert sorted_out is not None
    state = sorted_out.state(200, False)
    answers = Answers((p > 0.5).astype(np.int32), p, np.zeros(700))
    state.update(keys, GroupCodes(700), **sorted_out.counted(JudgedRows(label, None, {CANDIDATE: answers})))
    gains = sorted_out.replicates(state, "gain@0.1", CANDIDATE, 0)
    lifts = sorted_out.replicates(state, "lift@0.1", CANDIDATE, 0)
    assert gains is not None
    assert lifts is not None
    assert lifts == pytest.approx(gains * 10)
    order, top = np.argsort(-p), []
    for weights in drawn.T:
        reached = np.cumsum(weights[order])
        inside = reached <= reached[-1] / 10
        top.append((weights * label)[order][inside].sum() / (weights * label).sum())
    assert gains.mean() == pytest.approx(np.mean(top), abs=0.003)
    assert np.corrcoef(gains, top)[0, 1] > 0.9


class Said:
    """A column as a Predictor's answers, or a part of each."""

    uri, columns, classes = "models:/said/1", ("said",), None

    def __init__(self, part: float = 1.0) -> None:
        self._part = part

    def predict(self, batch: pd.DataFrame) -> Any:
        return batch["said"].to_numpy() * self._part

    def predict_proba(self, batch: pd.DataFrame) -> None:
        return None


@pytest.mark.parametrize("offset", [0.0, 0.09, 0.11, -0.11])
def test_explained_variance_of_a_model_that_is_off_on_the_mean_has_no_bounds_of_its_own(offset: float) -> None:
    """At more than a tenth of the errors' standard deviation; it is compared with a baseline all the same."""
    random = np.random.default_rng(3)
    y, error = random.normal(size=(2, 400))
    centred = error - error.mean()
    rows = pd.DataFrame({"target": y, "said": y + centred + offset * centred.std()})
    found = measured(rows, "regression", (Said(), Said(0.5)), bootstrap=200)
    bounded = kinds(found, CANDIDATE, "evidence")
    assert bounded["r2"] == "replicates"
    assert ("explained_variance" in bounded) == (abs(offset) < 0.1)
    stats = next(m.stats for m in found.measurements if m.metric == "explained_variance" and m.of == CANDIDATE)
    assert stats.get("unbounded", "").endswith("ask for r2" if abs(offset) > 0.1 else "")
    assert "explained_variance" in kinds(found, CANDIDATE, "paired")


def test_numbers_of_a_slice_are_bounded_and_compared_as_those_of_all_rows() -> None:
    rows = frame(load_diabetes).assign(side=lambda table: np.where(table["age"] > 0, "old", "young"))
    names = ["bmi", "bp", "s5"]
    models = (
        Fitted(LinearRegression(), rows[:150], names),
        Fitted(DecisionTreeRegressor(max_depth=2), rows[:150], names),
    )
    found = measured(rows[150:], "regression", models, slices=["side"], bootstrap=200)
    for name, of_all in (
        ("evidence", kinds(found, CANDIDATE, "evidence")),
        ("paired", kinds(found, CANDIDATE, "paired")),
    ):
        of_slice = kinds(found, CANDIDATE, name, {"side": "old"})
        assert of_slice == of_all
    assert kinds(found, CANDIDATE, "evidence")["root_mean_squared_error"] == "root_mean"


@pytest.mark.parametrize("weighted", [False, True])
def test_skewness_and_third_cumulants_are_those_of_the_rows_with_their_weights(weighted: bool) -> None:
    rows = frame(load_diabetes)
    models = Fitted(LinearRegression(), rows[:200], ["bmi", "bp"]), Fitted(LinearRegression(), rows[:200], ["bmi"])
    held_out = rows[200:].assign(w=np.random.default_rng(2).integers(1, 9, len(rows) - 200)).reset_index(drop=True)
    found_ = measured(held_out, "regression", models, weight="w" if weighted else None)
    n, w = len(held_out), held_out["w"].to_numpy(float) if weighted else np.ones(len(held_out))
    squares = [(model.predict(held_out) - held_out["target"].to_numpy()) ** 2 for model in models]
    new, old = (w * (of - np.average(of, weights=w)) / w.sum() for of in squares)
    measurement = found(found_, "mean_squared_error")
    expected = (new**3).sum() / (new**2).sum() ** 1.5 * math.sqrt(n)
    assert measurement.stats["evidence"]["skewness"] == pytest.approx(expected, rel=1e-6)
    third = [(a * b * c).sum() for a, b, c in ((new, new, new), (new, new, old), (new, old, old), (old, old, old))]
    assert measurement.stats["paired"]["third_cumulants"] == pytest.approx(third, rel=1e-6)
    of_roots = found(found_, "root_mean_squared_error").stats["paired"]
    pair = paired_from_json(measurement.stats["paired"])
    assert isinstance(pair, PairedEstimates)
    assert (roots := pair.of_roots()) is not None
    assert of_roots == roots.to_json()


def test_the_degrees_of_freedom_of_a_share_of_squares_are_those_its_rows_tell() -> None:
    """Few where a few rows make most of its spread, in a slice as for all rows; as many as replicates where none do."""
    random = np.random.default_rng(3)
    y = random.normal(size=4_000)
    error = np.where(np.arange(4_000) % 2 == 0, random.normal(size=4_000), random.standard_t(2.5, 4_000))
    rows = pd.DataFrame({"target": y, "said": y + error, "side": ["even", "odd"] * 2_000})
    of = measured(rows, "regression", (Said(), Said(0.5)), slices=["side"], bootstrap=200)
    assert found(of, "r2").stats["paired"]["degrees_of_freedom"] < 30
    degrees = {
        (m.metric, m.slice.get("side", "")): m.stats["evidence"]["degrees_of_freedom"]
        for m in of.measurements
        if m.metric in ("r2", "explained_variance") and m.of == CANDIDATE
    }
    assert all(degrees[metric, "odd"] < 10 for metric in ("r2", "explained_variance"))
    assert all(degrees[metric, ""] < 20 for metric in ("r2", "explained_variance"))
    assert all((degrees[metric, "even"] or 200) > 40 for metric in ("r2", "explained_variance"))


def test_means_of_grouped_rows_are_as_skewed_as_those_of_the_groups() -> None:
    """Every row four times over, grouped, tells as much of a tail as the rows once: about, in 64 parts."""
    random = np.random.default_rng(5)
    y, error = random.normal(size=(2, 3_000))
    error[::50] *= 20
    rows = pd.DataFrame({"target": y, "said": y + error, "row": np.arange(3_000)})
    fourfold = pd.concat([rows] * 4, ignore_index=True)
    models = Said(), Said(0.7)
    once = found(measured(rows, "regression", models, bootstrap=200, id="row"), "mean_squared_error").stats
    of = measured(fourfold, "regression", models, bootstrap=200, group="row")
    grouped = found(of, "mean_squared_error").stats
    independent, together = (evidence_from_json(stats["evidence"]) for stats in (once, grouped))
    assert isinstance(independent, Mean)
    assert isinstance(together, Replicates)
    skewness = (independent.skewness or 0) / math.sqrt(independent.rows)
    assert together.skewness == pytest.approx(skewness, abs=0.05)
    assert skewness > MOST_SKEWED
    assert method_of(together) == "bootstrap Hall, and Cantelli on the side of the long tail"
    upper = upper_bound(together, 0.975)
    assert isinstance(upper, float)
    assert upper == pytest.approx(together.value + math.sqrt(39) * together.standard_error)

    pairs = [paired_from_json(stats["paired"]) for stats in (once, grouped)]
    skewed = [pair.skewness_of_contrast(0.9) for pair in pairs if isinstance(pair, PairedEstimates)]
    assert skewed[1] == pytest.approx(skewed[0], rel=0.4)
    root = found(of, "root_mean_squared_error").stats["evidence"]
    assert root["skewness"] == pytest.approx(together.skewness, rel=1e-9)
    assert found(of, "r2").stats["evidence"]["skewness"] is None


@pytest.mark.parametrize("size", [1e110, 1e-160, 1e140])
@pytest.mark.parametrize("how", [{}, {"group": "day"}, {"weight": "w"}])
def test_errors_of_any_size_are_measured_whatever_becomes_of_their_cubes(size: float, how: dict[str, Any]) -> None:
    random = np.random.default_rng(6)
    y, error = size * random.normal(size=(2, 400))
    rows = pd.DataFrame({"target": y, "said": y + error, "day": np.arange(400) // 4, "w": random.integers(1, 5, 400)})
    of = measured(rows[["target", "said", *how.values()]], "regression", (Said(), Said(0.5)), bootstrap=50, **how)
    assert found(of, "mean_absolute_error").value == pytest.approx(
        np.average(np.abs(error), weights=rows["w"] if "weight" in how else None), rel=1e-9
    )
    assert {"evidence", "paired"} <= found(of, "mean_absolute_error").stats.keys()
    for measurement in of.measurements:
        for name, read in (("evidence", evidence_from_json), ("paired", paired_from_json)):
            assert name not in measurement.stats or read(measurement.stats[name])


def test_labels_that_are_too_large_to_be_squared_leave_their_spread_undefined() -> None:
    y = 1e160 * np.random.default_rng(6).normal(size=100)
    of = measured(pd.DataFrame({"target": y, "said": y + 1e100}), "regression", (Said(), None), bootstrap=50)
    assert found(of, "r2").value is None
    assert found(of, "r2").cause == "the labels are too large to be squared"
    assert found(of, "mean_absolute_error").value is not None


def test_skewness_that_is_only_rounding_is_not_stored() -> None:
    """A row that weighs as much as all others leaves little of their cubes, and so do losses far from 0."""
    random = np.random.default_rng(8)
    for weights in (np.where(np.arange(200) == 7, 1e5, 1.0), np.full(200, 1e-100), random.integers(1, 5, 200)):
        rows = pd.DataFrame({"target": 0.0, "said": 4 + 0.8 * random.normal(size=200), "w": weights.astype(float)})
        stats = found(measured(rows, "regression", (Said(), Said(0.9)), weight="w"), "mean_absolute_error").stats
        u = weights * (rows["said"] - np.average(rows["said"], weights=weights)) / weights.max()
        exact = float((u**3).sum() / (u**2).sum() ** 1.5 * math.sqrt(200))
        skewness = stats["evidence"]["skewness"]
        assert skewness is None or skewness == pytest.approx(exact, abs=0.05)
        assert (skewness is None) == (weights.max() / weights.min() > 1e4 or weights.max() < 1e-90)
        assert (stats["paired"]["third_cumulants"] is None) == (skewness is None)
