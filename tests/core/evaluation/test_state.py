"""Mergeable state: splitting, order and merge tree change nothing; beyond the exact size the stated bound holds."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from penstock.errors import InvalidValue
from penstock.evaluation.engine import MeasuringEngine
from penstock.evaluation.state.bins import magnitude_keys, magnitude_prefixes, ordered_keys, prefixes, scores_at
from penstock.evaluation.state.groups import GroupCodes
from penstock.evaluation.state.score_rows import ScoreRows
from penstock.evaluation.state.selection import quantiles_by_group
from penstock.evaluation.state.sums import GroupSums, squares
from penstock.model.data import DataSource
from tests.core.measuring import Scripted, find, held, measure, script

numbers = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e200, max_value=1e200)


@given(st.lists(st.tuples(numbers, st.integers(1, 3)), min_size=1, max_size=60), st.data())
@settings(max_examples=150, deadline=None)
def test_sums_are_the_same_to_the_last_bit_in_any_order_parts_and_tree(rows: Any, data: Any) -> None:
    def summed(rows: Any) -> GroupSums:
        sums = GroupSums(["x"])
        values, codes = (np.array(column) for column in zip(*rows, strict=True))
        sums.update({"x": values.astype(float)}, GroupCodes(len(rows), [codes.astype(np.int32)], 4))
        return sums

    whole, shuffled = summed(rows), data.draw(st.permutations(rows))
    cut = data.draw(st.integers(0, len(rows)))
    parts = [summed(part) for part in (shuffled[:cut], shuffled[cut:]) if part]
    if data.draw(st.booleans()):
        parts.reverse()
    merged = GroupSums(["x"])
    for part in parts:
        merged.merge(part, np.arange(4), 4)

    np.testing.assert_array_equal(merged.total("x"), whole.total("x"))
    exact: Any = sum((Fraction(value) for value, _ in rows), Fraction(0))
    largest: Any = max((abs(value) for value, _ in rows), default=0.0)
    apart: Any = abs(whole.exact("x", 0) - exact)
    assert apart <= len(rows) * Fraction(largest) / 2**64 + Fraction(1, 2**980)


def test_a_small_number_beside_a_huge_one_is_cut_the_same_alone_and_together() -> None:
    small, huge = (np.array([value, 0.0]) for value in (2.0**127 * 1.5, 2.0**192))
    groups = GroupCodes(2, [np.array([1, 2], dtype=np.int32)], 3)
    together, alone = GroupSums(["x"]), GroupSums(["x"])
    together.update({"x": np.array([small[0], huge[0]])}, groups)
    alone.update({"x": small}, groups)
    other = GroupSums(["x"])
    other.update({"x": huge[::-1]}, groups)
    alone.merge(other, np.arange(3), 3)
    np.testing.assert_array_equal(alone.total("x"), together.total("x"))


@given(st.lists(st.tuples(st.floats(0, 200, width=64), st.integers(1, 3)), min_size=2, max_size=60), st.data())
def test_bounded_numbers_have_the_same_sums_in_fewer_words(rows: Any, data: Any) -> None:
    values, codes = (np.array(column) for column in zip(*rows, strict=True))
    cut = data.draw(st.integers(1, len(rows) - 1))
    plain, bounded = GroupSums(["x"]), GroupSums(["x"], bounded=True)
    for sums in (plain, bounded):
        for part in (slice(0, cut), slice(cut, None)):
            groups = GroupCodes(len(values[part]), [codes[part].astype(np.int32)], 4)
            sums.update({"x": values[part]}, groups)
    np.testing.assert_array_equal(bounded.total("x"), plain.total("x"))
    assert all(bounded.exact("x", group) == plain.exact("x", group) for group in range(4))


def test_a_variance_far_from_zero_is_not_lost_to_cancellation() -> None:
    values = 1e9 + np.random.default_rng(0).normal(size=1000)
    high, low = squares(values)
    exact: Any = sum(Fraction(v) ** 2 for v in values.tolist())
    apart: Any = abs(sum(map(Fraction, high.tolist())) + sum(map(Fraction, low.tolist())) - exact)
    assert apart < Fraction(1, 10**10)


@given(st.lists(st.floats(-(2.0**39), 2.0**39, width=64), min_size=2, max_size=50))
def test_keys_of_scores_keep_their_order(scores: Any) -> None:
    ascending = np.sort(np.array(scores))
    keys = ordered_keys(ascending)
    assert (np.diff(keys) >= 0).all()
    np.testing.assert_allclose(scores_at(keys), ascending, rtol=1e-12, atol=2.0**-39)


probabilities = st.floats(0, 1, width=64) | st.sampled_from([0.5, 0.25, 0.75, 1 - 2**-53, 2.0**-40, 2.0**-41, -0.0])


@given(
    st.lists(probabilities, min_size=1) | st.lists(st.floats(-(2.0**45), 2.0**45, width=64), min_size=1),
    st.sampled_from([4, 8, 12, 14]),
)
def test_prefixes_of_scores_are_those_of_their_keys(scores: list[float], bits: int) -> None:
    numbers = np.array(scores)
    np.testing.assert_array_equal(prefixes(numbers, bits), ordered_keys(numbers) >> (52 - bits))
    np.testing.assert_array_equal(prefixes(-numbers, bits), ordered_keys(-numbers) >> (52 - bits))
    sizes = np.abs(numbers)
    np.testing.assert_array_equal(magnitude_prefixes(sizes, bits), magnitude_keys(sizes) >> (52 - bits))
    assert ordered_keys(np.array([-0.0]))[0] == ordered_keys(np.array([0.0]))[0] == 0


@pytest.mark.parametrize("rate", [0.3, 0.001, 0.999])
@pytest.mark.parametrize("grouped", [False, True])
def test_binned_scores_are_within_the_bound_they_state(rate: float, grouped: bool) -> None:
    random = np.random.default_rng(3)
    p = random.beta(2 * rate / (1 - rate) if rate < 0.5 else 2, 2 if rate < 0.5 else 2 * (1 - rate) / rate, 60_000)
    y = (random.uniform(size=len(p)) < p).astype(np.int8)
    rows = ScoreRows(["candidate"], 2, False, exact_rows=1000)
    codes = (np.arange(len(p)) % 2 + 1).astype(np.int32)
    for start in range(0, len(p), 7000):
        part = slice(start, start + 7000)
        groups = GroupCodes(len(p[part]), [codes[part]], 3)
        rows.update(y[part], {"candidate": p[part]}, None, groups)
    tables = dict(rows.tables("candidate"))

    for group, table in tables.items():
        if grouped != (group > 0):
            continue
        of = slice(None) if group == 0 else codes == group
        two = table.one_against_rest(1)
        exact_area, exact_precision = sk.roc_auc_score(y[of], p[of]), sk.average_precision_score(y[of], p[of])
        assert abs(two.roc_auc() - exact_area) <= two.roc_auc_bound() + 1e-12 <= 0.01
        assert abs(two.average_precision() - exact_precision) <= two.average_precision_bound() + 1e-12
        fpr, tpr, _ = sk.roc_curve(y[of], p[of])
        assert abs(two.ks_statistic() - np.max(tpr - fpr)) <= two.ks_bound() + 1e-12
    assert tables[0].one_against_rest(1).roc_auc_bound() < 2e-4
    assert rows.held() is None


@pytest.mark.parametrize(
    "values",
    [
        lambda random, n: np.abs(random.normal(size=n)),
        lambda random, n: random.integers(0, 4, n).astype(np.float64),
        lambda random, n: np.where(random.uniform(size=n) < 0.7, 0.0, random.lognormal(0, 40, n)),
        lambda random, n: np.abs(random.normal(size=n)).astype(np.float32),
    ],
    ids=["continuous", "few values", "zeros and huge", "single precision"],
)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("rows", [100, 20_000])
def test_quantiles_of_groups_are_numpys_quantiles_of_their_rows(values: Any, rows: int, weighted: bool) -> None:
    """A whole weight is as many rows."""
    random = np.random.default_rng(rows)
    magnitudes = values(random, rows)
    times = random.integers(0, 4, rows) if weighted else np.ones(rows, dtype=np.int64)
    times[0] = 1
    columns = [random.choice([1, 4, 9], rows).astype(np.int32), random.choice([2, 3, 5, 7, 8], rows).astype(np.int32)]
    columns[0][0] = 6  # alone in its group
    levels = [0.5, 0.1, 1 / 3, 0.99]

    found = quantiles_by_group(magnitudes, times.astype(np.float64) if weighted else None, columns, 12, levels)
    for group, chosen in [(0, np.ones(rows, dtype=bool)), *((g, c == g) for c in columns for g in np.unique(c))]:
        expected = [
            float(np.quantile(each, level, method="averaged_inverted_cdf"))
            for each in [np.repeat(magnitudes[chosen].astype(np.float64), times[chosen])]
            for level in levels
        ]
        assert list(found.pop(int(group)).values()) == expected
    assert not found


def small_engine(rows: int, batch_rows: int) -> MeasuringEngine:
    engine = MeasuringEngine(batch_rows)
    engine.exact_rows = rows
    return engine


def scored(rows: int = 3000, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    p = random.beta(1, 3, rows)
    late = (random.uniform(size=rows) < p).astype(int)
    return pd.DataFrame({"target": late, "p": p, "said": (p > 0.5) * 1, "g": random.choice(["a", "b", "c"], rows)})


@pytest.mark.parametrize("exact", [500, 10_000], ids=["binned", "exact"])
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_order_parts_and_merge_tree_change_nothing(task: str, exact: int) -> None:
    frame = scored()
    options: dict[str, Any] = {"task": task, "slices": ["g", "p:0.2,0.5"]}
    data = DataSource(frame, label="target", prediction="said", scores="p")
    if task == "regression":
        frame = frame.assign(target=np.random.default_rng(1).normal(size=len(frame)))
        data = DataSource(frame, label="target", prediction="said")
    whole = small_engine(exact, 65_536).measure(None, data, **options).measurements
    shuffled = frame.sample(frac=1, random_state=1)

    def source(part: pd.DataFrame) -> DataSource:
        return DataSource(part, label=data.label, prediction=data.prediction, scores=data.scores)

    engine = small_engine(exact, 300)
    assert engine.measure(None, source(shuffled), **options).measurements == whole
    parts = [engine.measure_part(None, source(shuffled[s : s + 700]), **options) for s in range(0, 3000, 700)]
    assert engine.merge_parts(parts, data).measurements == whole
    assert engine.merge_parts(parts[::-1], data).measurements == whole


def test_beyond_the_exact_size_every_number_is_within_what_it_says() -> None:
    frame = scored(20_000)
    data = DataSource(frame, label="target", prediction="said", scores="p")
    exact = MeasuringEngine().measure(None, data, task="binary", slices=["g"])
    binned = small_engine(1000, 4096).measure(None, data, task="binary", slices=["g"])

    bounds = 0
    for one, other in zip(exact.measurements, binned.measurements, strict=True):
        assert (one.metric, one.slice, one.n) == (other.metric, other.slice, other.n)
        assert one.value is not None
        assert other.value is not None
        bound = other.stats.get("error_bound", 0.0)
        bounds += bound > 0
        assert abs(one.value - other.value) <= bound + 1e-12, one.metric
    assert bounds >= 4 * 4
    assert find(binned, "roc_auc").stats["error_bound"] < 1e-3


def test_quantiles_of_errors_beyond_the_exact_size_are_within_their_bound() -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"y": random.standard_cauchy(30_000) * 1e6, "said": 0.0})
    data = DataSource(frame, label="y", prediction="said")
    found = small_engine(1000, 4096).measure(None, data, task="regression")
    median = find(found, "median_absolute_error")
    assert median.value is not None
    assert abs(median.value - np.median(np.abs(frame["y"]))) <= median.stats["error_bound"] < median.value * 2e-4


def test_slices_by_crosses_and_edges_are_named_for_what_they_are() -> None:
    frame = script_of_slices()
    measured = measure(Scripted(), held(frame), slices=[("g", "h"), "x:0,10", "g × x:10"], min_rows=2)

    slices = {tuple(sorted(m.slice.items())): m.n for m in measured.measurements}
    assert slices[("x", "< 0"),] == 1
    assert slices[("x", "[0, 10)"),] == 2
    assert slices[("x", ">= 10"),] == 2
    assert slices[("x", "(null)"),] == 1
    assert slices[("g", "a"), ("h", "u")] == 2
    assert slices[("g", "b"), ("x", ">= 10")] == 2
    small = find(measured, "accuracy", x="< 0")
    assert (small.value, small.cause, small.n) == (None, "too few rows: 1 of at least 2", 1)
    assert find(measured, "accuracy", g="a", h="u").value == 1


def script_of_slices() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "target": [0, 1, 0, 1, 0, 1],
            "said": [0, 1, 0, 1, 0, 1],
            "g": ["a", "a", "a", "b", "b", "b"],
            "h": ["u", "u", "v", "u", "v", "v"],
            "x": [-1.0, 0.0, 9.0, 10.0, 11.0, math.nan],
        }
    )


def test_categories_are_sliced_and_profiled_as_the_values_they_stand_for() -> None:
    random = np.random.default_rng(2)
    text: Any = pd.Series(random.choice(np.array(["a", "b", "c", None]), 500))
    number = pd.Series(random.choice([1.5, -2.0, np.nan], 500))
    frame = script(random.integers(0, 2, 500), p=random.random(500), text=text, number=number)
    coded = frame.assign(
        text=pd.Categorical(text, ["unused", "c", "b", "a"]), number=pd.Categorical(number, [1.5, 7.0, -2.0])
    )
    plain, categories = (
        measure(Scripted(), held(rows), slices=["text", "number", "text × number"], batch_rows=200)
        for rows in (frame, coded)
    )
    assert categories.measurements == plain.measurements
    assert len({str(m.slice) for m in plain.measurements}) == 1 + 4 + 3 + 12
    for name in ("text", "number"):
        ours, expected = (replace(found.dataset.profile[name], dtype="") for found in (categories, plain))
        assert ours == expected


def test_calibration_error_is_of_scikit_learns_bins() -> None:
    p = np.append(np.random.default_rng(0).uniform(size=2000), np.linspace(0, 1, 11))
    y = (np.random.default_rng(1).uniform(size=len(p)) < p**2).astype(int)
    bins = np.searchsorted(np.linspace(0, 1, 11)[1:-1], p)
    gaps = [abs(p[bins == b].mean() - y[bins == b].mean()) * (bins == b).mean() for b in range(10)]
    found = find(measure(Scripted(), held(pd.DataFrame({"target": y, "said": y, "p": p}))), "calibration_error")
    assert found.value == pytest.approx(sum(gaps), abs=1e-12)


def test_the_earliest_batch_that_cannot_be_counted_is_the_one_that_is_named() -> None:
    frame = script([0, 1] * 15, g=[1, 2] * 5 + ["not a number"] * 10 + [1, 2] * 5)
    later = frame.assign(target=[*frame["target"][:-1], float("nan")])
    for data in (frame, later):
        with pytest.raises(InvalidValue, match="slice column 'g'"):
            measure(Scripted(), held(data), slices=["g:1.5"], batch_rows=10)
    with pytest.raises(InvalidValue, match="1 nulls"):
        measure(Scripted(), held(later), batch_rows=10)


def test_spread_and_calibration_follow_from_the_table_of_scores() -> None:
    random = np.random.default_rng(5)
    p = np.round(random.beta(1, 4, 3000), 2)
    frame = script((random.random(3000) < p) * 1, (p > 0.5) * 1, p, g=random.integers(0, 3, 3000))
    binned = MeasuringEngine(512)
    binned.exact_rows = 1000
    exact = measure(Scripted(), held(frame), slices=["g"])
    coarse = binned.measure(Scripted(), held(frame), task="binary", slices=["g"])
    for group in ({}, {"g": "1"}):
        rows = np.ones(3000, dtype=bool) if not group else (frame["g"] == 1).to_numpy()
        y, q = frame["target"].to_numpy()[rows], p[rows]
        given = np.where(y == 1, q, 1 - q)
        for metric, losses in (
            ("log_loss", -np.log(np.clip(given, 2**-52, 1 - 2**-52))),
            ("brier_score", (q - y) ** 2),
        ):
            evidence = find(exact, metric, **group).stats["evidence"]
            error = losses.std(ddof=1) / np.sqrt(len(y))
            assert evidence["standard_error"] == pytest.approx(error, rel=1e-12)
            assert evidence["skewness"] == pytest.approx(scipy.stats.skew(losses), rel=1e-9)
            rough = find(coarse, metric, **group)
            assert rough.value == pytest.approx(losses.mean(), rel=1e-12)
            assert rough.stats["evidence"]["standard_error"] == pytest.approx(error, rel=0.01)
        bins = np.clip(np.ceil(q * 10) - 1, 0, 9).astype(int)
        gaps = [abs((q - y)[bins == place].sum()) for place in range(10)]
        rough = find(coarse, "calibration_error", **group)
        assert find(exact, "calibration_error", **group).value == pytest.approx(sum(gaps) / len(y), abs=1e-12)
        assert abs(rough.value - sum(gaps) / len(y)) <= rough.stats["error_bound"] <= 0.5
