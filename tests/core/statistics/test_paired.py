"""Comparisons on the same rows: Tango's interval, other contrasts, McNemar, power and Holm."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import optimize, stats

from penstock.errors import InvalidValue
from penstock.statistics.bounds import skewed_quantile
from penstock.statistics.evidence import Bounds, Mean, PairedEstimates, PairedProportions, Proportion, Undecidable
from penstock.statistics.harm import harmed_slices, holm
from penstock.statistics.paired import contrast, contrast_bounds, mcnemar, p_value_worse
from penstock.statistics.power import rows_needed, smallest_difference

# Complete response before and after consolidation therapy (Cavo et al., Blood 2012), the worked example of Fagerland,
# Lydersen & Laake, "Statistical Analysis of Contingency Tables" (2017), chapter 8. The figures expected below are what
# the authors' R package `contingencytables` prints for it.
CAVO = PairedProportions(both=59, only_candidate=6, only_baseline=16, neither=80)
Z = stats.norm.ppf(0.975)
TABLES = st.builds(PairedProportions, *[st.integers(0, 40)] * 4).filter(lambda table: table.rows > 0)


def found(bounds: Bounds | Undecidable) -> Bounds:
    assert isinstance(bounds, Bounds)
    return bounds


def test_a_published_example_of_tangos_interval() -> None:
    bounds = found(contrast_bounds(CAVO, 1.0, 0.975))
    assert (round(bounds.lower, 4), round(bounds.upper, 4)) == (-0.1240, -0.0054)
    assert bounds.method == "Tango score"


def test_a_published_example_of_a_ratio_of_paired_proportions() -> None:
    # The interval of the ratio is 0.7476 to 0.9876: at either end the contrast's bound is 0.
    assert found(contrast_bounds(CAVO, 0.7476, 0.975)).lower == pytest.approx(0, abs=2e-5)
    assert found(contrast_bounds(CAVO, 0.9876, 0.975)).upper == pytest.approx(0, abs=2e-5)


def test_published_examples_of_mcnemars_test() -> None:
    test = mcnemar(CAVO)
    assert (round(test.two_sided, 6), round(test.mid_p, 6)) == (0.052479, 0.034690)


@pytest.mark.parametrize(("won", "lost"), [(0, 0), (3, 3), (1, 9), (9, 1), (40, 20), (1000, 900)])
def test_mcnemar_is_the_binomial_test_of_the_rows_on_which_just_one_was_right(won: int, lost: int) -> None:
    test = mcnemar(PairedProportions(10, won, lost, 5))
    if won + lost == 0:
        assert test == (1, 1, 1, 1)
        return
    sides = ("greater", "less", "two-sided")
    expected = [stats.binomtest(won, won + lost, alternative=side).pvalue for side in sides]
    assert test[:3] == pytest.approx(expected, rel=1e-9)
    assert test.mid_p < test.two_sided


def score_by_closed_form(table: PairedProportions) -> Callable[[float], float]:
    """Tango's statistic as he published it, with the root of his quadratic."""
    n, won, lost = table.rows, table.only_candidate, table.only_baseline

    def score(difference: float) -> float:
        b = -won - lost + (2 * n - won + lost) * difference
        c = -lost * difference * (1 - difference)
        q = (math.sqrt(b * b - 8 * n * c) - b) / (4 * n)
        return (won - lost - n * difference) / math.sqrt(n * (2 * q + difference * (1 - difference)))

    return score


@pytest.mark.parametrize(
    ("won", "lost", "rows"),
    [(40, 20, 160), (0, 0, 100), (0, 1, 44), (5, 0, 25), (0, 5, 25), (300, 200, 1_000_000)],
)
def test_the_bounds_solve_tangos_own_equation(won: int, lost: int, rows: int) -> None:
    table = PairedProportions(rows - won - lost, won, lost, 0)
    score = score_by_closed_form(table)
    bounds = found(contrast_bounds(table, 1.0, 0.975))

    assert score(bounds.lower) == pytest.approx(Z, rel=1e-7)
    assert score(bounds.upper) == pytest.approx(-Z, rel=1e-7)


