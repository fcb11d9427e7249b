"""What an outcome tells and keeps beside its answer: causes, sentences and numbers a reader would act on."""

from __future__ import annotations

import math
from typing import Any

import pytest

from penstock.model.decisions import Outcome, RuleOutcome
from penstock.model.evaluations import BaselineRef, Evaluation
from penstock.model.gate_context import DataTimes, GateContext, LookTaken, TrainingOverlap
from penstock.model.policies import AtLeast, BetterThan, EverySlice, FixedVersion, GatePolicy, NoWorseThan
from penstock.services.deciding import decide
from penstock.statistics.evidence import PairedProportions, Proportion
from tests.core.gate_samples import candidate, champion, decided, evaluation_with

TABLE = PairedProportions(4400, 100, 50, 450)
STATS = {"evidence": Proportion(4500, 5000).to_json(), "paired": TABLE.to_json()}
MEASURED = evaluation_with(candidate("accuracy", 0.9, stats=STATS), champion("accuracy", 0.89))
BETTER = {"better_than": {"baseline": "champion", "metric": "accuracy", "by": 0}}


def first(told: GateContext | None = None, evaluation: Evaluation = MEASURED, **policy: Any) -> RuleOutcome:
    """The outcome of the one rule of a policy, not that of its budget."""
    rules = policy.pop("rules", [BETTER])
    return decide(GatePolicy.from_data({"name": "p", "rules": rules, **policy}), evaluation, told)[1][0]


# --- statistics and budgets -------------------------------------------------------------------------------------------


def test_an_interval_that_holds_says_nothing_of_rows_that_would_be_needed() -> None:
    held = decided(AtLeast("accuracy", 0.8, confidence=0.95), MEASURED)
    straddling = decided(AtLeast("accuracy", 0.9, confidence=0.95), MEASURED)

    assert (held.outcome, "power" in held.compared) == (Outcome.PASSED, False)
    assert (straddling.cause, "power" in straddling.compared) == ("straddles", True)


@pytest.mark.parametrize(
    ("look", "budget", "cause", "problem"),
    [
        (None, {"alpha": 0.05, "looks": 30}, "no_look", "it is not known which look at the data this is"),
        (LookTaken(31), {"alpha": 0.05, "looks": 30}, "budget_spent", "it is look 31 of this model"),
        (LookTaken(1, 31), {"alpha": 0.05, "looks": 30}, "budget_spent", "it is look 31 at these rows"),
        (LookTaken(31, 31), {"alpha": 0.05, "looks": 30}, "budget_spent", "it is look 31 of this model"),
        (LookTaken(2, 2), {"alpha": 0.05, "spending": "lord"}, "reused_rows", "LORD holds for fresh rows only"),
        (LookTaken(2, reused=True), {"alpha": 0.05, "spending": "lord"}, "reused_rows", "looked at before"),
    ],
)
def test_a_test_that_may_spend_nothing_says_why(
    look: LookTaken | None, budget: dict[str, Any], cause: str, problem: str
) -> None:
    outcome = first(GateContext(look=look), budget=budget, confidence=0.95)

    assert (outcome.outcome, outcome.cause) == (Outcome.UNDECIDABLE, cause)
    assert problem in outcome.reason


def test_a_share_too_small_for_a_double_leaves_nothing_to_spend() -> None:
    alone = first(rules=[{"any_of": [BETTER, BETTER]}], confidence=math.nextafter(1, 0))
    budgeted = first(GateContext(look=LookTaken(1)), budget={"alpha": 1e-17, "looks": 1}, confidence=0.95)

    assert (alone.cause, "no chance of error left" in alone.reason) == ("budget_spent", True)
    assert (budgeted.outcome, budgeted.cause) == (Outcome.UNDECIDABLE, "budget_spent")


