"""The nearest flip, by example: what it names, how near it is, and where there is none."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.model.evaluations import Evaluation
from penstock.model.gate_context import DataTimes, GateContext, LookTaken, TrainingOverlap
from penstock.model.policies import GatePolicy
from penstock.services.deciding import decide, nearest_flip
from penstock.statistics.evidence import PairedProportions, Proportion
from tests.core.gate_samples import candidate, champion, evaluation_with

DAY = 86_400_000
TOLD = GateContext(
    now_ms=100 * DAY,
    data_times=DataTimes(0, 90 * DAY),
    training_digests=("d-train",),
    training_overlap=TrainingOverlap(0.05, 0.05),
)
FACTS = {"size_bytes": 2_500_000, "latency_p95_ms": 50, "peak_memory_mb": 96.5, "signature": True}
JFK, EWR = {"slice": {"origin": "JFK"}}, {"slice": {"origin": "EWR"}}
SURE = {"evidence": Proportion(450, 500).to_json()}
PAIRED = {"paired": PairedProportions(4400, 75, 75, 450).to_json()}


def told(evaluation: Evaluation, *rules: Any, context: GateContext = TOLD, **more: Any) -> str | None:
    """The nearest flip in words; what it says has been tried out."""
    policy = GatePolicy.from_data({"name": "p", "rules": list(rules), **more})
    flip = nearest_flip(policy, evaluation, context)
    if flip is None:
        return None
    assert decide(*flip.apply(policy, evaluation), context)[0] is flip.verdict
    return str(flip)


def bound(keyword: str, metric: str = "f1", **more: Any) -> dict[str, Any]:
    return {keyword: {"metric": metric, **more}}


def versus(keyword: str, metric: str = "f1", **more: Any) -> dict[str, Any]:
    return {keyword: {"baseline": "champion", "metric": metric, **more}}


PAIR = (candidate("f1", 0.5), champion("f1", 0.75))
LOSS = (candidate("log_loss", 0.5), champion("log_loss", 0.25))
ONE = evaluation_with(*PAIR, *LOSS)


@pytest.mark.parametrize(
    ("rule", "flip"),
    [
        (bound("at_least", value=0.625), "PASS if f1 were 0.625 instead of 0.5"),
        (bound("at_most", value=0.375), "PASS if f1 were 0.375 instead of 0.5"),
        (bound("at_most", value=0.5), "FAIL if f1 were 0.5000000000000001 instead of 0.5"),
        (bound("between", min=0.25, max=0.375), "PASS if f1 were 0.375 instead of 0.5"),
        (bound("between", min=0.625, max=0.75), "PASS if f1 were 0.625 instead of 0.5"),
        (versus("no_worse_than", margin=0.125), "PASS if f1 were 0.625 instead of 0.5"),
        (versus("no_worse_than", margin=0.25), "FAIL if f1 were 0.49999999999999994 instead of 0.5"),
        (versus("no_worse_than", margin_percent=25), "PASS if f1 were 0.5625 instead of 0.5"),
        (versus("no_worse_than", "log_loss", margin=0.125), "PASS if log_loss were 0.375 instead of 0.5"),
        (versus("better_than", by=0.125), "PASS if f1 were 0.8750000000000001 instead of 0.5"),
        (versus("better_than", "log_loss", by=0.125), "PASS if log_loss were 0.12499999999999999 instead of 0.5"),
        (versus("not_suspiciously_better_than", by=0.125), "FAIL if f1 were 0.8750000000000001 instead of 0.5"),
        ({"held_out": {"min_rows": 9000}}, "PASS if rules[0].held_out.min_rows were 5000 instead of 9000"),
        ({"held_out": {"min_rows": 100}}, "INCONCLUSIVE if rules[0].held_out.min_rows were 5001 instead of 100"),
        ({"held_out": {"max_age_days": 4}}, "PASS if rules[0].held_out.max_age_days were 10 instead of 4"),
        (
            {"held_out": {"overlap_at_most": 0.01}},
            "PASS if rules[0].held_out.overlap_at_most were 0.05 instead of 0.01",
        ),
        (
            {"held_out": {"min_rows": 9000, "max_age_days": 4, "overlap_at_most": 0.01}},
            "PASS if rules[0].held_out.min_rows were 5000 instead of 9000, and rules[0].held_out.max_age_days were 10 "
            "instead of 4, and rules[0].held_out.overlap_at_most were 0.05 instead of 0.01",
        ),
        ({"requires": {"max_size_mb": 2}}, "PASS if rules[0].requires.max_size_mb were 2.5 instead of 2"),
        (
            {"requires": {"max_latency_p95_ms": 20, "max_peak_memory_mb": 64, "signature": True}},
            "PASS if rules[0].requires.max_latency_p95_ms were 50 instead of 20, and "
            "rules[0].requires.max_peak_memory_mb were 96.5 instead of 64",
        ),
        ({"requires": {"max_size_mb": 2, "input_example": True}}, None),
        ({"requires": {"signature": True}}, None),
        ({"held_out": {"min_rows": 9000, "not_older_than_training": True}}, None),
        ({"approval": {"role": "owner", "expires_hours": 1}}, None),
        (bound("at_least", "roc_auc", value=0.5), None),
        (
            {"any_of": [bound("at_least", value=0.75), bound("at_least", value=0.625)]},
            "PASS if f1 were 0.625 instead of 0.5",
        ),
        (
            {"all_of": [bound("at_least", value=0.75), bound("at_least", value=0.625)]},
            "PASS if f1 were 0.75 instead of 0.5",
        ),
        (
            {"any_of": [bound("at_least", value=0.25), bound("at_least", value=0.375)]},
            "FAIL if f1 were 0.24999999999999997 instead of 0.5",
        ),
        (
            {"all_of": [bound("at_least", value=0.25), bound("at_least", value=0.375)]},
            "FAIL if f1 were 0.37499999999999994 instead of 0.5",
        ),
    ],
)
def test_the_nearest_flip_of_each_rule(rule: dict[str, Any], flip: str | None) -> None:
    evaluation = evaluation_with(*PAIR, *LOSS, facts=FACTS)

    assert told(evaluation, rule) == flip


def test_a_policy_passes_when_all_its_rules_do_and_stops_passing_when_the_nearest_does_not() -> None:
    failing = (bound("at_least", value=0.625), bound("at_most", "log_loss", value=0.375))
    passing = (bound("at_least", value=0.25), bound("at_most", "log_loss", value=0.625))

    assert told(ONE, *failing) == "PASS if f1 were 0.625 instead of 0.5, and log_loss were 0.375 instead of 0.5"
    assert told(ONE, *passing) == "FAIL if log_loss were 0.6250000000000001 instead of 0.5"
    assert told(ONE, failing[0], {"approval": {"role": "owner", "expires_hours": 1}}) is None


def test_each_slice_that_misses_has_its_own_change() -> None:
    slices = (candidate("f1", 0.5, n=900, **JFK), candidate("f1", 0.25, n=800, **EWR))
    rule = {"every_slice": {"by": "origin", "min_rows": 500, "rule": bound("at_least", value=0.625)}}
    lower = {"every_slice": {"by": "origin", "min_rows": 500, "rule": bound("at_least", value=0.125)}}
    larger = {"every_slice": {"by": "origin", "min_rows": 850, "rule": bound("at_least", value=0.125)}}

    assert told(evaluation_with(*slices), rule) == (
        "PASS if f1 on origin=EWR were 0.625 instead of 0.25, and f1 on origin=JFK were 0.625 instead of 0.5"
    )
    assert told(evaluation_with(*slices), lower) == "FAIL if f1 on origin=EWR were 0.12499999999999999 instead of 0.25"
    assert told(evaluation_with(*slices), larger) == "PASS if rules[0].every_slice.min_rows were 800 instead of 850"
    assert told(evaluation_with(*slices, champion("f1", 0.5, slice={"origin": "LGA"})), larger) is None


def test_where_intervals_decide_the_policys_numbers_are_what_could_be_others() -> None:
    measured = evaluation_with(
        candidate("accuracy", 0.9, n=500, stats=SURE), candidate("accuracy", 0.9, n=500, stats=SURE, **JFK)
    )
    narrow = bound("between", "accuracy", min=0.89, max=0.91, confidence=0.95)
    sliced = {"every_slice": {"by": "origin", "min_rows": 5, "rule": bound("at_least", "accuracy", value=0.89)}}

    assert told(measured, bound("at_least", "accuracy", value=0.89), confidence=0.95) == (
        "PASS if rules[0].at_least.value were 0.875134 instead of 0.89"
    )
    assert told(measured, narrow) == (
        "PASS if rules[0].between.min were 0.875134 instead of 0.89, "
        "and rules[0].between.max were 0.921261 instead of 0.91"
    )
    assert told(measured, sliced, confidence=0.95) == (
        "PASS if rules[0].every_slice.rule.at_least.value were 0.875134 instead of 0.89"
    )


def test_a_margin_that_would_do_at_this_looks_share_of_the_budget() -> None:
    measured = evaluation_with(candidate("accuracy", 0.895, stats=PAIRED), champion("accuracy", 0.895))
    rule = versus("no_worse_than", "accuracy", margin=0.002)
    alone = told(measured, rule, confidence=0.95)
    context = GateContext(look=LookTaken(1))
    shared = told(measured, rule, confidence=0.95, budget={"alpha": 0.05, "looks": 30}, context=context)

    assert alone == "PASS if rules[0].no_worse_than.margin were 0.00406303 instead of 0.002"
    assert shared == "PASS if rules[0].no_worse_than.margin were 0.00738062 instead of 0.002"
    spent = GateContext(look=LookTaken(31))
    assert told(measured, rule, confidence=0.95, budget={"alpha": 0.05, "looks": 30}, context=spent) is None
