"""A small fixed-seed sample of the coverage simulation; `tests/soak` has the grid, core/adr/0010 its figures."""

from __future__ import annotations

from tests.soak.coverage import flights, simulate


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """Of 250 draws 95 % is 237.5 ± 3.4; four deviations are allowed, and of 60 with the bootstrap as many."""
    tallies = simulate(flights(60_000), 1_000, 0.237, 250, bootstraps=60)

    assert len(tallies) >= 25
    for place, tally in tallies.items():
        allowed = 0.95 - 4 * (0.95 * 0.05 / tally.stated) ** 0.5
        assert tally.coverage >= (allowed if place[0] != "mean_squared_error" else 0.8), (place, tally)
    assert (
        min(tallies["log_loss", "value"].coverage, tallies["roc_auc", "value"].coverage) < 1
    )  # or they say too little