def test_members_of_an_any_of_share_alpha_and_those_within_a_budget_share_the_looks() -> None:
    shared = first(rules=[{"any_of": [BETTER, BETTER]}], confidence=0.95)
    budgeted = first(
        GateContext(look=LookTaken(1)),
        rules=[{"any_of": [BETTER, BETTER]}],
        confidence=0.95,
        budget={"alpha": 0.06, "looks": 30},
    )

    assert [part.compared["confidence"] for part in shared.parts] == pytest.approx([0.975, 0.975])
    assert [part.compared["confidence"] for part in budgeted.parts] == pytest.approx([0.999, 0.999])


def test_a_bound_that_cannot_promote_falsely_spends_nothing_of_a_budget() -> None:
    at_least = {"at_least": {"metric": "accuracy", "value": 0.8}}
    budget = {"alpha": 0.06, "looks": 30}
    either = first(
        GateContext(look=LookTaken(1)), rules=[{"any_of": [at_least, BETTER]}], confidence=0.95, budget=budget
    )

    assert [part.compared["confidence"] for part in either.parts] == pytest.approx([0.975, 0.999])


def test_the_errors_of_both_measurements_widen_what_is_compared() -> None:
    ours, theirs = {"error_bound": 0.01}, {"error_bound": 0.02}
    evaluation = evaluation_with(candidate("f1", 0.75, stats=ours), champion("f1", 0.5, stats=theirs))
    for rule in (BetterThan("champion", "f1", 0.2), BetterThan("champion", "f1", 0.24)):
        outcome = decided(rule, evaluation)

        assert outcome.compared["error_bound"] == pytest.approx(0.03)
        assert outcome.compared["interval"] == {"lower": pytest.approx(0.72), "upper": pytest.approx(0.78)}
        assert "give or take 0.03" in outcome.reason
    assert outcome.cause == "within_error"


def test_a_margin_in_percent_carries_the_baselines_error_as_it_carries_the_baseline() -> None:
    ours = candidate("accuracy", 0.9, stats={"paired": TABLE.to_json()})
    evaluation = evaluation_with(ours, champion("accuracy", 0.89, stats={"error_bound": 0.02}))
    plain = decided(NoWorseThan("champion", "accuracy", 0.05, confidence=0.95), evaluation)
    percent = decided(NoWorseThan("champion", "accuracy", margin_percent=10.0, confidence=0.95), evaluation)

    assert plain.compared["error_bound"] == pytest.approx(0.02)
    assert plain.reason.startswith("accuracy less champion's accuracy is ")
    assert percent.compared["error_bound"] == pytest.approx(0.9 * 0.02)
    assert percent.reason.startswith("accuracy less 0.9 of champion's accuracy is ")


# --- what was compared with -------------------------------------------------------------------------------------------


def test_the_record_names_the_alias_or_the_version_that_was_compared_with() -> None:
    fixed = BaselineRef("models:/on-time/3", "on-time", "", 3)
    measured = (candidate("f1", 0.75), champion("f1", 0.5))
    by_alias = decided(NoWorseThan("champion", "f1", 0.1), evaluation_with(*measured))
    by_version = decided(NoWorseThan(FixedVersion(3), "f1", 0.1), evaluation_with(*measured, baseline=fixed))

    assert by_alias.compared["baseline"]["alias"] == "champion"
    assert by_version.compared["baseline"]["alias"] == "version 3"
    assert by_version.compared["baseline"]["version"] == 3


def test_a_slice_that_only_the_baseline_was_measured_on_has_no_rows() -> None:
    only = evaluation_with(candidate("f1", 0.75), champion("f1", 0.5, slice={"origin": "JFK"}))

    assert decided(EverySlice("origin", 1, AtLeast("f1", 0.5)), only).cause == "too_few_rows"


def test_that_no_slice_was_measured_is_on_record() -> None:
    outcome = decided(EverySlice("origin", 1, AtLeast("f1", 0.5)), evaluation_with(candidate("f1", 0.75)))

    assert (outcome.cause, outcome.compared) == ("no_slices", {"by": "origin", "slices": 0})


