"""Each demand of a compound rule is a part of its own, under a rule that a policy could hold by itself."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.model.decisions import Outcome
from penstock.model.gate_context import DataTimes, GateContext, TrainingOverlap
from penstock.model.policies import GatePolicy
from penstock.services.deciding import decide
from tests.core.gate_samples import evaluation_with

HELD_OUT: dict[str, Any] = {
    "min_rows": 10,
    "not_training_data": True,
    "max_age_days": 30.0,
    "overlap_at_most": 0.1,
    "not_older_than_training": True,
}
REQUIRES: dict[str, Any] = {
    "signature": True,
    "input_example": True,
    "tags": ["owner"],
    "name": "on-*",
    "licence": True,
    "card": True,
    "load_test": True,
    "max_size_mb": 5.0,
    "max_latency_p95_ms": 20.0,
    "max_peak_memory_mb": 512.0,
}
DAY = 86_400_000
TOLD = GateContext(
    model="on-time",
    now_ms=100 * DAY,
    training_digests=("d-train",),
    training_overlap=TrainingOverlap(0.0, 0.05),
    training_times=DataTimes(0, 60 * DAY),
    data_times=DataTimes(60 * DAY, 90 * DAY),
    facts={"load_test": {"passed": True}, "latency_p95_ms": 3, "peak_memory_mb": 90, "licence": "MIT", "card": True},
)
FACTS = {"signature": True, "input_example": True, "tags": {"owner": "ada"}, "size_bytes": 1}


@pytest.mark.parametrize(("keyword", "demands"), [("held_out", HELD_OUT), ("requires", REQUIRES)])
def test_each_demand_is_a_part_that_reads_as_a_rule_of_its_own(keyword: str, demands: dict[str, Any]) -> None:
    policy = GatePolicy.from_data({"name": "p", "rules": [{keyword: demands}]})
    outcome = decide(policy, evaluation_with(facts=FACTS), TOLD)[1][0]
    parts = [part for part in outcome.parts if part.rule != outcome.rule]  # held_out's role is of the whole rule

    assert outcome.outcome is Outcome.PASSED, outcome.reason
    assert [part.rule for part in parts] == [{keyword: {key: value}} for key, value in demands.items()]
    for part in parts:
        assert decide(GatePolicy.from_data({"name": "p", "rules": [part.rule]}), evaluation_with(facts=FACTS), TOLD)


@pytest.mark.parametrize(("keyword", "demands"), [("held_out", HELD_OUT), ("requires", REQUIRES)])
def test_a_demand_that_nothing_is_known_of_is_undecidable_under_its_own_name(
    keyword: str, demands: dict[str, Any]
) -> None:
    policy = GatePolicy.from_data({"name": "p", "rules": [{keyword: demands}]})
    outcome = decide(policy, evaluation_with(facts={}, rows=5))[1][0]
    unknown = {key for part in outcome.parts if part.cause for key in part.rule[keyword]}

    assert unknown == demands.keys()


def test_what_a_part_compared_is_on_record() -> None:
    policy = GatePolicy.from_data({"name": "p", "rules": [{"held_out": HELD_OUT}, {"requires": REQUIRES}]})
    held, brought = decide(policy, evaluation_with(facts=FACTS), TOLD)[1]
    compared = [part.compared for part in (*held.parts, *brought.parts)]

    assert compared[2] == {"digest": "d-held", "training_digests": ["d-train"]}
    assert compared[3] == {"age_days": 10.0, "max_age_days": 30.0}
    assert compared[4] == {"share": 0.0, "at_most": 0.05, "rows": 0, "miss_probability": 0.0, "overlap_at_most": 0.1}
    assert compared[5] == {"first_ms": 60 * DAY, "training_last_ms": 60 * DAY}
    assert compared[-2:] == [
        {"latency_p95_ms": 3, "max_latency_p95_ms": 20.0},
        {"peak_memory_mb": 90, "max_peak_memory_mb": 512.0},
    ]
