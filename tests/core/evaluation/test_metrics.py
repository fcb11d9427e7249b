"""What can be measured beside the defaults: names, costs and thresholds, metrics of one's own."""

from __future__ import annotations

import doctest
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk
from sklearn.naive_bayes import GaussianNB

from penstock.errors import InvalidValue
from penstock.evaluation.engine import MeasuringEngine
from penstock.model import custom_metrics, metrics, slices
from penstock.model.custom_metrics import FunctionMetric, code_digest
from penstock.model.metrics import METRICS, Cost, find_metric
from tests.core.measuring import HELD_OUT, Model, Scripted, find, held, measure, script, trained


@pytest.mark.parametrize("module", [metrics, custom_metrics, slices])
def test_the_examples_in_the_documentation_are_true(module: Any) -> None:
    assert doctest.testmod(module).attempted > 0
    assert doctest.testmod(module).failed == 0


def test_every_form_of_a_name_is_known_and_nonsense_is_not() -> None:
    for name in (*METRICS, "fbeta_0.5", "recall[cat]", "fbeta_2[a b]", "ndcg@10", "lift@0.05", "pinball_loss_0.9"):
        assert find_metric(name) is not None, name
    for name in ("best_threshold_f1", "cost_at_best_threshold", "roc_auc_ovo_weighted", "absolute_error_quantile_0.95"):
        assert find_metric(name) is not None, name
    with pytest.raises(InvalidValue, match=r"metrics of a binary task.*ndcg@10"):
        measure(Scripted(), held(script([0, 1])), metrics=["accuracy", "ndcg@10"])
    for name in (
        "best_threshold_auc",
        "ndcg@0",
        "ndcg@1.5",
        "lift@2",
        "pinball_loss_1",
        "accuracy[cat]",
        "accuracy@3",
        "auc",
        "recall[]",
        "",
    ):
        assert find_metric(name) is None, name


def test_cost_and_thresholds_are_those_found_by_trying_every_threshold(logistic: Model) -> None:
    cost = Cost(false_positive=5, false_negative=50)
    names = ["best_threshold_cost", "cost_at_best_threshold", "best_threshold_f1", "f1_at_best_threshold", "fbeta_2"]
    measured = measure(logistic, held(), metrics=[cost, *names])

    y, p = HELD_OUT["target"].to_numpy(), logistic.predict_proba(HELD_OUT)[:, 1]

    def cost_of(said: Any) -> float:
        return float((5 * ((said == 1) & (y == 0)) + 50 * ((said == 0) & (y == 1))).mean())

    tried = np.append(np.unique(p), np.inf)
    costs = [cost_of((p >= t) * 1) for t in tried]
    assert find(measured, "cost").value == pytest.approx(cost_of(logistic.predict(HELD_OUT)), abs=1e-12)
    assert find(measured, "cost_at_best_threshold").value == pytest.approx(min(costs), abs=1e-12)
    threshold = find(measured, "best_threshold_cost").value
    assert threshold is not None
    assert cost_of((p >= threshold) * 1) == pytest.approx(min(costs), abs=1e-12)
    f1s = [sk.f1_score(y, (p >= t) * 1) for t in tried[:-1]]
    assert find(measured, "f1_at_best_threshold").value == pytest.approx(max(f1s), abs=1e-12)
    assert find(measured, "fbeta_2").value == pytest.approx(sk.fbeta_score(y, logistic.predict(HELD_OUT), beta=2))
    with pytest.raises(InvalidValue, match="finite"):
        Cost(false_positive=float("nan"), false_negative=1)


def test_the_best_threshold_for_cost_needs_a_cost() -> None:
    with pytest.raises(InvalidValue, match="Cost"):
        measure(Scripted(), held(script([0, 1], p=[0.1, 0.9])), metrics=["best_threshold_cost"])


def wrong_share(y_true: Any, y_pred: Any, weights: Any) -> float:
    """A plain function: one minus accuracy."""
    return float(np.average(np.asarray(y_true) != np.asarray(y_pred), weights=weights))