@pytest.mark.parametrize(("value", "usable"), [(1 + 1e-9, True), (-1e-9, True), (1 + 3e-9, False), (-3e-9, False)])
def test_a_score_may_leave_its_range_by_rounding_and_no_further(value: float, usable: bool) -> None:
    assert (decided(AtLeast("f1", 0.5), evaluation_with(candidate("f1", value))).cause == "") is usable


# --- demands ----------------------------------------------------------------------------------------------------------


def demand(
    keyword: str, facts: dict[str, Any] | None = None, told: GateContext | None = None, **wanted: Any
) -> RuleOutcome:
    outcome = first(told, evaluation_with(facts=facts), rules=[{keyword: wanted}])
    return outcome.parts[-1]


def test_a_licence_by_tag_is_told_as_one() -> None:
    there = demand("requires", {"tags": {"license": "MIT"}}, licence=True)
    absent = demand("requires", {"tags": {"owner": "ada"}}, licence=True)

    assert there.reason == "the model has a licence, by its tags"
    assert absent.reason == "the model has neither a licence nor a tag that states one"
    assert there.rule == absent.rule == {"requires": {"licence": True}}
    assert (there.compared, absent.compared) == ({"licence": True}, {"licence": False})


@pytest.mark.parametrize(
    ("wanted", "facts", "missed"),
    [
        ({"max_latency_p95_ms": 20}, {"latency_p95_ms": 50}, "may take 20: 30 too much"),
        ({"max_peak_memory_mb": 64}, {"peak_memory_mb": 96.5}, "may take 64: 32.5 too much"),
        ({"max_size_mb": 1}, {"size_bytes": 1_000_250}, "may have 1000000: 250 too many"),
    ],
)
def test_what_is_beyond_a_limit_is_told_by_how_much(wanted: dict[str, Any], facts: dict[str, Any], missed: str) -> None:
    assert missed in demand("requires", facts, **wanted).reason


@pytest.mark.parametrize(
    ("share", "at_most", "outcome"),
    [
        (0.0, 0.01, Outcome.PASSED),
        (0.01, 0.02, Outcome.UNDECIDABLE),  # the estimate is allowed, its upper bound is not
        (0.015, 0.02, Outcome.FAILED),
    ],
)
def test_an_overlap_exactly_at_the_limit_is_not_too_much_but_may_be(
    share: float, at_most: float, outcome: Outcome
) -> None:
    told = GateContext(training_overlap=TrainingOverlap(share, at_most))

    assert demand("held_out", told=told, overlap_at_most=0.01).outcome is outcome


@pytest.mark.parametrize(
    ("share", "at_most", "miss"),
    [(2.0, 3.0, 0.0), (-0.1, 0.1, 0.0), (0.2, 0.1, 0.0), (0.0, 0.0, 1.5), (math.nan, 0.1, 0.0), (0.0, math.inf, 0.0)],
)
def test_an_overlap_that_cannot_be_is_neither_enough_nor_too_much(share: float, at_most: float, miss: float) -> None:
    told = GateContext(training_overlap=TrainingOverlap(share, at_most, 0, miss))

    assert demand("held_out", told=told, overlap_at_most=0.5).cause == "bad_statistics"


def test_data_that_is_too_old_is_told_by_how_much() -> None:
    day = 86_400_000
    old = GateContext(now_ms=100 * day, data_times=DataTimes(0, 10 * day), training_times=DataTimes(0, 3 * day))
    late = GateContext(now_ms=5 * day, data_times=DataTimes(0, 10 * day))

    assert "90 days old and may be 30: 60 too many" in demand("held_out", told=old, max_age_days=30).reason
    assert "begins 3 days before" in demand("held_out", told=old, not_older_than_training=True).reason
    ahead = demand("held_out", told=late, max_age_days=30)
    assert (ahead.cause, "5 days ahead of the clock" in ahead.reason) == ("from_the_future", True)