@pytest.mark.parametrize("factor", [0.9, 0.99, 1.0, 1.05])
def test_the_score_uses_the_likeliest_probabilities_under_the_constraint(factor: float) -> None:
    """Independent of ours: scipy maximises the multinomial likelihood itself at our bound."""
    weights, counts = (1 - factor, 1.0, -factor, 0.0), (59, 6, 16, 80)
    bound = found(contrast_bounds(CAVO, factor, 0.975)).lower
    best = optimize.minimize(
        lambda p: -sum(n * math.log(q) for n, q in zip(counts, p, strict=True)),
        [n / CAVO.rows for n in counts],
        bounds=[(1e-9, 1)] * 4,
        constraints=[
            {"type": "eq", "fun": lambda p: sum(p) - 1},
            {"type": "eq", "fun": lambda p: sum(w * q for w, q in zip(weights, p, strict=True)) - bound},
        ],
        options={"ftol": 1e-14, "maxiter": 500},
    ).x
    variance = sum(q * (w - bound) ** 2 for w, q in zip(weights, best, strict=True))
    estimate = contrast(CAVO, factor)

    assert estimate is not None
    assert (estimate - bound) / math.sqrt(variance / CAVO.rows) == pytest.approx(Z, rel=1e-4)


@given(TABLES, st.sampled_from([0.8, 0.99, 1.0, 1.2]))
def test_bounds_hold_the_estimate_and_widen_with_confidence(table: PairedProportions, factor: float) -> None:
    estimate = contrast(table, factor)
    narrow, wide = (found(contrast_bounds(table, factor, c)) for c in (0.9, 0.99))

    assert estimate is not None
    assert wide.lower <= narrow.lower <= estimate + 1e-12
    assert estimate - 1e-12 <= narrow.upper <= wide.upper


@given(TABLES, st.sampled_from([0.8, 1.0, 1.2]), st.lists(st.integers(1, 31), min_size=2, max_size=2, unique=True))
def test_confidences_a_little_apart_have_bounds_a_little_apart(
    table: PairedProportions, factor: float, steps: list[int]
) -> None:
    # A bound that solves its equation moves with the confidence; one that was stopped beside it stays or leaps.
    low, high = (found(contrast_bounds(table, factor, 0.6 + step / 100)) for step in sorted(steps))
    assert high.lower < low.lower or low.lower == pytest.approx(min(1 - factor, -factor), abs=1e-9)
    assert low.upper < high.upper or low.upper == pytest.approx(max(1 - factor, 1.0), abs=1e-9)


def test_a_bound_is_found_where_an_exact_fraction_lies_on_the_way() -> None:
    # Asked at a contrast of -1/4, the likeliest probabilities lie beside a limit of Newton's method.
    bounds = found(contrast_bounds(PairedProportions(9, 0, 1, 0), 1.0, float(stats.norm.cdf(0.5))))
    assert bounds.lower == pytest.approx(-0.157613211878899, abs=1e-12)


@given(TABLES)
def test_exchanging_the_models_mirrors_the_interval(table: PairedProportions) -> None:
    mirrored = PairedProportions(table.both, table.only_baseline, table.only_candidate, table.neither)
    one, other = found(contrast_bounds(table, 1.0, 0.95)), found(contrast_bounds(mirrored, 1.0, 0.95))
    assert one.lower == pytest.approx(-other.upper, abs=1e-9)


def test_a_paired_mean_is_the_t_test_of_the_differences() -> None:
    new, old = [0.2, 0.9, 0.1, 0.4, 0.7, 1.3, 0.2], [0.3, 1.1, 0.1, 0.6, 0.6, 1.5, 0.4]
    expected = stats.ttest_rel(new, old).confidence_interval(0.9)
    paired = paired_mean(new, old)
    bounds = found(contrast_bounds(paired, 1.0, 0.95))

    assert bounds[:2] == pytest.approx((expected.low, expected.high))
    better = stats.ttest_rel(new, old, alternative="less").pvalue
    assert p_value_worse(paired) == pytest.approx(better)
    assert p_value_worse(paired, greater_is_better=False) == pytest.approx(1 - better)