class Missed:
    """An accumulator: the weight of the malignant rows (class 0) that were called benign."""

    name, low, high, better = "missed", 0.0, float("inf"), "lower"

    def init(self) -> dict[str, Any]:
        return {"missed": 0.0}

    def update(self, state: Any, y_true: Any, y_pred: Any, weights: Any) -> dict[str, Any]:
        missed = (y_true == 0) & (y_pred == 1)
        return {"missed": state["missed"] + float((missed if weights is None else missed * weights).sum())}

    def merge(self, state: Any, other: Any) -> dict[str, Any]:
        return {"missed": state["missed"] + other["missed"]}

    def result(self, state: Any) -> float:
        return float(state["missed"])


def test_metrics_of_ones_own_are_measured_on_all_rows_slices_and_in_parts(logistic: Model) -> None:
    own: list[Any] = [FunctionMetric("wrong_share", wrong_share, 0, 1, "lower"), Missed()]
    frame = HELD_OUT.assign(g=np.where(HELD_OUT["mean radius"] > 14, "large", "small"))
    engine = MeasuringEngine(100)
    options: dict[str, Any] = {"task": "binary", "metrics": own, "slices": ["g"], "baseline": logistic}
    measured = engine.measure(logistic, held(frame), **options)

    said = logistic.predict(HELD_OUT)
    for group, rows in (({}, slice(None)), ({"g": "large"}, (frame["g"] == "large").to_numpy())):
        y, p = HELD_OUT["target"].to_numpy()[rows], said[rows]
        assert find(measured, "wrong_share", **group).value == pytest.approx(1 - sk.accuracy_score(y, p))
        assert find(measured, "missed", **group).value == ((y == 0) & (p == 1)).sum()
    assert find(measured, "missed").stats["declared"] == {"low": 0.0, "high": None, "better": "lower"}
    parts = [engine.measure_part(logistic, held(frame[s : s + 150]), **options) for s in (0, 150)]
    merged = engine.merge_parts(parts, held(frame), metrics=own)
    assert find(merged, "missed", g="small").value == find(measured, "missed", g="small").value
    assert find(merged, "wrong_share").value == pytest.approx(find(measured, "wrong_share").value)
    with pytest.raises(InvalidValue, match="metrics of one's own"):
        engine.merge_parts(parts, held(frame))


class Hits:
    """An accumulator: the F1 score, of counts."""

    name, low, high, better = "own_f1", 0.0, 1.0, "higher"

    def init(self) -> dict[str, Any]:
        return {"counts": np.zeros(3)}

    def update(self, state: Any, y_true: Any, y_pred: Any, weights: Any) -> dict[str, Any]:
        found = [(y_true == 1) & (y_pred == 1), y_true == 1, y_pred == 1]
        return {"counts": state["counts"] + [kind.sum() for kind in found]}

    def merge(self, state: Any, other: Any) -> dict[str, Any]:
        return {"counts": state["counts"] + other["counts"]}

    def result(self, state: Any) -> float:
        hits, true, said = state["counts"]
        return float(2 * hits / (true + said))


