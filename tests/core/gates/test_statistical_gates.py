"""Gates with confidence: properties of the interval deciding, of shared alpha, budgets, anchors and approvals."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.errors import InvalidValue
from penstock.model.canonical import canonical_json
from penstock.model.decisions import Outcome, Verdict
from penstock.model.evaluations import Evaluation
from penstock.model.gate_context import GateContext, LookTaken
from penstock.model.policies import (
    AllOf,
    AnyOf,
    AtLeast,
    AtMost,
    BetterThan,
    Between,
    EverySlice,
    GatePolicy,
    MetricRule,
    NoWorseThan,
    Rule,
)
from penstock.services.deciding import decide, replay, reserved_alpha
from penstock.services.deciding.budgets import lord_alpha
from penstock.statistics.bounds import lower_bound, upper_bound
from penstock.statistics.evidence import (
    PairedProportions,
    Proportion,
    Undecidable,
    evidence_from_json,
    paired_from_json,
)
from penstock.statistics.paired import contrast_bounds
from tests.core.gate_samples import candidate, champion, evaluation_with, every_part, recorded
from tests.core.gates.statistical_samples import (
    CONFIDENT_RULES,
    CONTEXTS,
    TESTS,
    confident_policies,
    statistical_evaluations,
)

FEW = settings(max_examples=60)


def outcome_of(rule: Rule, evaluation: Evaluation, context: GateContext | None = None) -> Outcome:
    return decide(GatePolicy("p", (rule,)), evaluation, context)[1][0].outcome


@FEW
@given(confident_policies(), statistical_evaluations(), CONTEXTS)
def test_a_statistical_decision_replays_identically_and_explains_itself(
    policy: GatePolicy, evaluation: Evaluation, context: GateContext
) -> None:
    verdict, outcomes = decide(policy, evaluation, context)
    stored = recorded(policy, evaluation, context)

    assert replay(stored) == (verdict, outcomes) == (stored.verdict, stored.outcomes)
    for part in every_part(outcomes):
        assert part.reason
        assert bool(part.cause) is (part.outcome is Outcome.UNDECIDABLE)
        canonical_json(part.to_json())


@FEW
@given(st.data(), confident_policies(), statistical_evaluations(), CONTEXTS)
def test_the_order_of_statistical_rules_does_not_matter(
    data: st.DataObject, policy: GatePolicy, evaluation: Evaluation, context: GateContext
) -> None:
    shuffled = dataclasses.replace(policy, rules=tuple(data.draw(st.permutations(policy.rules))), text="", digest="")

    assert decide(shuffled, evaluation, context)[0] is decide(policy, evaluation, context)[0]


@FEW
@given(st.data(), confident_policies(), statistical_evaluations(), CONTEXTS)
def test_a_nan_anywhere_never_opens_a_statistical_gate(
    data: st.DataObject, policy: GatePolicy, evaluation: Evaluation, context: GateContext
) -> None:
    index = data.draw(st.integers(0, len(evaluation.measurements) - 1))
    measurements = list(evaluation.measurements)
    measurements[index] = dataclasses.replace(measurements[index], value=math.nan)
    spoiled = dataclasses.replace(evaluation, measurements=tuple(measurements))

    if decide(policy, evaluation, context)[0] is not Verdict.PASS:
        assert decide(policy, spoiled, context)[0] is not Verdict.PASS


@FEW
@given(st.data(), confident_policies(), statistical_evaluations(), CONTEXTS)
def test_without_its_statistics_no_confident_rule_passes_or_fails(
    data: st.DataObject, policy: GatePolicy, evaluation: Evaluation, context: GateContext
) -> None:
    bare = tuple(dataclasses.replace(m, stats={}) for m in evaluation.measurements)
    _, outcomes = decide(policy, dataclasses.replace(evaluation, measurements=bare), context)

    for part in every_part(outcomes):
        if "candidate" in part.compared and not part.parts:
            assert part.outcome is Outcome.UNDECIDABLE


@FEW
@given(CONFIDENT_RULES, statistical_evaluations(), CONTEXTS, st.sampled_from([0.5, 0.9, 0.99]))
def test_less_confidence_never_turns_a_pass_or_a_fail_into_anything_else(
    rule: MetricRule, evaluation: Evaluation, context: GateContext, less: float
) -> None:
    sure = outcome_of(rule, evaluation, context)
    unsure = outcome_of(replace(rule, confidence=min(less, rule.confidence or 1)), evaluation, context)

    assert sure in {unsure, Outcome.UNDECIDABLE}


@FEW
@given(statistical_evaluations(), st.sampled_from([0.01, 0.2]), st.sampled_from([0.001, 0.05]), st.data())
def test_a_looser_statistical_bound_never_turns_a_pass_into_anything_else(
    evaluation: Evaluation, amount: float, more: float, data: st.DataObject
) -> None:
    metric = data.draw(st.sampled_from(["accuracy", "roc_auc", "log_loss"]))
    pairs: list[tuple[Rule, Rule]] = [
        (AtLeast(metric, amount + more, confidence=0.9), AtLeast(metric, amount, confidence=0.9)),
        (AtMost(metric, amount, confidence=0.9), AtMost(metric, amount + more, confidence=0.9)),
        (
            Between(metric, 0.1 + more, 0.5, confidence=0.9),
            Between(metric, 0.1, 0.5 + more, confidence=0.9),
        ),
        (
            NoWorseThan("champion", metric, amount, confidence=0.9),
            NoWorseThan("champion", metric, amount + more, confidence=0.9),
        ),
        (
            BetterThan("champion", metric, amount + more, confidence=0.9),
            BetterThan("champion", metric, amount, confidence=0.9),
        ),
    ]
    for tight, loose in pairs:
        if outcome_of(tight, evaluation) is Outcome.PASSED:
            assert outcome_of(loose, evaluation) is Outcome.PASSED


@FEW
@given(statistical_evaluations(), st.sampled_from([0.8, 0.95]), st.floats(0, 1))
def test_an_absolute_bound_is_held_against_the_one_sided_bounds_of_the_value(
    evaluation: Evaluation, confidence: float, threshold: float
) -> None:
    for metric in ("accuracy", "log_loss", "matthews_corrcoef"):
        found = evaluation.find(metric)
        assert found is not None
        evidence = evidence_from_json(found.stats["evidence"])
        lower, upper = lower_bound(evidence, confidence), upper_bound(evidence, confidence)
        outcome = decide(GatePolicy("p", (AtLeast(metric, threshold, confidence=confidence),)), evaluation)[1][0]
        if not (isinstance(lower, float) and isinstance(upper, float)):
            assert outcome.cause == "zero_variance"
            continue
        error = found.stats.get("error_bound", 0.0)
        low, high = lower - error, upper + error
        if min(abs(low - threshold), abs(high - threshold)) < 1e-12:
            continue
        expected = "passed" if low > threshold else "failed" if high < threshold else "undecidable"
        assert outcome.outcome.value == expected
        assert outcome.compared["confidence"] == confidence
        assert outcome.compared["level"] == 2 * confidence - 1


@FEW
@given(statistical_evaluations(), st.sampled_from([1.0, 20.0]), st.sampled_from([0.8, 0.95]))
def test_a_percent_margin_is_a_contrast_whose_sign_follows_the_baseline(
    evaluation: Evaluation, percent: float, confidence: float
) -> None:
    for metric, higher in (("matthews_corrcoef", True), ("log_loss", False)):
        ours, theirs = evaluation.find(metric), evaluation.value(metric, "baseline")
        assert ours is not None
        assert theirs is not None
        # no worse by percent of abs(baseline): c >= b - m|b| where higher is better, c <= b + m|b| where lower is
        factor = 1 - percent / 100 if higher is (theirs > 0) else 1 + percent / 100
        found = contrast_bounds(paired_from_json(ours.stats["paired"]), factor, confidence)
        rule = NoWorseThan("champion", metric, margin_percent=percent, confidence=confidence)
        outcome = outcome_of(rule, evaluation)
        if isinstance(found, Undecidable) or theirs == 0:
            assert outcome is Outcome.UNDECIDABLE
            continue
        inside, outside = (found.lower >= 0, found.upper < 0) if higher else (found.upper <= 0, found.lower > 0)
        if min(abs(found.lower), abs(found.upper)) < 1e-12:
            continue
        assert (outcome is Outcome.PASSED, outcome is Outcome.FAILED) == (inside, outside)


@FEW
@given(st.lists(CONFIDENT_RULES, min_size=1, max_size=3), statistical_evaluations(), CONTEXTS)
def test_any_of_passes_no_more_than_its_members_do_alone_and_all_of_as_much(
    rules: list[MetricRule], evaluation: Evaluation, context: GateContext
) -> None:
    alone = [outcome_of(rule, evaluation, context) for rule in rules]

    together = outcome_of(AnyOf(tuple(rules)), evaluation, context)
    assert together is not Outcome.PASSED or Outcome.PASSED in alone
    every = outcome_of(AllOf(tuple(rules)), evaluation, context)
    assert (every is Outcome.PASSED) is (set(alone) == {Outcome.PASSED})


def test_a_confidence_that_no_double_can_share_is_undecidable_and_no_error() -> None:
    sure = {"metric": "accuracy", "value": 0.5, "confidence": math.nextafter(1, 0)}
    policy = GatePolicy.from_data({"name": "p", "rules": [{"any_of": [{"at_least": sure}, {"at_least": sure}]}]})
    measured = candidate("accuracy", 0.9, n=1000, stats={"evidence": Proportion(900, 1000).to_json()})
    verdict, (outcome,) = decide(policy, evaluation_with(measured))

    assert (verdict, outcome.cause) == (Verdict.INCONCLUSIVE, "budget_spent")
    assert "no chance of error left" in outcome.reason


@FEW
@given(CONFIDENT_RULES, statistical_evaluations())
def test_every_slice_is_tested_at_full_alpha(rule: MetricRule, evaluation: Evaluation) -> None:
    _, (outcome,) = decide(GatePolicy("p", (EverySlice("origin", 1, rule),)), evaluation)

    assert len(outcome.parts) == 2
    for part in every_part(outcome.parts):
        if "confidence" in part.compared:
            assert part.compared["confidence"] == rule.confidence


@FEW
@given(TESTS, statistical_evaluations(), st.integers(1, 40))
def test_under_a_budget_a_test_gets_what_the_look_may_spend_and_no_more(
    rule: MetricRule, evaluation: Evaluation, number: int
) -> None:
    policy = GatePolicy.from_data({"name": "p", "budget": {"alpha": 0.06, "looks": 30}, "rules": [rule.to_json()]})
    told = GateContext(look=LookTaken(number))
    verdict, outcomes = decide(policy, evaluation, told)

    assert reserved_alpha(policy, told) == (0.06 / 30 if number <= 30 else 0.0)
    if number > 30:
        assert verdict is Verdict.INCONCLUSIVE
        assert outcomes[-1].cause == "budget_spent"
    for part in every_part(outcomes[:-1]):
        if "confidence" in part.compared:
            assert 1 - part.compared["confidence"] == pytest.approx(min(0.002, 1 - (rule.confidence or 0)))


def test_a_power_statement_annotates_and_never_overrules() -> None:
    counts = PairedProportions(4400, 100, 50, 450)
    stats = {"evidence": Proportion(4500, 5000).to_json(), "paired": counts.to_json()}
    evaluation = evaluation_with(candidate("accuracy", 0.9, stats=stats), champion("accuracy", 0.89))
    unsure = decide(GatePolicy("p", (BetterThan("champion", "accuracy", 0.01, confidence=0.95),)), evaluation)[1][0]
    sure = decide(GatePolicy("p", (BetterThan("champion", "accuracy", 0.0, confidence=0.95),)), evaluation)[1][0]

    assert unsure.outcome is Outcome.UNDECIDABLE
    power = unsure.compared["power"]
    assert power["rows"] == 5000
    assert power["rows_for_aim"] == 4 * 5000  # half of what these rows can tell
    assert power["aim"] == power["smallest_difference"] / 2
    assert "5,000 rows would tell 0.00609 with a chance of 80%; 0.00305 would take about 20,000 rows" in unsure.reason
    assert "power" not in sure.compared


def test_the_power_of_a_margin_aims_at_the_margin_at_the_looks_own_alpha() -> None:
    counts = PairedProportions(4400, 75, 75, 450)
    evaluation = evaluation_with(
        candidate("accuracy", 0.895, stats={"paired": counts.to_json()}), champion("accuracy", 0.895)
    )
    rule = {"no_worse_than": {"baseline": "champion", "metric": "accuracy", "margin": 0.002, "confidence": 0.95}}
    plain = GatePolicy.from_data({"name": "p", "rules": [rule]})
    budgeted = GatePolicy.from_data({"name": "p", "rules": [rule], "budget": {"alpha": 0.05, "looks": 30}})
    alone = decide(plain, evaluation)[1][0].compared["power"]
    shared = decide(budgeted, evaluation, GateContext(look=LookTaken(1)))[1][0].compared["power"]

    assert alone["aim"] == shared["aim"] == 0.002
    # (z(1 - 0.05/30) + z(0.8))^2 / (z(0.95) + z(0.8))^2: what thirty looks cost in rows
    assert shared["rows_for_aim"] / alone["rows_for_aim"] == pytest.approx(2.31, abs=0.01)


def test_lord_spends_less_with_every_look_and_more_after_a_promotion() -> None:
    quiet = [lord_alpha(0.05, [False] * before) for before in range(50)]

    assert quiet == sorted(quiet, reverse=True)
    assert quiet[0] == pytest.approx(0.025 * 0.07720838 * math.log(2))
    assert lord_alpha(0.05, [True]) > quiet[1]
    assert lord_alpha(0.05, [True, True]) == pytest.approx(
        quiet[2] + 0.025 * quiet[1] / 0.025 + 0.05 * quiet[0] / 0.025
    )
    # Without any promotion no more than the first wealth is ever spent.
    assert sum(lord_alpha(0.05, [False] * before) for before in range(2000)) < 0.025


def test_a_context_is_read_strictly_and_reads_back_equal() -> None:
    stored = {"training_digests": ["d"], "tags": {}, "model": "on-time"}  # as decisions stored it at first
    assert GateContext.from_json(stored) == GateContext(model="on-time", training_digests=("d",), tags={})
    assert GateContext.from_json(stored).to_json() == stored
    assert GateContext().to_json() == {}
    for wrong in (
        {"models": "x"},
        {"training_digests": "d"},
        {"training_digests": [3]},
        {"look": {"number": 0}},
        {"look": {"number": True}},
        {"look": {"count": 3}},
        {"anchor": {"version": 1, "name": "x"}},
        {"approvals": [{"approval_id": "a", "subject": "s", "verdict": "maybe", "binding": "b", "at_ms": 1}]},
    ):
        with pytest.raises(InvalidValue):
            GateContext.from_json(wrong)


@given(CONTEXTS)
def test_every_context_reads_back_equal(context: GateContext) -> None:
    assert GateContext.from_json(context.to_json()) == context
