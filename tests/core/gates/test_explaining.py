"""Explaining: the nearest flip is one, and a refusal names what a reader needs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.model.decisions import Verdict
from penstock.model.evaluations import Evaluation
from penstock.model.gate_context import GateContext
from penstock.model.policies import AtLeast, Between, EverySlice, GatePolicy, NoWorseThan, Rule
from penstock.services.deciding import Flip, decide, flip_of, nearest_flip
from penstock.services.deciding.flips import told_of
from penstock.statistics.evidence import PairedProportions, Proportion
from tests.core.gate_samples import POLICIES, candidate, champion, evaluation_with, evaluations, recorded
from tests.core.gates.statistical_samples import CONTEXTS, confident_policies, statistical_evaluations
from tests.core.test_truth_table import ROWS, evaluation_of, policy_of


def check_flip(policy: GatePolicy, evaluation: Evaluation, context: Any) -> Flip | None:
    """Apply the nearest flip: the verdict must be the one it names, on the other side of PASS."""
    flip = nearest_flip(policy, evaluation, context)
    if flip is not None:
        before, (after, _) = decide(policy, evaluation, context)[0], decide(*flip.apply(policy, evaluation), context)
        assert after is flip.verdict
        assert (after is Verdict.PASS) is not (before is Verdict.PASS)
    return flip


@settings(max_examples=30)
@given(POLICIES, evaluations())
def test_when_the_nearest_flip_is_applied_the_verdict_flips(policy: GatePolicy, evaluation: Evaluation) -> None:
    check_flip(policy, evaluation, None)


@settings(max_examples=5, deadline=None)
@given(confident_policies(), statistical_evaluations(), CONTEXTS)
def test_when_the_nearest_flip_of_a_statistical_gate_is_applied_the_verdict_flips(
    policy: GatePolicy, evaluation: Evaluation, context: GateContext
) -> None:
    check_flip(policy, evaluation, context)


def test_every_kind_of_rule_that_a_number_decides_has_a_flip_both_ways() -> None:
    found: dict[tuple[str, bool], list[bool]] = {}
    for row in ROWS:
        flips = found.setdefault((next(iter(row["rule"])), row["verdict"] == "PASS"), [])
        if sum(flips) < 3:  # all of them take seconds
            flips.append(check_flip(policy_of(row), evaluation_of(row), row.get("context")) is not None)

    # A person's answer is no number.
    assert {kind for (kind, _), flips in found.items() if not any(flips)} == {"approval"}
    assert len(found) == 2 * 12


@settings(max_examples=40)
@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_no_nearer_value_flips_a_bound(value: float, threshold: float) -> None:
    policy, evaluation = GatePolicy("p", (AtLeast("f1", threshold),)), evaluation_with(candidate("f1", value))
    flip = nearest_flip(policy, evaluation)

    assert flip is not None
    (change,) = flip.changes
    assert (change.metric, change.before) == ("f1", value)
    # Failing, the threshold itself is enough, for it ties; passing, it takes the next double below.
    assert (change.after == threshold) if value < threshold else (0 <= threshold - change.after < 1e-15)


@pytest.mark.parametrize(
    ("rule", "values", "told"),
    [
        (AtLeast("roc_auc", 0.65), {"roc_auc": 0.6469}, "PASS if roc_auc were 0.65 instead of 0.6469"),
        (AtLeast("roc_auc", 0.65), {"roc_auc": 0.7}, "FAIL if roc_auc were 0.6499999999999999 instead of 0.7"),
        (Between("f1", 0.25, 0.5), {"f1": 0.75}, "PASS if f1 were 0.5 instead of 0.75"),
        (NoWorseThan("champion", "roc_auc", 0.25), {"roc_auc": 0.375}, "PASS if roc_auc were 0.5 instead of 0.375"),
        (AtLeast("roc_auc", 0.65), {}, None),
        # No value is below 0, so only the policy could say otherwise.
        (AtLeast("f1", 0), {"f1": 0.5}, "FAIL if rules[0].at_least.value were 0.5000000000000001 instead of 0"),
    ],
)
def test_the_nearest_flip_reads_as_a_person_would_say_it(
    rule: Rule, values: dict[str, float], told: str | None
) -> None:
    measured = [candidate(metric, value) for metric, value in values.items()]
    flip = nearest_flip(GatePolicy("p", (rule,)), evaluation_with(*measured, champion("roc_auc", 0.75)))

    assert (None if flip is None else str(flip)) == told


def test_a_flip_of_several_rules_names_every_change() -> None:
    policy = GatePolicy("p", (AtLeast("f1", 0.5), AtLeast("roc_auc", 0.75), AtLeast("f1", 0.625)))
    flip = check_flip(policy, evaluation_with(candidate("f1", 0.25), candidate("roc_auc", 0.5)), None)

    assert str(flip) == "PASS if f1 were 0.625 instead of 0.25, and roc_auc were 0.75 instead of 0.5"


def test_the_flip_of_a_decision_is_told_from_its_own_record() -> None:
    row = next(row for row in ROWS if row["case"] == "at_least with confidence: the bound inside the interval")
    unsure = recorded(policy_of(row), evaluation_of(row))
    missing = recorded(GatePolicy("p", (AtLeast("f1", 0.5),)), evaluation_with())

    assert told_of(unsure) == "It would be PASS if rules[0].at_least.value were 0.892748 instead of 0.895."
    assert told_of(missing) == "No number that is there would turn this verdict."
    flip = flip_of(unsure)
    assert flip is not None
    assert flip.to_json() == {
        "verdict": "PASS",
        "changes": [
            {"path": ["rules", 0, "at_least", "value"], "before": 0.895, "after": flip.changes[0].after},
        ],
    }


def test_a_refusal_says_metric_slice_value_bound_interval_and_what_it_would_take() -> None:
    counts = Proportion(400, 500)
    where = {"slice": {"origin": "JFK"}}
    measured = candidate("accuracy", 0.8, n=500, stats={"evidence": counts.to_json()}, **where)
    rule = EverySlice("origin", 100, AtLeast("accuracy", 0.81, confidence=0.95))
    _, (outcome,) = decide(GatePolicy("p", (rule,)), evaluation_with(measured))

    assert outcome.reason == (
        "on 1 of 1 slices of origin the rule cannot be decided: accuracy on origin=JFK is 0.8, with confidence 0.95 on "
        "each side (Clopper-Pearson): 0.768284 to 0.829049, and must be at least 0.81, which lies inside the interval: "
        "its lower end misses by 0.04172; these 500 rows would tell 0.0445 with a chance of 80%; 0.0222 would take "
        "about 2,000 rows"
    )
    (part,) = outcome.parts
    assert part.cause == "straddles"
    assert part.compared["interval"]["lower"] < 0.81 < part.compared["interval"]["upper"]


def test_where_no_bound_could_turn_a_straddling_test_the_flip_says_how_sure_one_could_be() -> None:
    table = PairedProportions(1680, 25, 20, 275)
    measured = [
        candidate("accuracy", 0.8525, n=2000, stats={"paired": table.to_json()}),
        champion("accuracy", 0.85, n=2000),
    ]
    rule = {"better_than": {"baseline": "champion", "metric": "accuracy", "by": 0}}
    for policy in (
        {"confidence": 0.95, "rules": [rule]},
        {"rules": [{"better_than": {**rule["better_than"], "confidence": 0.95}}]},
    ):
        flip = check_flip(GatePolicy.from_data({"name": "p", **policy}), evaluation_with(*measured), None)
        assert flip is not None
        (change,) = flip.changes
        assert change.what == "rules[0].better_than.confidence"
        assert (flip.verdict, change.before) == (Verdict.PASS, 0.95)
        assert 0.7 < change.after < 0.8


def test_a_pass_that_no_margin_could_turn_is_turned_by_asking_to_be_surer() -> None:
    stats = {"paired": PairedProportions(4400, 90, 60, 450).to_json()}
    measured = [candidate("accuracy", 0.898, stats=stats), champion("accuracy", 0.892)]
    policy = GatePolicy("p", (NoWorseThan("champion", "accuracy", 0.001, confidence=0.95),))
    flip = check_flip(policy, evaluation_with(*measured), None)

    assert flip is not None
    assert [change.what for change in flip.changes] == ["rules[0].no_worse_than.confidence"]
    assert 0.99 < flip.changes[0].after < 1
