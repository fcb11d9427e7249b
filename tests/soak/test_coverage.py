"""Intervals hold the truth as often as they say, on the whole published grid: minutes (`make soak`)."""

from __future__ import annotations

import math

import pytest

from tests.soak.coverage import PREVALENCES, ROWS, Population, flights, simulate

DRAWS = 4_000
NOISE = 3.0  # standard deviations of a share of as many draws


@pytest.fixture(scope="module")
def population() -> Population:
    return flights()


@pytest.mark.soak
@pytest.mark.parametrize("prevalence", PREVALENCES)
@pytest.mark.parametrize("rows", [rows for rows in ROWS if rows >= 1_000])
def test_intervals_hold_the_truth(population: Population, rows: int, prevalence: float) -> None:
    for (metric, kind), tally in simulate(population, rows, prevalence, DRAWS, bootstraps=DRAWS).items():

        def noise(share: float, stated: int = tally.stated) -> float:
            return NOISE * math.sqrt(share * (1 - share) / stated)

        place = f"{metric} {kind}: {tally}"
        if kind.endswith("exact"):
            assert tally.coverage >= 0.95 - noise(0.95), place
        if rows * min(prevalence, 1 - prevalence) < 100:
            continue
        wider = kind.endswith(("exact", "of a gate"))
        assert 0.93 - noise(0.93) <= tally.coverage <= (1.0 if wider else 0.97 + noise(0.97)), place
        for missed in (tally.too_low, tally.too_high):
            assert missed / tally.stated <= 0.025 + 0.02 + noise(0.045), place
