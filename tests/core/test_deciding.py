"""What holds for every policy and evaluation: properties of the deciding function."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from penstock.model.canonical import canonical_json
from penstock.model.decisions import Outcome, Verdict
from penstock.model.evaluations import CANDIDATE, Evaluation
from penstock.model.metrics import METRICS
from penstock.model.policies import (
    AllOf,
    AnyOf,
    AtLeast,
    AtMost,
    BetterThan,
    Between,
    EverySlice,
    GatePolicy,
    HeldOut,
    NotSuspiciouslyBetterThan,
    NoWorseThan,
    Rule,
    WhenNoBaseline,
)
from penstock.services.deciding import decide, replay
from tests.core.gate_samples import (
    METRIC_RULES,
    NESTED_RULES,
    POLICIES,
    STANCES,
    candidate,
    champion,
    decided,
    evaluation_with,
    evaluations,
    every_part,
    recorded,
)


@given(POLICIES, evaluations())
def test_the_verdict_is_the_truth_table_of_its_outcomes(policy: GatePolicy, evaluation: Evaluation) -> None:
    verdict, outcomes = decide(policy, evaluation)
    found = {o.outcome for o in outcomes}

    assert len(outcomes) == len(policy.rules)
    if Outcome.FAILED in found:
        assert verdict is Verdict.FAIL
    elif Outcome.UNDECIDABLE in found:
        assert verdict is Verdict.INCONCLUSIVE
    else:
        assert verdict is Verdict.PASS


@given(POLICIES, evaluations())
def test_every_outcome_explains_itself_and_is_finite_json(policy: GatePolicy, evaluation: Evaluation) -> None:
    for part in every_part(decide(policy, evaluation)[1]):
        assert part.reason
        assert "\n" not in part.reason
        assert bool(part.cause) is (part.outcome is Outcome.UNDECIDABLE)
        canonical_json(part.to_json())


@given(POLICIES, evaluations(), st.sampled_from([None, {}, {"training_digests": ["d-held"]}, {"tags": {"owner": "a"}}]))
def test_a_replay_from_the_stored_record_equals_the_original(
    policy: GatePolicy, evaluation: Evaluation, context: dict[str, Any] | None
) -> None:
    decision = recorded(policy, evaluation, context)

    assert replay(decision) == (decision.verdict, decision.outcomes) == decide(policy, evaluation, context)


@given(st.data(), POLICIES, evaluations())
def test_the_order_of_rules_does_not_matter(data: st.DataObject, policy: GatePolicy, evaluation: Evaluation) -> None:
    shuffled = GatePolicy("p", tuple(data.draw(st.permutations(policy.rules))), policy.when_no_baseline)
    before, after = decide(policy, evaluation), decide(shuffled, evaluation)

    assert after[0] is before[0]
    assert sorted(canonical_json(o.to_json()) for o in after[1]) == sorted(
        canonical_json(o.to_json()) for o in before[1]
    )


@given(st.data(), POLICIES, evaluations())
def test_the_order_of_measurements_does_not_matter(
    data: st.DataObject, policy: GatePolicy, evaluation: Evaluation
) -> None:
    shuffled = tuple(data.draw(st.permutations(evaluation.measurements)))

    assert decide(policy, dataclasses.replace(evaluation, measurements=shuffled)) == decide(policy, evaluation)


def loosened(rule: Rule, amount: float) -> Rule:
    """The same rule with a bound that admits at least as much."""
    match rule:
        case AtLeast():
            return AtLeast(rule.metric, max(rule.value - amount, METRICS[rule.metric].low))
        case AtMost():
            return AtMost(rule.metric, min(rule.value + amount, METRICS[rule.metric].high))
        case Between():
            low, high = METRICS[rule.metric].low, METRICS[rule.metric].high
            return Between(rule.metric, max(rule.min - amount, low), min(rule.max + amount, high))
        case NoWorseThan(margin=None):
            return dataclasses.replace(rule, margin_percent=min((rule.margin_percent or 0) + amount, 99.5))
        case NoWorseThan():
            return dataclasses.replace(rule, margin=min((rule.margin or 0) + amount, 0.95))
        case NotSuspiciouslyBetterThan():
            return dataclasses.replace(rule, by=min((rule.by or 0) + amount, 0.95))
        case BetterThan(by=None):
            return dataclasses.replace(rule, by_percent=max((rule.by_percent or 0) - amount, 0))
        case BetterThan():
            return dataclasses.replace(rule, by=max((rule.by or 0) - amount, 0))
        case EverySlice():
            return EverySlice(rule.by, max(int(rule.min_rows * (1 - amount)), 1), loosened(rule.rule, amount))
        case HeldOut():
            return dataclasses.replace(rule, min_rows=max((rule.min_rows or 1) - int(amount * 1000), 1))
        case AnyOf() | AllOf():
            return type(rule)(tuple(loosened(member, amount) for member in rule.rules))
    return rule


@given(POLICIES, evaluations(), st.floats(0, 1))
def test_loosening_every_bound_never_turns_a_pass_into_anything_else(
    policy: GatePolicy, evaluation: Evaluation, amount: float
) -> None:
    loose = GatePolicy("p", tuple(loosened(rule, amount) for rule in policy.rules), policy.when_no_baseline)

    if decide(policy, evaluation)[0] is Verdict.PASS:
        assert decide(loose, evaluation)[0] is Verdict.PASS
    # (With fewer rows asked for, a slice that was too small to judge may turn out to fail.)
    by_slice = any(isinstance(rule, EverySlice) for rule in policy.rules)
    if decide(loose, evaluation)[0] is Verdict.FAIL and not by_slice:
        assert decide(policy, evaluation)[0] is Verdict.FAIL


@given(NESTED_RULES, evaluations(), st.floats(0, 1), STANCES)
def test_loosening_the_rule_on_slices_never_turns_a_pass_into_anything_else(
    rule: Rule, evaluation: Evaluation, amount: float, stance: WhenNoBaseline
) -> None:
    strict = GatePolicy("p", (EverySlice("origin", 500, rule),), stance)
    loose = GatePolicy("p", (loosened(strict.rules[0], amount),), stance)

    if decide(strict, evaluation)[0] is Verdict.PASS:
        assert decide(loose, evaluation)[0] is Verdict.PASS


@given(METRIC_RULES, evaluations(), STANCES, st.sampled_from([math.nan, math.inf, -math.inf, None, "missing"]))
def test_without_a_usable_candidate_value_no_rule_on_that_metric_passes_or_fails(
    rule: Any, evaluation: Evaluation, stance: WhenNoBaseline, value: Any
) -> None:
    spoiled = [
        m for m in evaluation.measurements if not (m.metric == rule.metric and m.of == CANDIDATE and not m.slice)
    ]
    if value != "missing":
        spoiled.append(candidate(rule.metric, value))
    policy = GatePolicy("p", (rule,), stance)

    verdict, _ = decide(policy, dataclasses.replace(evaluation, measurements=tuple(spoiled)))

    assert verdict is Verdict.INCONCLUSIVE


@given(POLICIES, evaluations(), st.data())
def test_spoiling_any_measurement_never_turns_a_fail_or_a_doubt_into_a_pass(
    policy: GatePolicy, evaluation: Evaluation, data: st.DataObject
) -> None:
    assume(evaluation.measurements)
    index = data.draw(st.integers(0, len(evaluation.measurements) - 1))
    measurements = list(evaluation.measurements)
    spoiled = data.draw(st.sampled_from([math.nan, math.inf, -math.inf, None]))
    measurements[index] = dataclasses.replace(measurements[index], value=spoiled)

    before = decide(policy, evaluation)[0]
    after = decide(policy, dataclasses.replace(evaluation, measurements=tuple(measurements)))[0]

    assert before is Verdict.PASS or after is not Verdict.PASS


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.99))
def test_margins_are_exact_rationals_of_the_stored_doubles(value: float, base: float, margin: float) -> None:
    evaluation = evaluation_with(candidate("roc_auc", value), champion("roc_auc", base))
    no_worse = decided(NoWorseThan("champion", "roc_auc", margin), evaluation).outcome
    better = decided(BetterThan("champion", "roc_auc", margin), evaluation).outcome

    assert (no_worse is Outcome.PASSED) is (Fraction(value) >= Fraction(base) - Fraction(margin))
    assert (better is Outcome.PASSED) is (Fraction(value) > Fraction(base) + Fraction(margin))


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_nearest_flip_on_record_is_the_distance_to_the_bound(value: float, threshold: float) -> None:
    outcome = decided(AtLeast("roc_auc", threshold), evaluation_with(candidate("roc_auc", value)))
    distance = outcome.compared["distance"]

    assert distance == float(Fraction(value) - Fraction(threshold))
    assert (distance >= 0) is (outcome.outcome is Outcome.PASSED)


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_sentence_never_shows_a_miss_as_if_it_were_a_tie(value: float, threshold: float) -> None:
    assume(value != threshold)
    outcome = decided(AtLeast("roc_auc", threshold), evaluation_with(candidate("roc_auc", value)))
    words = outcome.reason.replace(":", " ").split()
    shown, bound = words[words.index("is") + 1], words[words.index("least") + 1]

    assert shown != bound
    assert (float(shown) >= float(bound)) is (outcome.outcome is Outcome.PASSED)
    assert "tie" not in outcome.reason


def test_only_what_lies_within_the_tolerance_is_called_a_tie() -> None:
    rule = AtLeast("roc_auc", 0.75, tolerance=0.125)
    says = {
        value: decided(rule, evaluation_with(candidate("roc_auc", value))).reason for value in (0.6, 0.625, 0.875, 0.9)
    }

    assert says[0.6].endswith(": misses by 0.025")
    assert says[0.625].endswith(": a tie within 0.125, which passes")
    assert says[0.875].endswith(": a tie within 0.125, which passes")
    assert says[0.9].endswith(": holds by 0.275")


def test_a_distance_below_every_double_is_not_shown_as_none() -> None:
    smallest = evaluation_with(candidate("log_loss", 5e-324), champion("log_loss", 5e-324))
    touching = evaluation_with(candidate("roc_auc", 0.5, stats={"error_bound": 0.25}))

    assert decided(NoWorseThan("champion", "log_loss", margin_percent=1.0), smallest).reason.endswith(
        "holds by less than any double"
    )
    assert decided(AtLeast("roc_auc", 0.25), touching).reason.endswith("the whole interval holds, by 0")


@given(st.sampled_from([5e-324, 1e308, 1.7976931348623157e308]), st.floats(0, 1e308), st.floats(0, 1e308))
def test_doubles_at_the_ends_of_their_range_are_decided_too(value: float, base: float, margin: float) -> None:
    evaluation = evaluation_with(candidate("log_loss", value), champion("log_loss", base))
    for rule in (
        BetterThan("champion", "log_loss", by_percent=margin),
        NotSuspiciouslyBetterThan("champion", "log_loss", by=margin),
        NoWorseThan("champion", "log_loss", margin=margin),
    ):
        outcome = decided(rule, evaluation)
        canonical_json(outcome.to_json())
        assert outcome.outcome is not Outcome.UNDECIDABLE or base == 0
