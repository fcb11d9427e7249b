"""Bounds of one value: against scipy, and what is said where there is none."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from scipy import stats

from penstock.errors import InvalidValue
from penstock.statistics.bounds import confidence_of, degrees_of_skewed, interval, level_of, lower_bound, upper_bound
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


def test_skewed_losses_tell_the_spread_of_a_share_of_squares_with_few_degrees_of_freedom() -> None:
    """Satterthwaite's, with the least kurtosis that a skewness allows: never more than the losses' own would give."""
    losses = stats.lognorm(1).rvs(3_000, random_state=1)
    skewness, kurtosis = stats.skew(losses), stats.kurtosis(losses, fisher=False)
    degrees = degrees_of_skewed(3_000, skewness)
    assert degrees == int(6_000 / skewness**2)
    assert degrees >= 6_000 / (kurtosis - 1)
    few = Replicates(0.31, 0.015, 200, degrees)
    assert upper_bound(few, 0.95) == pytest.approx(0.31 + stats.t.ppf(0.95, degrees) * 0.015)
    assert evidence_from_json(few.to_json()) == few
    assert degrees_of_skewed(3_000, None) is None
    assert degrees_of_skewed(10, 50.0) == 1
    assert (degrees_of_skewed(1_000, 0.0) or 0) > 10**9
    with pytest.raises(InvalidValue, match="degrees_of_freedom"):
        Replicates(0.31, 0.015, 200, 0)


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
    for paired in (PairedProportions(1, 2, 3, 4), PairedEstimates("auc", 0.8, 0.7, 1e-4, 2e-4, 5e-5)):
        assert paired_from_json(paired.to_json()) == paired


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


@pytest.mark.parametrize("changed", [{"method": "magic"}, {"degrees_of_freedom": 0}, {"variance_baseline": -1.0}])
def test_paired_statistics_that_cannot_be_are_refused(changed: dict[str, object]) -> None:
    whole = PairedEstimates("mean", 0.8, 0.7, 1e-4, 2e-4, 5e-5, 9).to_json()
    with pytest.raises(InvalidValue):
        paired_from_json({**whole, **changed})


def test_a_mean_of_a_few_huge_losses_is_bounded_by_cantelli_on_their_side_only() -> None:
    plain = Mean(1.0, 0.1, 400)
    skewed, mild = replace(plain, skewness=8.0), replace(plain, skewness=2.0)
    z = stats.t.ppf(0.975, 399)
    assert upper_bound(mild, 0.975) == upper_bound(plain, 0.975) == pytest.approx(1 + 0.1 * z)
    assert upper_bound(skewed, 0.975) == pytest.approx(1 + 0.1 * math.sqrt(39))
    assert lower_bound(skewed, 0.975) == lower_bound(plain, 0.975)
    assert lower_bound(replace(plain, skewness=-8.0), 0.975) == pytest.approx(1 - 0.1 * math.sqrt(39))
    assert evidence_from_json(skewed.to_json()) == skewed
    old = {"kind": "mean", "value": 1.0, "standard_error": 0.1, "rows": 400}
    assert evidence_from_json(old) == plain


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
