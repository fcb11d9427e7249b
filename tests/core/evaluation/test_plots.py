"""What plots are drawn from, and the page of one evaluation: kept when asked, the same in parts, fetching nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LogisticRegression, Ridge

import penstock
from penstock.evaluation.engine import MeasuringEngine
from penstock.evaluation.evaluation_page import files_of, page
from penstock.evaluation.state.grid import Grid
from penstock.model.evaluations import CANDIDATE, BaselineRef, Evaluation
from penstock.ports import Measured
from tests.core.measuring import FEATURES, HELD_OUT, TRAIN, Model, held, measure, trained

ROWS, TARGET = load_diabetes(return_X_y=True, as_frame=True)
FRAME = ROWS.assign(target=TARGET)


class Numbers:
    """A regression as a Predictor."""

    columns = classes = None
    uri = "models:/m/1"

    def __init__(self, estimator: Any) -> None:
        self._estimator = estimator.fit(ROWS[::2], TARGET[::2])

    def predict(self, batch: pd.DataFrame) -> Any:
        return self._estimator.predict(batch[list(ROWS.columns)])

    def predict_proba(self, batch: pd.DataFrame) -> None:
        return


def evaluation_of(measured: Measured, **changed: Any) -> Evaluation:
    known = ("e" * 32, "r" * 32, "m-" + "0" * 32, "p", measured.task, measured.dataset, measured.measurements)
    ref = BaselineRef("models:/m@champion", "m", "champion", 3, 1)
    return Evaluation(*known, baseline=ref, curves=changed.get("curves", measured.curves))


def test_a_grid_is_the_same_in_any_order_and_parts_and_counts_every_row() -> None:
    values = np.random.default_rng(0).standard_cauchy(5000)
    values[17] = np.nan
    pairs = [values, np.arange(5000.0)]
    whole = Grid(2, 64)
    whole.update(pairs)
    shuffled = np.random.default_rng(1).permutation(5000)
    parts = [Grid(2, 64) for _ in range(3)]
    for part, rows in zip(parts, np.array_split(shuffled, 3), strict=True):
        for batch in np.array_split(rows, 5):
            part.update([column[batch] for column in pairs])
    merged = parts[2]
    merged.merge(parts[0])
    merged.merge(parts[1])

    assert whole.counts.sum() == 4999
    assert (whole.lost, merged.lost) == (1, 1)
    assert np.array_equal(whole.cells, merged.cells)
    assert np.array_equal(whole.counts, merged.counts)
    again = Grid(2, 64)
    again.unpack(whole.pack())
    assert np.array_equal(again.cells, whole.cells)
    for dimension, column in enumerate(pairs):
        spread = np.ldexp(1.0, int(whole.exponents[dimension])) * 64
        reach = np.nanmax(column) - np.nanmin(column)
        assert reach <= spread <= 4 * reach


@pytest.mark.parametrize("values", [[0.0, 0.0], [1e300, -1e300], [5e-324, 0.0], [7.25]], ids=str)
def test_a_grid_takes_any_finite_numbers(values: list[float]) -> None:
    grid = Grid(1, 8)
    grid.update([np.array(values)])
    assert grid.counts.sum() == len(values)
    assert np.ptp(grid.cells) < 8


def test_the_curves_of_a_classifier_are_scikit_learns(logistic: Model) -> None:
    curves = measure(logistic, held(), plots=True).curves[CANDIDATE]
    truth, scores = HELD_OUT["target"], logistic.predict_proba(HELD_OUT)[:, 1]
    precision, recall, _ = sk.precision_recall_curve(truth, scores)
    theirs = {(round(r, 6), round(p, 6)) for r, p in zip(recall, precision, strict=True)}

    assert {*zip(curves["pr"]["recall"], curves["pr"]["precision"], strict=True)} <= theirs
    assert sum(curves["scores"]["positives"]) == pytest.approx(1, abs=1e-4)
    assert curves["lift"]["lift"][-1] == 1
    assert {"pr", "lift", "scores"}.isdisjoint(measure(logistic, held()).curves[CANDIDATE])


def test_errors_are_drawn_from_counts_that_parts_have_too() -> None:
    models: list[Any] = [Numbers(Ridge(1)), Numbers(Ridge(10))]
    whole = measure(models[0], held(FRAME), baseline=models[1], task="regression", plots=True)
    engine = MeasuringEngine(64)
    parts = [
        engine.measure_part(models[0], held(rows), baseline=models[1], task="regression", plots=True)
        for rows in (FRAME[:50], FRAME[50:])
    ]
    found = whole.curves[CANDIDATE]
    errors = models[0].predict(FRAME) - TARGET
    counted, _ = np.histogram(errors, found["residuals"]["edges"])

    assert engine.merge_parts(parts, held(FRAME)).curves == whole.curves
    assert found["residuals"]["shares"] == pytest.approx(counted / len(FRAME), abs=1e-6)
    assert sum(share for *_, share in found["predicted"]["cells"]) == pytest.approx(
        1 - found["predicted"]["outside"], abs=1e-4
    )
    assert len(json.dumps(whole.curves)) < 20_000


def test_the_page_has_numbers_with_intervals_first_and_fetches_nothing(logistic: Model) -> None:
    rng = np.random.default_rng(0)
    frame = HELD_OUT.assign(month=[f"2013-{m:02d}" for m in rng.integers(1, 5, len(HELD_OUT))])
    other = trained(LogisticRegression(C=1e-4, max_iter=3000), uri="models:/m/2")
    evil = frame.assign(who=np.where(rng.random(len(frame)) < 0.5, "<script>alert(1)</script>", "b"))
    measured = measure(logistic, held(evil), baseline=other, slices=["month", "who"], plots=True, bootstrap=0)
    shown = page(evaluation_of(measured), "models:/m/3 on <b>cancer</b>")
    accuracy = next(m for m in measured.measurements if m.metric == "accuracy" and m.of == CANDIDATE and not m.slice)

    assert f"{accuracy.value:.4f}" in shown
    assert shown.index("Metrics") < shown.index("<svg")
    assert "…" in shown
    for outside in ("http", "url(", "@import", "<script", "<link", "<img", "<iframe", " src=", " href=", "<b>"):
        assert outside not in shown, outside
    for caption in ("ROC", "Precision and recall", "Lift", "Scores by class, champion", "roc_auc over month"):
        assert f"<figcaption>{caption}</figcaption>" in shown
    files = files_of(evaluation_of(measured), "t")
    assert {"report.html", "roc.svg", "precision-recall.svg", "lift.svg", "slices-1.svg", "time-1.svg"} <= {*files}
    for name, text in files.items():
        if name.endswith(".svg"):
            assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"


def test_a_multiclass_confusion_matrix_is_shown_whole() -> None:
    names = ["alba", "barolo", "cortese"]
    curves = {CANDIDATE: {"confusion_matrix": {"classes": names, "rows": [[5, 1, 0], [0, 4, 2], [0, 0, 7]]}}}
    measured = measure(Numbers(Ridge(1)), held(FRAME), task="regression")
    shown = page(evaluation_of(measured, curves=curves), "wine")
    assert all(f"truly {name}" in shown and f"as {name}" in shown for name in names)
    assert shown.count('class="shade"') == 9


@pytest.fixture
def client(tmp_path: Path) -> Iterator[penstock.Client]:
    with penstock.connect(f"sqlite:///{tmp_path}/p.db", artifacts=tmp_path / "artifacts") as client:
        yield client


def test_plots_are_files_of_the_run_where_they_are_asked_for(client: penstock.Client, tmp_path: Path) -> None:
    x = list(FEATURES)
    with client.open_run("team/cancer", key="1") as run:
        model = run.log_model(LogisticRegression(max_iter=3000).fit(TRAIN[x], TRAIN["target"]), "model")
    plain = client.evaluate(model, HELD_OUT, label="target", bootstrap=0)
    before = client.wiring.store.list_artifacts(model.run_id)
    drawn = client.evaluate(model, HELD_OUT, label="target", bootstrap=0, plots=True)
    found = {e.path for e in client.wiring.store.list_artifacts(model.run_id)} - {e.path for e in before}

    assert drawn.evaluation_id != plain.evaluation_id
    folder = f"evaluations/{drawn.evaluation_id}"
    assert {f"{folder}/report.html", f"{folder}/roc.svg", f"{folder}/lift.svg"} <= found
    assert client.evaluate(model, HELD_OUT, label="target", bootstrap=0, plots=True) == drawn
    written = client.write_evaluation_report(drawn, tmp_path / "out" / "page.html", metric="accuracy")
    assert "Precision and recall" in written.read_text("utf-8")
