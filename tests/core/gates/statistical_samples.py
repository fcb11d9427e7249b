"""Random evaluations whose statistics fit their values, and policies that ask for confidence, for property tests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from penstock.model.evaluations import ANCHOR, BASELINE, CANDIDATE, BaselineRef, Evaluation, Measurement
from penstock.model.gate_context import APPROVED, REJECTED, AnchorVersion, ApprovalGiven, GateContext, LookTaken
from penstock.model.policies import (
    AllOf,
    AnyOf,
    Approval,
    AtLeast,
    AtMost,
    BetterThan,
    Between,
    Budget,
    EverySlice,
    GatePolicy,
    MetricRule,
    NotSuspiciouslyBetterThan,
    NoWorseThan,
    Rule,
    Spending,
)
from penstock.statistics.evidence import Auc, Mean, PairedEstimates, PairedProportions, Proportion, Replicates
from tests.core.gate_samples import CHAMPION, SLICES, STANCES, evaluation_with

FIRST = BaselineRef("models:/on-time/1", "on-time", "", 1)
ERRORS = st.sampled_from([0.0, 0.0, 0.0, 0.001, 0.05])
CONFIDENCES = st.sampled_from([0.5, 0.8, 0.95, 0.99])


@st.composite
def _accuracy(draw: st.DrawFn, slice: dict[str, str]) -> list[Measurement]:
    cells = [draw(st.integers(0, 400)) for _ in range(4)]
    rows = sum(cells) or 1
    cells = cells if sum(cells) else [0, 0, 0, 1]
    counts = PairedProportions(*cells)
    ours, theirs = cells[0] + cells[1], cells[0] + cells[2]
    stats: dict[str, Any] = {"evidence": Proportion(ours, rows).to_json(), "paired": counts.to_json()}
    stats |= {"paired_anchor": counts.to_json(), "error_bound": draw(ERRORS)}
    return [
        Measurement("accuracy", CANDIDATE, ours / rows, rows, slice, stats=stats),
        Measurement("accuracy", BASELINE, theirs / rows, rows, slice, stats={"error_bound": draw(ERRORS)}),
        Measurement("accuracy", ANCHOR, theirs / rows, rows, slice),
    ]


@st.composite
def _estimated(draw: st.DrawFn, metric: str, slice: dict[str, str]) -> list[Measurement]:
    low = -0.9 if metric == "matthews_corrcoef" else 0.1
    ours, theirs = (draw(st.floats(low, 0.9)) for _ in range(2))
    error = draw(st.sampled_from([0.0, 0.001, 0.01, 0.1]))
    correlation = draw(st.sampled_from([0.0, 0.5, 0.99]))
    evidence = {
        "roc_auc": Auc(ours, error, 300, 700),
        "log_loss": Mean(ours, error, 1000),
        "matthews_corrcoef": Replicates(ours, error, 200),
    }[metric]
    method = {"roc_auc": "auc", "log_loss": "mean", "matthews_corrcoef": "bootstrap"}[metric]
    degrees = {"roc_auc": None, "log_loss": 999, "matthews_corrcoef": 199}[metric]
    paired = PairedEstimates(method, ours, theirs, error**2, error**2, correlation * error**2, degrees)  # type: ignore[arg-type]
    stats = {"evidence": evidence.to_json(), "paired": paired.to_json(), "paired_anchor": paired.to_json()}
    return [
        Measurement(metric, CANDIDATE, ours, 1000, slice, stats=stats),
        Measurement(metric, BASELINE, theirs, 1000, slice),
        Measurement(metric, ANCHOR, theirs, 1000, slice),
    ]


@st.composite
def statistical_evaluations(draw: st.DrawFn) -> Evaluation:
    measurements: list[Measurement] = []
    for where in ({}, *({"origin": origin} for origin in SLICES)):
        measurements += draw(_accuracy(where))
        for metric in ("roc_auc", "log_loss", "matthews_corrcoef"):
            measurements += draw(_estimated(metric, where))
    return evaluation_with(*measurements, baseline=CHAMPION, anchor=draw(st.sampled_from([None, FIRST, FIRST])))


NAMES = st.sampled_from(["accuracy", "roc_auc", "log_loss", "matthews_corrcoef"])
AMOUNTS = st.sampled_from([0.001, 0.01, 0.1, 0.5])
PERCENTS = st.sampled_from([0.1, 1.0, 20.0])
CONFIDENT = {"confidence": CONFIDENCES}
TESTS: st.SearchStrategy[MetricRule] = st.one_of(
    st.builds(NoWorseThan, st.just("champion"), NAMES, AMOUNTS, anchor=st.booleans(), **CONFIDENT),
    st.builds(NoWorseThan, st.just("champion"), NAMES, st.none(), PERCENTS, anchor=st.booleans(), **CONFIDENT),
    st.builds(BetterThan, st.just("champion"), NAMES, AMOUNTS | st.just(0.0), **CONFIDENT),
    st.builds(BetterThan, st.just("champion"), NAMES, st.none(), PERCENTS, **CONFIDENT),
)
CONFIDENT_RULES: st.SearchStrategy[MetricRule] = st.one_of(
    TESTS,
    st.builds(AtLeast, NAMES, st.floats(0, 1), **CONFIDENT),
    st.builds(AtMost, NAMES, st.floats(0, 1), **CONFIDENT),
    st.builds(lambda m, a, b, c: Between(m, min(a, b), max(a, b), confidence=c), NAMES, AMOUNTS, AMOUNTS, CONFIDENCES),
    st.builds(NotSuspiciouslyBetterThan, st.just("champion"), NAMES, AMOUNTS, **CONFIDENT),
)
NESTED: st.SearchStrategy[Rule] = st.one_of(
    CONFIDENT_RULES,
    st.builds(AnyOf, st.lists(CONFIDENT_RULES, min_size=1, max_size=3).map(tuple)),
    st.builds(AllOf, st.lists(CONFIDENT_RULES, min_size=1, max_size=3).map(tuple)),
    st.builds(EverySlice, st.just("origin"), st.just(1), CONFIDENT_RULES),
    st.just(Approval("owner", 24.0, True)),
)
BUDGETS = (
    st.none() | st.builds(Budget, st.just(0.05), st.sampled_from([1, 30])) | st.just(Budget(0.05, None, Spending.LORD))
)


@st.composite
def confident_policies(draw: st.DrawFn) -> GatePolicy:
    budget = draw(BUDGETS)
    rules = draw(st.lists(NESTED, min_size=1, max_size=4))
    if budget is not None:
        rules.append(draw(TESTS))
    return GatePolicy("p", tuple(rules), draw(STANCES), budget=budget)


CONTEXTS = st.builds(
    GateContext,
    authors=st.just(("ada",)),
    now_ms=st.sampled_from([None, 1000, 10**9]),
    approvals=st.lists(
        st.builds(
            ApprovalGiven,
            st.just("a1"),
            st.sampled_from(["ada", "grace"]),
            st.sampled_from([APPROVED, APPROVED, REJECTED]),
            st.sampled_from(["now", "now", "then"]),
            st.just(0),
            st.sampled_from([("owner",), ("reader",)]),
        ),
        max_size=2,
    ).map(tuple),
    binding=st.just("now"),
    look=st.none() | st.builds(LookTaken, st.sampled_from([1, 2, 40]), st.sampled_from([1, 2])),
    anchor=st.sampled_from([None, AnchorVersion(1), AnchorVersion(2), AnchorVersion(3)]),
)