def paired_mean(new: list[float], old: list[float]) -> PairedEstimates:
    n = len(new)
    new_mean, old_mean = sum(new) / n, sum(old) / n
    pairs = list(zip(new, old, strict=True))
    return PairedEstimates(
        "mean",
        new_mean,
        old_mean,
        sum((a - new_mean) ** 2 for a in new) / (n - 1) / n,
        sum((b - old_mean) ** 2 for b in old) / (n - 1) / n,
        sum((a - new_mean) * (b - old_mean) for a, b in pairs) / (n - 1) / n,
        n - 1,
    )


def test_a_percent_margin_is_a_contrast_whose_variance_follows_from_the_factor() -> None:
    paired = PairedEstimates("auc", 0.80, 0.79, 4e-4, 3e-4, 2e-4)
    bounds = found(contrast_bounds(paired, 0.99, 0.975))
    error = math.sqrt(4e-4 + 0.99**2 * 3e-4 - 2 * 0.99 * 2e-4)

    assert (bounds.lower, bounds.upper) == pytest.approx(
        (0.80 - 0.99 * 0.79 - Z * error, 0.80 - 0.99 * 0.79 + Z * error)
    )


def skewed_pair() -> tuple[NDArray[np.float64], NDArray[np.float64], PairedEstimates]:
    """Squared errors of two models, some of them huge, and what an evaluation keeps of them."""
    random = np.random.default_rng(4)
    shared = random.lognormal(0, 1.2, 500)
    new, old = shared * random.lognormal(0, 0.3, 500), shared * random.lognormal(0.1, 0.3, 500)
    a, b, n = new - new.mean(), old - old.mean(), 500
    third = [float((x * y * z).mean()) / n**2 for x, y, z in ((a, a, a), (a, a, b), (a, b, b), (b, b, b))]
    spread = np.cov(new, old) / n
    variances = float(spread[0, 0]), float(spread[1, 1]), float(spread[0, 1])
    cumulants = third[0], third[1], third[2], third[3]
    return new, old, PairedEstimates("mean", float(new.mean()), float(old.mean()), *variances, n - 1, cumulants)


@pytest.mark.parametrize("factor", [1.0, 0.95, 0.5, 1.1])
def test_a_contrast_is_as_skewed_as_its_rows_and_further_away_on_the_side_of_their_tail(factor: float) -> None:
    new, old, pair = skewed_pair()
    rows = new - factor * old
    n = len(rows)
    skewness = stats.skew(rows) * ((n - 1) / n) ** 1.5 / math.sqrt(n)
    assert pair.skewness_of_contrast(factor) == pytest.approx(skewness, rel=1e-9)

    bounds, error = found(contrast_bounds(pair, factor, 0.975)), stats.sem(rows)
    t, side = stats.t.ppf(0.975, n - 1), 1 if skewness > 0 else -1
    away = {1: (bounds.upper - rows.mean()) / error, -1: (rows.mean() - bounds.lower) / error}
    assert away[-side] == pytest.approx(t, rel=1e-9)
    assert away[side] == pytest.approx(skewed_quantile(0.975, n - 1, abs(skewness)), rel=1e-9)
    assert away[side] > t


def test_a_difference_of_roots_is_skewed_and_spread_as_its_rows_to_first_order() -> None:
    new, old, pair = skewed_pair()
    roots = pair.of_roots()
    assert roots is not None
    one, other = math.sqrt(new.mean()), math.sqrt(old.mean())
    rows = new / (2 * one) - 0.9 * old / (2 * other)
    assert (roots.candidate, roots.baseline, roots.degrees_of_freedom) == (one, other, 499)
    assert math.sqrt(roots.variance_of_contrast(0.9)) == pytest.approx(stats.sem(rows), rel=1e-9)
    skewness = stats.skew(rows) * (499 / 500) ** 1.5 / math.sqrt(500)
    assert roots.skewness_of_contrast(0.9) == pytest.approx(skewness, rel=1e-9)
    assert replace(pair, third_cumulants=None).of_roots() == replace(roots, third_cumulants=None)
    assert replace(pair, baseline=0.0).of_roots() is None


