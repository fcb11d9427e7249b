"""Bounds of one value: against scipy, and what is said where there is none."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from penstock.errors import InvalidValue
from penstock.statistics.bounds import (
    confidence_of,
    interval,
    level_of,
    lower_bound,
    method_of,
    skewed_quantile,
    upper_bound,
)
from penstock.statistics.evidence import (
    Auc,
    Bounds,
    Evidence,
    Mean,
    PairedEstimates,
    PairedProportions,
    Proportion,
    Replicates,
    RootMean,
    Undecidable,
    evidence_from_json,
    paired_from_json,
)

ESTIMATES: list[Auc | Mean | Replicates] = [Auc(0.8, 0.02, 50, 200), Mean(0.4, 0.03, 12), Replicates(0.31, 0.015, 200)]


def found(bounds: Bounds | Undecidable) -> Bounds:
    assert isinstance(bounds, Bounds)
    return bounds


@pytest.mark.parametrize(("successes", "rows"), [(0, 10), (1, 10), (7, 10), (10, 10), (953, 1_000), (70_001, 100_000)])
def test_a_proportions_bounds_are_clopper_and_pearsons_and_its_interval_is_wilsons(successes: int, rows: int) -> None:
    test = stats.binomtest(successes, rows)
    exact, wilson = (test.proportion_ci(0.9, method) for method in ("exact", "wilson"))
    share = Proportion(successes, rows)

    assert lower_bound(share, 0.95) == pytest.approx(exact.low, rel=1e-9)
    assert upper_bound(share, 0.95) == pytest.approx(exact.high, rel=1e-9)
    shown = found(interval(share, 0.9))
    assert (shown.lower, shown.upper) == pytest.approx((wilson.low, wilson.high), rel=1e-9)
    assert shown.method == "Wilson"


def test_a_mean_has_students_bounds() -> None:
    losses = [0.2, 0.9, 0.1, 0.4, 0.7, 1.3]
    expected = stats.ttest_1samp(losses, 0).confidence_interval(0.95)
    mean = Mean(sum(losses) / 6, stats.sem(losses), 6)

    assert (lower_bound(mean, 0.975), upper_bound(mean, 0.975)) == pytest.approx((expected.low, expected.high))


def test_replicates_are_as_many_degrees_of_freedom_less_one() -> None:
    reach = stats.t.ppf(0.95, 199) * 0.015
    assert lower_bound(Replicates(0.31, 0.015, 200), 0.95) == pytest.approx(0.31 - reach)


def test_replicates_may_have_fewer_degrees_of_freedom_than_they_are() -> None:
    few = Replicates(0.31, 0.015, 200, 9.5)
    assert upper_bound(few, 0.95) == pytest.approx(0.31 + stats.t.ppf(0.95, 9.5) * 0.015)
    assert evidence_from_json(few.to_json()) == few
    for degrees in (0, 200, math.nan):
        with pytest.raises(InvalidValue, match="degrees_of_freedom"):
            Replicates(0.31, 0.015, 200, degrees)


def test_an_aucs_bounds_are_symmetric_on_the_logit_scale() -> None:
    # Pepe 2003, 5.2: logit(A) ± z se / (A (1 - A)).
    centre, reach = math.log(0.8 / 0.2), stats.norm.ppf(0.975) * 0.02 / (0.8 * 0.2)
    shown = found(interval(ESTIMATES[0]))

    assert shown.lower == pytest.approx(1 / (1 + math.exp(-(centre - reach))))
    assert shown.upper == pytest.approx(1 / (1 + math.exp(-(centre + reach))))


def test_an_aucs_bounds_stay_inside_0_and_1() -> None:
    shown = found(interval(Auc(0.99, 0.05, 20, 20)))
    assert 0 < shown.lower < 0.99 < shown.upper < 1


@pytest.mark.parametrize("evidence", ESTIMATES)
def test_two_one_sided_bounds_are_the_two_sided_interval_at_level_2c_minus_1(evidence: Evidence) -> None:
    shown = found(interval(evidence, level_of(0.95)))
    assert (lower_bound(evidence, 0.95), upper_bound(evidence, 0.95)) == pytest.approx(shown[:2], rel=1e-12)
    assert confidence_of(level_of(0.95)) == pytest.approx(0.95)


@pytest.mark.parametrize(
    ("evidence", "cause"),
    [
        (Proportion(0, 0), "no rows"),
        (Auc(1.0, 0.0, 50, 50), "zero variance"),
        (Auc(0.8, 0.1, 19, 500), "fewer than 20 rows of a class"),
        (Auc(0.8, 0.1, 500, 19), "fewer than 20 rows of a class"),
        (Mean(0.2, 0.0, 100), "zero variance"),
        (Mean(0.2, 0.1, 1), "fewer than two rows"),
        (Replicates(0.2, 0.0, 200), "zero variance"),
        (Replicates(0.2, 0.1, 1), "fewer than two bootstrap replicates"),
    ],
)
def test_where_no_bound_can_be_stated_the_cause_is(evidence: Evidence, cause: str) -> None:
    for said in (lower_bound(evidence, 0.95), upper_bound(evidence, 0.95), interval(evidence)):
        assert isinstance(said, Undecidable)
        assert said.cause.startswith(cause)


def test_a_perfect_proportion_is_bounded_all_the_same() -> None:
    assert lower_bound(Proportion(100, 100), 0.95) == pytest.approx(0.05 ** (1 / 100))
    assert upper_bound(Proportion(100, 100), 0.95) == 1


@pytest.mark.parametrize("confidence", [0.0, 1.0, -1.0, 95.0, math.nan])
def test_a_confidence_outside_0_and_1_is_refused(confidence: float) -> None:
    with pytest.raises(InvalidValue, match="confidence"):
        lower_bound(Proportion(1, 2), confidence)


@pytest.mark.parametrize("evidence", [Proportion(3, 9), *ESTIMATES])
def test_evidence_survives_json(evidence: Evidence) -> None:
    assert evidence_from_json(evidence.to_json()) == evidence


def test_paired_statistics_survive_json() -> None:
    skewed = PairedEstimates("mean", 0.8, 0.7, 1e-4, 2e-4, 5e-5, 99, (1e-7, 2e-7, 3e-7, 4e-7))
    for paired in (PairedProportions(1, 2, 3, 4), PairedEstimates("auc", 0.8, 0.7, 1e-4, 2e-4, 5e-5), skewed):
        assert paired_from_json(json.loads(json.dumps(paired.to_json()))) == paired
        assert hash(paired) == hash(paired_from_json(paired.to_json()))


@pytest.mark.parametrize(
    "data",
    [
        {"kind": "guess"},
        {},
        {"kind": "proportion", "successes": 3},
        {"kind": "proportion", "successes": 3, "rows": 2},
        {"kind": "proportion", "successes": -1, "rows": 2},
        {"kind": "proportion", "successes": 1.5, "rows": 2},
        {"kind": "proportion", "successes": True, "rows": 2},
        {"kind": "proportion", "successes": 1, "rows": 2, "bonus": 1},
        {"kind": "mean", "value": math.nan, "standard_error": 0.1, "rows": 2},
        {"kind": "mean", "value": 1.0, "standard_error": -0.1, "rows": 2},
        {"kind": "mean", "value": "1", "standard_error": 0.1, "rows": 2},
    ],
)
def test_evidence_that_cannot_be_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(InvalidValue):
        evidence_from_json(data)


@pytest.mark.parametrize(
    "changed",
    [
        {"method": "magic"},
        {"degrees_of_freedom": 0},
        {"variance_baseline": -1.0},
        {"third_cumulants": [1.0, 2.0, 3.0]},
        {"third_cumulants": [1.0, 2.0, 3.0, math.inf]},
        {"third_cumulants": [1.0, 2.0, 3.0, None]},
        {"third_cumulants": 4},
    ],
)
def test_paired_statistics_that_cannot_be_are_refused(changed: dict[str, object]) -> None:
    whole = PairedEstimates("mean", 0.8, 0.7, 1e-4, 2e-4, 5e-5, 9).to_json()
    with pytest.raises(InvalidValue):
        paired_from_json({**whole, **changed})


def hall(t: float, skewness: float) -> float:
    """What Hall 1992 makes of Student's t so that it is about normal, of an estimate skewed by `skewness`."""
    return t + skewness * t**2 / 3 + skewness**2 * t**3 / 27 + skewness / 6


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("skewness", [0.2, 1.0, 2.0, 2.4])
def test_bounds_of_a_skewed_mean_solve_halls_equation(side: int, skewness: float) -> None:
    """On the side of the longer tail for a smaller error: a tenth of a skewness more, so many of them less."""
    mean, bounds = Mean(1.0, 0.1, 400, side * skewness), {1: upper_bound, -1: lower_bound}
    t = {way: abs(float(bounds[way](mean, 0.975)) - 1) / 0.1 for way in (1, -1)}  # type: ignore[arg-type]
    q, of_mean = stats.t.ppf(0.975, 399), skewness / 20
    assert hall(t[-side], of_mean) == pytest.approx(q, rel=1e-9)
    smaller = stats.t.ppf(0.025 / (1 + 10 * of_mean), 399)
    assert hall(-t[side], of_mean) == pytest.approx(smaller, rel=1e-9)
    assert t[-side] < q < t[side]
    assert found(interval(mean))[:2] == (lower_bound(mean, 0.975), upper_bound(mean, 0.975))