def test_metrics_of_ones_own_have_the_bootstraps_bounds_whether_they_heed_weights_or_not(logistic: Model) -> None:
    """Rows are drawn anew as they are for the engine's own metrics, so an F1 of one's own has the F1's spread."""
    as_function = FunctionMetric("f1_function", lambda y, p, w: float(sk.f1_score(y, p)), 0, 1, "higher")
    own: list[Any] = [as_function, Hits()]
    frame = HELD_OUT.assign(g=np.where(HELD_OUT["mean radius"] > 14, "large", "small"), row=range(len(HELD_OUT)))
    engine = MeasuringEngine(100)
    options: dict[str, Any] = {
        "task": "binary",
        "metrics": own,
        "slices": ["g"],
        "baseline": trained(GaussianNB()),
        "bootstrap": 50,
    }
    whole = engine.measure(logistic, held(frame, id="row"), **options)
    parts = [engine.measure_part(logistic, held(frame[s : s + 150], id="row"), **options) for s in (0, 150)]
    merged = engine.merge_parts(parts, held(frame, id="row"), metrics=own)

    for measured in (whole, merged):
        for where in ({}, {"g": "large"}):
            expected = find(measured, "f1", **where).stats
            for name in ("f1_function", "own_f1"):
                found = find(measured, name, **where).stats
                for kind in ("evidence", "paired"):
                    assert found[kind].keys() == expected[kind].keys()
                    for key, value in expected[kind].items():
                        close = (
                            value
                            if value is None or isinstance(value, str)
                            else pytest.approx(value, rel=1e-9, abs=1e-15)
                        )
                        assert found[kind][key] == close, (name, kind, key)
    engine.exact_rows = 200
    beyond = engine.measure(logistic, held(frame, id="row"), **options)
    assert find(beyond, "own_f1").value == find(whole, "own_f1").value
    assert "evidence" not in find(beyond, "own_f1").stats
    grouped = engine.measure(logistic, held(frame.assign(few=frame["row"] % 5), id="row", group="few"), **options)
    assert "evidence" not in find(grouped, "own_f1").stats


def test_metrics_of_ones_own_that_cannot_be_are_refused() -> None:
    data = held(script([0, 1], [0, 1], [0.1, 0.9]))

    def fails(y_true: Any, y_pred: Any, weights: Any) -> float:
        raise ZeroDivisionError("no rows of interest")

    for metric, expected in (
        (FunctionMetric("accuracy", wrong_share), "a name that no other metric has"),
        (FunctionMetric("outside", lambda y, p, w: 3.0, 0, 1), "outside.*range"),
        (FunctionMetric("text", lambda y, p, w: "high"), "a number"),  # type: ignore[arg-type, return-value]
        (FunctionMetric("fails", fails), "ZeroDivisionError: no rows of interest"),
        ("accuraccy", "a known metric's name"),
    ):
        with pytest.raises(InvalidValue, match=expected):
            measure(Scripted(), data, metrics=[metric])


def test_other_code_is_another_metric() -> None:
    one, other = FunctionMetric("m", lambda y, p, w: 1.0), FunctionMetric("m", wrong_share)
    assert code_digest(one) != code_digest(other)
    assert code_digest(other) == code_digest(FunctionMetric("m", wrong_share))


def test_a_function_beyond_the_exact_size_says_what_to_do() -> None:
    engine = MeasuringEngine(100)
    engine.exact_rows = 150
    own = FunctionMetric("wrong_share", wrong_share, 0, 1, "lower")
    measured = engine.measure(Scripted(), held(script([0, 1] * 100)), task="binary", metrics=[own])
    assert "use an accumulator" in find(measured, "wrong_share").cause


def test_a_classifier_known_to_predict_its_most_probable_class_is_asked_once() -> None:
    frame = pd.DataFrame(
        {"target": [0, 1] * 50, "p": np.linspace(0, 1, 100), "said": (np.linspace(0, 1, 100) > 0.5) * 1}
    )
    frame.loc[60, "p"], frame.loc[60, "said"] = 0.5, 1  # a tie, which the model breaks its own way
    asked: list[int] = []

    def predict(batch: pd.DataFrame) -> Any:
        asked.append(len(batch))
        return batch["said"].to_numpy()

    model = Scripted(predict=predict)
    model.predicts_most_probable = True  # type: ignore[attr-defined]
    plain = measure(Scripted(), held(frame), batch_rows=20)
    assert measure(model, held(frame), batch_rows=20).measurements == plain.measurements
    assert asked == [20, 1]

    asked.clear()
    odd = frame.assign(said=(frame["p"] > 0.1) * 1)
    measured = measure(model, held(odd), batch_rows=20)
    assert asked == [20] * 5
    assert measured.measurements == measure(Scripted(), held(odd), batch_rows=20).measurements
