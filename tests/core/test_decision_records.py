"""What a decision says and records: sentences, numbers, slices, parts, replays."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from fractions import Fraction

import pytest

from penstock.errors import Corrupted
from penstock.model.canonical import canonical_json
from penstock.model.decisions import GateDecision, Outcome, Verdict
from penstock.model.policies import (
    AtLeast,
    BetterThan,
    EverySlice,
    GatePolicy,
    HeldOut,
    NotSuspiciouslyBetterThan,
    NoWorseThan,
    Requires,
    Rule,
    WhenNoBaseline,
)
from penstock.services.deciding import decide, replay
from tests.core.gate_samples import (
    CHAMPION,
    NAMES,
    candidate,
    champion,
    decided,
    evaluation_with,
    recorded,
)


def test_a_refusal_names_metric_slice_value_bound_and_nearest_flip() -> None:
    rule = EverySlice("origin", 500, NoWorseThan("champion", "roc_auc", 0.005))
    where = {"slice": {"origin": "JFK"}}
    outcome = decided(rule, evaluation_with(candidate("roc_auc", 0.7119, **where), champion("roc_auc", 0.72, **where)))

    assert outcome.reason == (
        "on 1 of 1 slices of origin the rule does not hold: roc_auc on origin=JFK is 0.7119 but must be at least "
        "0.715, which is champion's 0.72 less 0.005: misses by 0.0031"
    )
    assert outcome.parts[0].compared == {
        "metric": "roc_auc",
        "slice": {"origin": "JFK"},
        "candidate": {"kind": "finite", "value": 0.7119, "n": 5000},
        "baseline": {"kind": "finite", "value": 0.72, "n": 5000, "alias": "champion", "version": 3},
        "bounds": [{"side": "at least", "value": 0.715}],
        "distance": float(Fraction(0.7119) - (Fraction(0.72) - Fraction(0.005))),
    }


def test_a_slice_that_is_too_small_is_listed_with_its_rows() -> None:
    small, large = (candidate("roc_auc", 0.7, slice={"origin": o}, n=n) for o, n in (("LGA", 12), ("JFK", 900)))
    outcome = decided(EverySlice("origin", 500, AtLeast("roc_auc", 0.6)), evaluation_with(small, large))

    assert outcome.compared == {"by": "origin", "slices": 2, "too_small": ["LGA"]}
    assert [part.outcome for part in outcome.parts] == [Outcome.PASSED, Outcome.UNDECIDABLE]
    assert "slice origin=LGA has 12 rows but needs 500: 488 too few" in outcome.reason


def test_a_slice_of_exactly_the_rows_asked_for_is_not_too_small() -> None:
    evaluation = evaluation_with(candidate("roc_auc", 0.7, slice={"origin": "JFK"}, n=500))

    assert decided(EverySlice("origin", 500, AtLeast("roc_auc", 0.6)), evaluation).compared["too_small"] == []


def test_each_demand_of_a_compound_rule_is_a_part_that_reads_as_a_rule_of_its_own() -> None:
    policy = GatePolicy("p", (HeldOut(10, True), Requires(True, True, ("owner",), 5.0)))
    facts = {"signature": True, "input_example": True, "tags": ["owner"], "size_bytes": 1}
    context = {"training_digests": ["d-train"]}

    verdict, (held, brought) = decide(policy, evaluation_with(facts=facts), context)

    assert verdict is Verdict.PASS
    assert [part.rule for part in held.parts[1:]] == [
        {"held_out": {"min_rows": 10}},
        {"held_out": {"not_training_data": True}},
    ]
    assert [part.rule["requires"] for part in brought.parts] == [
        {"signature": True},
        {"input_example": True},
        {"tags": ["owner"]},
        {"max_size_mb": 5.0},
    ]
    for part in (*held.parts[1:], *brought.parts):
        GatePolicy.from_data({"name": "p", "rules": [part.rule]})


def test_the_fewest_rows_any_metric_saw_decide_whether_a_slice_is_large_enough() -> None:
    jfk = {"slice": {"origin": "JFK"}}
    evaluation = evaluation_with(candidate("roc_auc", 0.7, n=900, **jfk), candidate("f1", 0.7, n=100, **jfk))

    assert decided(EverySlice("origin", 500, AtLeast("roc_auc", 0.6)), evaluation).cause == "too_few_rows"


def test_a_slice_of_two_columns_is_not_a_slice_of_one() -> None:
    crossed = candidate("roc_auc", 0.1, slice={"origin": "JFK", "carrier": "AA"})
    jfk = candidate("roc_auc", 0.7, slice={"origin": "JFK"})

    assert decided(EverySlice("origin", 500, AtLeast("roc_auc", 0.6)), evaluation_with(crossed, jfk)).reason.startswith(
        "on 1 of 1 slices of origin the rule holds"
    )


def test_a_metric_measured_twice_with_different_results_is_undecidable() -> None:
    twice = evaluation_with(candidate("roc_auc", 0.9), candidate("roc_auc", 0.1))
    same = evaluation_with(candidate("roc_auc", 0.9), candidate("roc_auc", 0.9))

    assert decided(AtLeast("roc_auc", 0.5), twice).cause == "ambiguous"
    assert decided(AtLeast("roc_auc", 0.5), same).outcome is Outcome.PASSED


def test_a_value_measured_on_no_rows_is_undecidable() -> None:
    assert decided(AtLeast("roc_auc", 0.5), evaluation_with(candidate("roc_auc", 0.9, n=0))).cause == "too_few_rows"


def test_one_row_is_decidable_where_no_rule_asks_for_more() -> None:
    assert decided(AtLeast("roc_auc", 0.5), evaluation_with(candidate("roc_auc", 0.9, n=1))).outcome is Outcome.PASSED


def test_what_is_not_a_finite_number_is_recorded_by_its_kind() -> None:
    kinds = {None: "undefined", math.inf: "+inf", -math.inf: "-inf"}
    for value, kind in kinds.items():
        outcome = decided(AtLeast("roc_auc", 0.5), evaluation_with(candidate("roc_auc", value)))
        assert outcome.compared["candidate"] == {"kind": kind, "value": None, "n": 5000}

    undefined = decided(AtLeast("roc_auc", 0.5), evaluation_with(candidate("roc_auc", None, cause="one class only")))
    assert undefined.reason == "roc_auc is undefined (one class only)"
    assert decided(AtLeast("roc_auc", 0.5), evaluation_with()).compared["candidate"] == {
        "kind": "missing",
        "value": None,
    }


@pytest.mark.parametrize(
    ("rule", "distance"),
    [
        (BetterThan("champion", "roc_auc", 0.125), 0.125),
        (BetterThan("champion", "roc_auc", 0.375), -0.125),
        (BetterThan("champion", "log_loss", 0.125), -0.375),
        (NoWorseThan("champion", "log_loss", 0.125), -0.125),
        (NotSuspiciouslyBetterThan("champion", "roc_auc", 0.125), -0.125),
        (NotSuspiciouslyBetterThan("champion", "log_loss", 0.125), 0.375),
    ],
)
def test_the_distance_on_record_is_positive_inside_and_negative_outside(rule: Rule, distance: float) -> None:
    measured = [make(metric, value) for metric in NAMES for make, value in ((candidate, 0.75), (champion, 0.5))]

    assert decided(rule, evaluation_with(*measured)).compared["distance"] == distance


def test_a_bound_beyond_all_doubles_is_recorded_by_its_kind_and_still_decides() -> None:
    evaluation = evaluation_with(candidate("log_loss", 1e308), champion("log_loss", 1e308))
    above = decided(NoWorseThan("champion", "log_loss", 1.5e308), evaluation)
    below = decided(BetterThan("champion", "log_loss", by_percent=1e6), evaluation)

    assert (above.outcome, above.compared["bounds"]) == (Outcome.PASSED, [{"side": "at most", "value": "+inf"}])
    assert (below.outcome, below.compared["bounds"]) == (Outcome.FAILED, [{"side": "below", "value": "-inf"}])


def test_a_slice_does_not_answer_for_all_rows() -> None:
    evaluation = evaluation_with(candidate("roc_auc", 0.9, slice={"origin": "JFK"}))

    assert decided(AtLeast("roc_auc", 0.5), evaluation).cause == "missing"


def test_a_size_that_is_no_number_is_undecidable() -> None:
    for size in (math.nan, math.inf, True, "1", None):
        assert decided(Requires(max_size_mb=5), evaluation_with(facts={"size_bytes": size})).cause == "missing"


def test_the_record_says_that_there_was_no_champion() -> None:
    nobody = dataclasses.replace(CHAMPION, version=None)
    policy = GatePolicy("p", (BetterThan("champion", "roc_auc", 0.0),), WhenNoBaseline.PASS)
    verdict, (outcome,) = decide(policy, evaluation_with(candidate("roc_auc", 0.7), baseline=nobody))

    assert verdict is Verdict.PASS
    assert outcome.compared["no_baseline"] is True
    assert outcome.reason == (
        "roc_auc is 0.7, and there is no champion yet to compare it with: the policy lets that pass"
    )


def test_a_record_whose_policy_was_edited_is_not_replayed() -> None:
    decision = recorded(GatePolicy("p", (AtLeast("roc_auc", 0.9),)), evaluation_with(candidate("roc_auc", 0.7)))
    edited = json.loads(canonical_json(decision.to_json()))
    edited["inputs"]["policy"]["rules"][0]["at_least"]["value"] = 0.5

    with pytest.raises(Corrupted, match="policy of decision"):
        replay(GateDecision.from_json(edited))


def test_fifty_rules_over_many_slices_are_decided_in_milliseconds() -> None:
    slices = [
        make("roc_auc", 0.7, slice={"origin": f"A{index}"}) for index in range(200) for make in (candidate, champion)
    ]
    evaluation = evaluation_with(candidate("roc_auc", 0.7), champion("roc_auc", 0.7), *slices)
    rules = tuple(NoWorseThan("champion", "roc_auc", margin_percent=1 + index / 100) for index in range(50))
    policy = GatePolicy("p", rules)
    timings = []
    for _ in range(10):
        start = time.process_time()  # CPU: what else the machine does is no cost of ours
        decide(policy, evaluation)
        timings.append(time.process_time() - start)

    assert min(timings) < 0.05  # a few milliseconds here; slack for a slow machine
    print(f"50 rules, 402 measurements: {min(timings) * 1000:.2f} ms")
