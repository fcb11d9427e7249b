"""Our distributions against scipy's: within 1e-10 of each other, relative, in the middle and in the tails."""

from __future__ import annotations

import math

import pytest
from scipy import special, stats

from penstock.statistics import distributions as ours

PROBABILITIES = (1e-8, 1e-4, 0.005, 0.01, 0.025, 0.05, 0.1, 0.3, 0.5, 0.7, 0.95, 0.975, 0.9999)
DEGREES = (1, 2, 3, 4, 9, 30, 199, 999, 9_999, 10_000, 1_000_000, 100_000_000)
ROWS = (1, 2, 5, 30, 100, 1_000, 10_000, 1_000_000, 100_000_000)
SHARES = (0.0, 0.001, 0.2, 0.5, 0.9, 0.999, 1.0)


def close(value: float) -> object:
    return pytest.approx(value, rel=1e-10, abs=0)


@pytest.mark.parametrize("p", PROBABILITIES)
def test_the_normal_quantile_is_scipys(p: float) -> None:
    assert ours.normal_quantile(p) == close(stats.norm.ppf(p))


@pytest.mark.parametrize("x", [-30.0, -8.0, -1.96, -0.1, 0.0, 0.5, 6.0])
def test_normal_tails_are_scipys(x: float) -> None:
    assert ours.normal_cdf(x) == close(stats.norm.cdf(x))


@pytest.mark.parametrize("degrees", DEGREES)
def test_students_t_is_scipys(degrees: int) -> None:
    for p in PROBABILITIES:
        assert ours.student_quantile(p, degrees) == close(stats.t.ppf(p, degrees)), p
    for t in (-30.0, -5.0, -1.96, -0.1, 0.0, 1.0, 4.0):
        assert ours.student_cdf(t, degrees) == close(stats.t.cdf(t, degrees)), t


@pytest.mark.parametrize("rows", ROWS)
def test_the_beta_distribution_is_scipys(rows: int) -> None:
    for share in SHARES:
        a, b = round(rows * share) + 1, rows - round(rows * share) + 1
        for p in PROBABILITIES:
            x = ours.beta_quantile(p, a, b)
            off = (special.betainc(a, b, x) - p) / stats.beta.pdf(x, a, b)  # how far x is from the quantile
            assert abs(off) <= 1e-10 * x, (a, b, p)
            assert ours.beta_cdf(x, a, b) == close(special.betainc(a, b, x)), (a, b, p)
            if rows <= 10_000:  # beyond, scipy's own inverse is good to 1e-7 only
                assert x == close(special.betaincinv(a, b, p)), (a, b, p)


@pytest.mark.parametrize("rows", ROWS[:-1])
def test_the_binomial_distribution_is_scipys(rows: int) -> None:
    for share in SHARES:
        for p in (0.01, 0.3, 0.5, 0.99):
            k = round(rows * share)
            expected = stats.binom.cdf(k, rows, p)
            if expected > 1e-200:
                assert ours.binomial_cdf(k, rows, p) == close(expected), (k, p)
            if stats.binom.pmf(k, rows, p) > 1e-200:
                assert ours.binomial_pmf(k, rows, p) == close(stats.binom.pmf(k, rows, p)), (k, p)


def test_what_cannot_happen_has_probability_0_and_what_must_has_1() -> None:
    assert (ours.binomial_pmf(-1, 3, 0.5), ours.binomial_pmf(4, 3, 0.5)) == (0, 0)
    assert (ours.binomial_cdf(-1, 3, 0.5), ours.binomial_cdf(3, 3, 0.5)) == (0, 1)
    assert (ours.beta_cdf(0.0, 2, 3), ours.beta_cdf(1.0, 2, 3)) == (0, 1)
    assert math.isclose(ours.binomial_pmf(0, 0, 0.5), 1)