@pytest.mark.parametrize("value", [1e-320, 1e-300, 1e150])
def test_roots_of_any_size_have_statistics_or_none(value: float) -> None:
    spread = 1e-3 * value * value
    pair = PairedEstimates("mean", value, value, spread, spread, 0.0, 9, (1e307, 0.0, 0.0, 1e-310))
    roots = pair.of_roots()
    assert roots is None or roots.candidate == pytest.approx(math.sqrt(value))
    tiny = PairedEstimates("mean", 1.0, 1.0, 1e-210, 1e-210, 0.0, 9, (1e-310, 0.0, 0.0, 0.0))
    assert 0 < tiny.skewness_of_contrast(0.5) <= 1


def test_a_skewness_that_is_not_known_or_lost_in_rounding_leaves_students_bounds() -> None:
    _, _, pair = skewed_pair()
    without = replace(pair, third_cumulants=None)
    assert without.skewness_of_contrast(0.9) == 0.0
    same = replace(pair, variance_baseline=pair.variance_candidate, covariance=pair.variance_candidate * (1 - 1e-8))
    assert same.variance_of_contrast(1.0) > 0
    assert same.skewness_of_contrast(1.0) == 0.0
    bounds = found(contrast_bounds(without, 0.9, 0.975))
    assert bounds.upper - without.candidate + 0.9 * without.baseline == pytest.approx(
        stats.t.ppf(0.975, 499) * math.sqrt(without.variance_of_contrast(0.9))
    )


def test_identical_models_are_undecidable_where_only_a_variance_could_say() -> None:
    same = PairedEstimates("mean", 0.4, 0.4, 1e-4, 1e-4, 1e-4, 99)
    rounded = PairedEstimates("mean", 0.4, 0.4, 1e-4 * (1 + 2e-16), 1e-4, 1e-4, 99)
    for paired in (same, rounded):
        assert isinstance(contrast_bounds(paired, 1.0, 0.95), Undecidable)
        assert isinstance(p_value_worse(paired), Undecidable)


def test_identical_models_are_decidable_by_tangos_test() -> None:
    # z² / (n + z²), as without disagreement the constrained difference is a binomial share.
    bounds = found(contrast_bounds(PairedProportions(900, 0, 0, 100), 1.0, 0.95))
    z = stats.norm.ppf(0.95)
    assert bounds[:2] == pytest.approx((-(z**2) / (1000 + z**2), z**2 / (1000 + z**2)))


def test_no_rows_have_no_bounds() -> None:
    assert contrast_bounds(PairedProportions(0, 0, 0, 0), 1.0, 0.95) == Undecidable("no rows")


def test_the_power_statement_does_not_know_the_observed_difference() -> None:
    better, worse = PairedProportions(800, 60, 40, 100), PairedProportions(800, 40, 60, 100)
    even = PairedProportions(800, 50, 50, 100)
    assert smallest_difference(better, 0.95) == smallest_difference(worse, 0.95) == smallest_difference(even, 0.95)
    assert smallest_difference(even, 0.95) == pytest.approx((stats.norm.ppf(0.95) + stats.norm.ppf(0.8)) * 0.01)


def test_as_many_rows_as_needed_detect_the_difference() -> None:
    share = Proportion(8_000, 10_000)
    needed = rows_needed(share, 10_000, 0.005, 0.975)
    assert isinstance(needed, int)
    error = math.sqrt(0.8 * 0.2 / needed)
    assert stats.norm.cdf((0.005 - stats.norm.ppf(0.975) * error) / error) == pytest.approx(0.8, abs=1e-4)
    smallest = smallest_difference(share, 0.975)
    assert isinstance(smallest, float)
    assert rows_needed(share, 10_000, smallest * (1 + 1e-9), 0.975) == 10_000