def test_without_a_skewness_a_mean_has_students_bounds() -> None:
    plain, even = Mean(1.0, 0.1, 400), Mean(1.0, 0.1, 400, 0.0)
    nearly = Mean(1.0, 0.1, 400, 1e-5)
    for bound in (lower_bound, upper_bound):
        assert bound(plain, 0.975) == bound(even, 0.975) == pytest.approx(bound(nearly, 0.975), rel=1e-6)
    assert (found(interval(plain)).method, found(interval(even)).method) == ("t", "Hall")


def test_a_mean_of_a_few_huge_losses_is_bounded_by_cantelli_on_their_side_where_a_gate_decides() -> None:
    skewed = Mean(1.0, 0.1, 400, 8.0)
    mirrored = replace(skewed, skewness=-8.0)
    assert upper_bound(skewed, 0.975) == pytest.approx(1 + 0.1 * math.sqrt(39))
    assert lower_bound(mirrored, 0.975) == pytest.approx(1 - 0.1 * math.sqrt(39))
    assert 1 - float(lower_bound(skewed, 0.975)) == pytest.approx(float(upper_bound(mirrored, 0.975)) - 1)  # type: ignore[arg-type]
    assert evidence_from_json(skewed.to_json()) == skewed
    old = {"kind": "mean", "value": 1.0, "standard_error": 0.1, "rows": 400}
    assert evidence_from_json(old) == Mean(1.0, 0.1, 400)


