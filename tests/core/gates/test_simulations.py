"""What a gate promises, simulated: a sample with a fixed seed here, the whole of it by `make soak`.

The figures of the whole are in core/adr/0011-what-a-gate-promises.md.
"""

from __future__ import annotations

from typing import Any

import pytest

from penstock.model.policies import GatePolicy
from penstock.statistics.distributions import normal_quantile
from tests.core.gates import simulations as sim

LOOKS, ALPHA = 30, 0.05


def cost_in_rows(looks: int, alpha: float = ALPHA, power: float = 0.8) -> float:
    """Return how many times the rows a test at alpha/looks needs for the same power as one at alpha."""
    reach = normal_quantile(power)
    return ((normal_quantile(1 - alpha / looks) + reach) / (normal_quantile(1 - alpha) + reach)) ** 2


def test_the_cost_of_a_budget_in_rows_is_what_the_documents_say() -> None:
    assert cost_in_rows(30) == pytest.approx(2.31, abs=0.01)
    assert cost_in_rows(365) == pytest.approx(3.23, abs=0.02)


def test_a_budget_holds_where_a_plain_gate_lets_an_equal_model_in_sooner_or_later() -> None:
    plain = sim.any_false_promotion(sim.better(), series=20, looks=LOOKS)
    sure = sim.any_false_promotion(sim.better(0.95), series=20, looks=LOOKS)
    budget = sim.any_false_promotion(sim.better(0.95, alpha=ALPHA, looks=LOOKS), series=30, looks=LOOKS)

    assert plain == 1.0  # a coin's toss each night
    assert 0.6 < sure < 0.95  # 1 - 0.95^30 is 0.79
    assert budget <= 0.15  # 5 % and more than two standard errors of 30 series


def test_an_anchor_stops_the_ratchet() -> None:
    free = sim.drift(sim.no_worse(0.005, 0.95), series=2, nights=120, decay=0.0005, anchored=False)
    held = sim.drift(sim.no_worse(0.005, 0.95, anchor=True), series=2, nights=120, decay=0.0005, anchored=True)

    assert free.lost > 0.02
    assert held.lost < 0.008


def test_power_is_kept_with_so_many_times_the_rows() -> None:
    rows = 6000
    alone = sim.power(sim.better(0.95), series=150, difference=0.0056, rows=rows)
    shared = sim.better(0.95, alpha=ALPHA, looks=LOOKS)
    with_rows = sim.power(shared, series=150, difference=0.0056, rows=round(rows * cost_in_rows(LOOKS)))
    without = sim.power(shared, series=150, difference=0.0056, rows=rows)

    assert alone == pytest.approx(0.8, abs=0.08)
    assert with_rows == pytest.approx(0.8, abs=0.08)
    assert without < 0.5


@pytest.mark.soak
def test_false_promotions_over_many_series(capsys: pytest.CaptureFixture[str]) -> None:
    series = 1500
    budget: dict[str, Any] = {"alpha": ALPHA, "looks": LOOKS}
    cases: dict[str, tuple[GatePolicy, dict[str, Any]]] = {
        "better by 0.5 points on 2,400 rows, no confidence": (sim.better(by=0.005), {"rows": 2400}),
        "better, no confidence": (sim.better(), {"series": 400}),
        "better, confidence 0.95": (sim.better(0.95), {}),
        "better, budget, fresh": (sim.better(0.95, **budget), {}),
        "better, budget, reused": (sim.better(0.95, **budget), {"reused": True}),
        "better, budget, reused, best of 20": (
            sim.better(0.95, **budget),
            {"reused": True, "tries": 20, "series": 500},
        ),
        "no worse, at the margin, confidence 0.95": (sim.no_worse(0.005, 0.95), {"difference": -0.005}),
        "no worse, at the margin, budget": (sim.no_worse(0.005, 0.95, **budget), {"difference": -0.005}),
    }
    found = {
        name: sim.any_false_promotion(policy, **{"series": series, "looks": LOOKS, **how})
        for name, (policy, how) in cases.items()
    }
    with capsys.disabled():
        print("\nP(any false promotion in 30 looks)")
        print(sim.table((name, f"{share:.1%}") for name, share in found.items()))

    for name in ("better, budget, fresh", "better, budget, reused", "no worse, at the margin, budget"):
        assert found[name] <= ALPHA + 0.01, name
    assert found["better, budget, reused, best of 20"] > 2 * ALPHA
    assert found["better, confidence 0.95"] > 0.7


@pytest.mark.soak
def test_a_year_of_small_losses(capsys: pytest.CaptureFixture[str]) -> None:
    year: dict[str, Any] = {"series": 60, "nights": 365, "decay": 0.0005}
    budget: dict[str, Any] = {"alpha": ALPHA, "looks": 365}
    free = sim.drift(sim.no_worse(0.005, 0.95), anchored=False, **year)
    held = sim.drift(sim.no_worse(0.005, 0.95, anchor=True), anchored=True, **year)
    same = sim.drift(sim.no_worse(0.005, 0.95, anchor=True), anchored=True, kept=0.8, **year)
    sure = sim.drift(sim.no_worse(0.005, 0.95, anchor=True, **budget), anchored=True, **year)
    found = {"no anchor": free, "anchor": held, "anchor, the same rows": same, "anchor, budget": sure}
    with capsys.disabled():
        print("\n365 nights, each candidate 0.05 points worse, margin 0.5 points: points lost, promotions")
        print(sim.table((name, f"{drift.lost:.2%}", f"{drift.promotions:.1f}") for name, drift in found.items()))

    assert free.lost > 0.05
    assert held.lost < 0.008
    assert same.lost < 0.0045
    assert sure.lost < 0.005


@pytest.mark.soak
def test_power_and_its_cost(capsys: pytest.CaptureFixture[str]) -> None:
    rows, gain = 6000, 0.0056
    lines = []
    for looks in (1, 30, 365):
        policy = sim.better(0.95, alpha=ALPHA, looks=looks)
        more = round(rows * cost_in_rows(looks))
        same = sim.power(policy, series=3000, difference=gain, rows=rows)
        paid = sim.power(policy, series=3000, difference=gain, rows=more)
        lines.append((looks, f"{cost_in_rows(looks):.2f}", f"{same:.1%}", f"{paid:.1%}"))
        assert paid == pytest.approx(0.8, abs=0.04)
    with capsys.disabled():
        print("\nlooks, times the rows, power at the same rows, power at so many times the rows")
        print(sim.table(lines))


@pytest.mark.soak
def test_lord_bounds_the_share_of_false_promotions(capsys: pytest.CaptureFixture[str]) -> None:
    policy = sim.better(0.9, alpha=ALPHA, spending="lord")
    share = sim.false_discoveries(policy, series=400, looks=100, good=0.2, gain=0.01)
    with capsys.disabled():
        print(f"\nLORD: mean share of false promotions {share:.2%}")

    assert share <= ALPHA + 0.01