def with_rows(statistics: Mean | PairedEstimates, rows: int, times: float) -> Mean | PairedEstimates:
    """The same losses, of `times` as many rows."""
    if isinstance(statistics, Mean):
        return replace(statistics, rows=round(rows * times), standard_error=statistics.standard_error / times**0.5)
    names = ("variance_candidate", "variance_baseline", "covariance")
    smaller = {name: getattr(statistics, name) / times for name in names}
    one, two, three, four = (cumulant / times**2 for cumulant in statistics.third_cumulants or ())
    return replace(statistics, **smaller, third_cumulants=(one, two, three, four))


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 1.3])
def test_a_long_tail_takes_as_many_rows_more_as_its_bounds_are_further_away(share: float) -> None:
    """What a gate's own bound would need: less the more rows there are, as their mean is less skewed."""
    _, _, pair = skewed_pair()
    tail = Mean(4.7, 1.07, 2_000, 12.0)
    far = smallest_difference(tail, 0.975)
    assert far == pytest.approx((math.sqrt(39) + stats.t.ppf(0.8, 1_999)) * 1.07)
    for statistics, rows in ((tail, 2_000), (pair, 500)):
        smallest = smallest_difference(statistics, 0.975, factor=0.9)
        assert isinstance(smallest, float)
        needed = rows_needed(statistics, rows, smallest * share, 0.975, factor=0.9)
        assert isinstance(needed, int)
        again = smallest_difference(with_rows(statistics, rows, needed / rows), 0.975, factor=0.9)
        fewer = smallest_difference(with_rows(statistics, rows, 0.99 * needed / rows), 0.975, factor=0.9)
        assert isinstance(again, float)
        assert isinstance(fewer, float)
        assert again <= smallest * share * 1.005 < fewer * 1.005
        naive = rows / share**2
        assert needed <= naive + 1 if share < 1 else needed >= naive - 1
    assert isinstance(far, float)
    fifth = rows_needed(tail, 2_000, far / 5, 0.975)
    assert isinstance(fifth, int)
    assert fifth < 2_000 * 5**2 / 2


def test_rows_of_a_mean_that_hardly_any_sample_knows_are_enough_and_too_many_are_not_counted() -> None:
    for skewness in (0.3, 0.6, 0.95):
        mean = Mean(1.0, 0.1, 1_000, skewness * math.sqrt(1_000))
        smallest = smallest_difference(mean, 0.975)
        assert isinstance(smallest, float)
        for share in (0.1, 0.7, 1.5):
            needed = rows_needed(mean, 1_000, share * smallest, 0.975)
            assert isinstance(needed, int)
            again = smallest_difference(with_rows(mean, 1_000, needed / 1_000), 0.975)
            assert isinstance(again, float)
            assert again <= share * smallest * 1.01
    assert isinstance(rows_needed(Mean(1.0, 0.1, 1_000, 3.0), 1_000, 1e-300, 0.975), Undecidable)
    assert smallest_difference(Mean(1.0, 0.1, 1, 0.0), 0.975) == Undecidable("fewer than two rows")
    assert isinstance(smallest_difference(Mean(1.0, 0.1, 100, 3.0), 1 - 1e-16), float)


def test_power_without_variance_is_undecidable() -> None:
    for nothing in (Mean(0.2, 0.0, 10), Proportion(10, 10), PairedProportions(10, 0, 0, 0), Proportion(0, 0)):
        assert isinstance(smallest_difference(nothing, 0.95), Undecidable)
        assert isinstance(rows_needed(nothing, 10, 0.1, 0.95), Undecidable)


@pytest.mark.parametrize("difference", [0.0, -0.1, math.nan, math.inf])
def test_rows_are_needed_for_a_positive_difference_only(difference: float) -> None:
    with pytest.raises(InvalidValue, match="difference"):
        rows_needed(Proportion(5, 10), 10, difference, 0.95)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.5))
def test_holm_rejects_step_by_step(p_values: list[float], alpha: float) -> None:
    rejected: set[int] = set()
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if min(1.0, (len(p_values) - rank) * p_values[place]) > alpha:
            break
        rejected.add(place)
    assert {i for i, p in enumerate(holm(p_values)) if p <= alpha} == rejected


def test_only_the_harmed_slice_is_named_and_every_slice_counts() -> None:
    slices = {
        "JFK": PairedProportions(800, 10, 60, 130),
        "LGA": PairedProportions(800, 40, 42, 118),
        "EWR": PairedProportions(5, 0, 0, 1),
        "too small": None,
    }
    harms = harmed_slices(slices, greater_is_better=True)

    assert [where for where, harm in harms.items() if harm.harmed] == ["JFK"]
    assert harms["JFK"].adjusted == pytest.approx(4 * harms["JFK"].p_value)
    assert not any(harm.harmed for harm in harmed_slices(slices, greater_is_better=False).values())