@given(st.floats(0, 1), st.floats(0, 1), st.integers(2, 10**6), st.floats(0.5, 0.9999))
def test_a_bound_is_never_nearer_for_a_longer_tail_or_for_less_confidence(
    one: float, other: float, rows: int, confidence: float
) -> None:
    less, more = sorted((one, other))
    assert skewed_quantile(confidence, rows, less) <= skewed_quantile(confidence, rows, more) * (1 + 1e-3)
    assert skewed_quantile(confidence / 2 + 0.25, rows, one) <= skewed_quantile(confidence, rows, one) + 1e-9


def test_what_is_shown_of_a_long_tail_is_no_further_than_one_mode_allows() -> None:
    """P(X − μ ≥ kσ) ≤ 4/9/(1 + k²), and for large probabilities 4/3/(1 + k²) − 1/3: Vysochanskij and Petunin."""
    shown = found(interval(Mean(1.0, 0.1, 400, 8.0)))
    k = (shown.upper - 1) / 0.1
    assert 4 / 9 / (1 + k**2) == pytest.approx(0.025)
    assert shown.method == "Hall"
    wide = found(interval(Mean(1.0, 0.1, 400, 8.0), level_of(0.8)))
    k = (wide.upper - 1) / 0.1
    assert 4 / 3 / (1 + k**2) - 1 / 3 == pytest.approx(0.2)
    assert shown.lower == lower_bound(Mean(1.0, 0.1, 400, 8.0), 0.975)


@given(st.floats(-0.99, 0.99), st.integers(2, 10**6), st.floats(0.5, 0.9999))
def test_what_is_shown_of_a_mean_holds_it_and_is_inside_the_bounds_of_a_gate(
    skewness: float, rows: int, confidence: float
) -> None:
    mean = Mean(1.0, 0.1, rows, skewness * math.sqrt(rows))
    lower, upper = (float(bound(mean, confidence)) for bound in (lower_bound, upper_bound))  # type: ignore[arg-type]
    shown = found(interval(mean, level_of(confidence)))
    assert lower - 1e-9 <= shown.lower <= 1 <= shown.upper <= upper + 1e-9


@pytest.mark.parametrize("evidence", [Mean(1.0, 0.1, 10, 1e308), Replicates(1.0, 0.1, 200, None, 1e300)])
def test_no_estimate_is_more_skewed_than_one_row_makes_it(evidence: Mean | Replicates) -> None:
    """|Σu³| ≤ (Σu²)^1.5, whatever somebody wrote down."""
    most = replace(evidence, skewness=math.sqrt(10) if isinstance(evidence, Mean) else 1.0)
    assert upper_bound(evidence, 0.975) == upper_bound(most, 0.975)
    assert math.isfinite(float(upper_bound(evidence, 0.975)))  # type: ignore[arg-type]


def test_means_of_no_rows_are_undecidable_whatever_their_skewness() -> None:
    for skewness in (None, 3.0):
        assert isinstance(upper_bound(Mean(1.0, 0.1, 0, skewness), 0.9), Undecidable)
        assert method_of(Mean(1.0, 0.1, 0, skewness)).startswith(("t", "Hall"))


def test_a_skewness_that_is_no_number_is_refused() -> None:
    with pytest.raises(InvalidValue, match="skewness"):
        Mean(1.0, 0.1, 400, math.nan)


def test_a_root_of_a_mean_is_bounded_by_the_roots_of_the_means_bounds() -> None:
    for skewness in (0.0, 40.0, None):
        mean = Mean(9.0, 0.6, 400, skewness)
        root = RootMean(3.0, 0.6 / 6, 400, skewness)
        for bound in (lower_bound, upper_bound):
            of_mean, of_root = bound(mean, 0.975), bound(root, 0.975)
            assert isinstance(of_mean, float)
            assert of_root == pytest.approx(math.sqrt(max(of_mean, 0.0)), rel=1e-12)
    assert lower_bound(RootMean(3.0, 2.0, 400), 0.975) == 0.0
    assert evidence_from_json(root.to_json()) == root
