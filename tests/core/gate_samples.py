"""Evaluations, policies and decisions to try the gate with: by hand, and at random for property tests."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from penstock.model.canonical import canonical_json
from penstock.model.data import Dataset
from penstock.model.decisions import GateDecision, RuleOutcome
from penstock.model.evaluations import BASELINE, CANDIDATE, BaselineRef, Evaluation, Measurement
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
    Requires,
    Rule,
    WhenNoBaseline,
)
from penstock.services.deciding import decide, decision_inputs
from penstock.services.deciding.decide import Context

NAMES = ("roc_auc", "matthews_corrcoef", "log_loss")
SLICES = ("JFK", "EWR")
CHAMPION = BaselineRef("models:/on-time@champion", "on-time", "champion", 3, 2, "b")


def evaluation_with(
    *measurements: Measurement,
    baseline: BaselineRef | None = CHAMPION,
    facts: dict[str, Any] | None = None,
    rows: int = 5000,
    anchor: BaselineRef | None = None,
) -> Evaluation:
    return Evaluation(
        evaluation_id="e1",
        run_id="0" * 32,
        model_id="m-" + "1" * 32,
        payload_digest="p",
        task="binary",
        dataset=Dataset("flights", "d-held", rows, "held-out", "flights.parquet"),
        measurements=measurements,
        baseline=baseline,
        model_facts=facts or {},
        anchor=anchor,
    )


def candidate(metric: str, value: float | None, **more: Any) -> Measurement:
    return Measurement(metric, CANDIDATE, value, more.pop("n", 5000), **more)


def champion(metric: str, value: float | None, **more: Any) -> Measurement:
    return Measurement(metric, BASELINE, value, more.pop("n", 5000), **more)


def decided(rule: Rule, evaluation: Evaluation) -> RuleOutcome:
    return decide(GatePolicy("p", (rule,)), evaluation)[1][0]


def recorded(policy: GatePolicy, evaluation: Evaluation, context: Context = None) -> GateDecision:
    verdict, outcomes = decide(policy, evaluation, context)
    decision = GateDecision(
        decision_id="d1",
        run_id=evaluation.run_id,
        evaluation_id=evaluation.evaluation_id,
        model="on-time",
        alias="champion",
        verdict=verdict,
        outcomes=outcomes,
        policy_name=policy.name,
        policy_text=policy.text,
        policy_digest=policy.digest,
        payload_digest=evaluation.payload_digest,
        data_digest=evaluation.dataset.digest,
        baseline_version=3,
        alias_generation=2,
        no_baseline=False,
        code_version="0",
        inputs=decision_inputs(policy, evaluation, context),
    )
    return GateDecision.from_json(json.loads(canonical_json(decision.to_json())))


# --- what random evaluations and policies are made of ----------------------------------------------------------------

EIGHTHS = st.integers(0, 8).map(lambda n: n / 8)  # exact, so that ties are common
THRESHOLDS = EIGHTHS | st.floats(0, 1)
VALUES = EIGHTHS | st.floats(0, 1) | st.sampled_from([-0.0, math.nan, math.inf, -math.inf, None])


@st.composite
def evaluations(draw: st.DrawFn) -> Evaluation:
    measurements = []
    for slice, of, metric in ((s, o, m) for s in (None, *SLICES) for o in (CANDIDATE, BASELINE) for m in NAMES):
        if draw(st.integers(0, 9)):
            where = {} if slice is None else {"origin": slice}
            measurements.append(Measurement(metric, of, draw(VALUES), draw(st.sampled_from([3, 700])), where))
    baseline = draw(st.sampled_from([CHAMPION, dataclasses.replace(CHAMPION, version=None), None]))
    known: list[dict[str, Any]] = [{}, {"signature": True, "tags": {"owner": "ada"}}, {"signature": False}]
    facts = draw(st.sampled_from(known))
    return evaluation_with(*measurements, baseline=baseline, facts=facts, rows=draw(st.integers(0, 2000)))


METRIC_RULES: st.SearchStrategy[Rule] = st.one_of(
    st.builds(AtLeast, st.sampled_from(NAMES), THRESHOLDS),
    st.builds(AtMost, st.sampled_from(NAMES), THRESHOLDS),
    st.builds(lambda m, a, b: Between(m, min(a, b), max(a, b)), st.sampled_from(NAMES), THRESHOLDS, THRESHOLDS),
    st.builds(NoWorseThan, st.just("champion"), st.sampled_from(NAMES), st.floats(0, 0.9)),
    st.builds(NoWorseThan, st.just("champion"), st.sampled_from(NAMES), st.none(), st.floats(0, 99)),
    st.builds(BetterThan, st.just("champion"), st.sampled_from(NAMES), st.floats(0, 0.9)),
    st.builds(BetterThan, st.just("champion"), st.sampled_from(NAMES), st.none(), st.floats(0, 200)),
    st.builds(NotSuspiciouslyBetterThan, st.just("champion"), st.sampled_from(NAMES), st.floats(0, 0.9)),
)
NESTED_RULES = st.recursive(
    METRIC_RULES,
    lambda inner: (
        st.builds(AnyOf, st.lists(inner, min_size=1, max_size=3).map(tuple))
        | st.builds(AllOf, st.lists(inner, min_size=1, max_size=3).map(tuple))
    ),
    max_leaves=4,
)
RULES: st.SearchStrategy[Rule] = st.one_of(
    NESTED_RULES,
    st.builds(EverySlice, st.just("origin"), st.just(500), NESTED_RULES),
    st.builds(HeldOut, st.integers(1, 2000), st.booleans()),
    st.just(Requires(signature=True, tags=("owner",))),
)
STANCES = st.sampled_from(list(WhenNoBaseline))
POLICIES = st.builds(
    lambda rules, stance: GatePolicy("p", tuple(rules), stance), st.lists(RULES, min_size=1, max_size=5), STANCES
)


def every_part(outcomes: tuple[RuleOutcome, ...]) -> Iterator[RuleOutcome]:
    for outcome in outcomes:
        yield outcome
        yield from every_part(outcome.parts)
