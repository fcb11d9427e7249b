"""The policy language beyond its first rules: confidence, budgets, anchors, approvals, and the published schema."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.errors import InvalidPolicy
from penstock.model.policies import (
    Approval,
    AtLeast,
    BetterThan,
    Budget,
    EverySlice,
    FixedVersion,
    GatePolicy,
    HeldOut,
    NoWorseThan,
    Requires,
    Spending,
)
from penstock.policies import schema
from penstock.policies.loading import load_policy
from tests.core.gate_samples import POLICIES
from tests.core.gates.statistical_samples import confident_policies
from tests.core.test_policies import FULL, REFUSED_POLICIES, REFUSED_RULES
from tests.core.test_truth_table import ROWS, policy_data_of

FULLER = """\
name: on-time
confidence: 0.95
budget: {alpha: 0.05, looks: 30, spending: fixed}
rules:
  - no_worse_than: {baseline: champion, metric: roc_auc, margin: 0.005, confidence: 0.99, anchor: true}
  - no_worse_than: {baseline: {version: 3}, metric: "recall[late]", margin_percent: 2, anchor: {version: 1}}
  - better_than: {baseline: champion, metric: log_loss, by: 0}
  - every_slice: {by: [origin, carrier], min_rows: 500, rule: {at_least: {metric: recall_macro, value: 0.5}}}
  - held_out:
      min_rows: 100
      max_age_days: 45
      not_training_data: true
      overlap_at_most: 0.001
      not_older_than_training: true
  - requires:
      {licence: true, card: true, load_test: true, name: "on-*", max_latency_p95_ms: 20, max_peak_memory_mb: 512}
  - approval: {role: release manager, expires_hours: 72, four_eyes: true}
"""
METRIC = {"metric": "roc_auc"}
AT_LEAST = {**METRIC, "value": 0.5}
COMPARED = {**METRIC, "baseline": "champion"}

MORE_REFUSED_RULES: list[tuple[Any, str]] = [
    ({"at_least": {**AT_LEAST, "confidence": 0}}, "outside (0, 1)"),
    ({"at_least": {**AT_LEAST, "confidence": 1}}, "outside (0, 1)"),
    ({"at_least": {**AT_LEAST, "confidence": 95}}, "For 95 % write 0.95"),
    ({"at_least": {**AT_LEAST, "confidence": -0.95}}, "outside (0, 1)"),
    ({"at_least": {**AT_LEAST, "confidence": 0.05}}, "below 0.5"),
    ({"at_least": {**AT_LEAST, "confidence": "0.95"}}, "without quotes"),
    ({"at_least": {**AT_LEAST, "confidence": True}}, "expected a number"),
    ({"at_least": {**AT_LEAST, "confidence": None}}, "expected a number"),
    ({"at_least": {**AT_LEAST, "tolerance": 0}}, "above 0"),
    ({"at_least": {**AT_LEAST, "tolerance": -0.1}}, "above 0"),
    ({"at_least": {**AT_LEAST, "tolerance": 0.1, "confidence": 0.9}}, "nothing ties"),
    ({"no_worse_than": {**COMPARED, "margin": 0, "confidence": 0.95}}, "margin of 0 with confidence"),
    ({"no_worse_than": {**COMPARED, "margin_percent": 0, "confidence": 0.95}}, "margin_percent: a margin of 0"),
    ({"no_worse_than": {**COMPARED, "margin": 0.01, "anchor": False}}, "expected true"),
    ({"no_worse_than": {**COMPARED, "margin": 0.01, "anchor": "reference"}}, "{version: 3}"),
    ({"no_worse_than": {**COMPARED, "margin": 0.01, "anchor": {"version": 0}}}, "at least 1"),
    ({"no_worse_than": {**COMPARED, "margin": 0.01, "anchor": {}}}, "missing key 'version'"),
    ({"better_than": {**COMPARED, "by": 0.01, "anchor": True}}, "unknown key 'anchor'"),
    ({"better_than": {**METRIC, "baseline": {"version": 1.5}, "by": 0.01}}, "whole number"),
    ({"better_than": {**METRIC, "baseline": {"alias": "champion"}, "by": 0.01}}, "unknown key 'alias'"),
    ({"budget": {"alpha": 0.05, "looks": 30}}, "is no rule"),
    ({"confidence": 0.95}, "is no rule"),
    ({"at_least": {"metric": "ndcg@0", "value": 0.5}}, "unknown metric"),
    ({"at_least": {"metric": "max_error[late]", "value": 0.5}}, "unknown metric"),
    ({"every_slice": {"by": ["o"], "min_rows": 1, "rule": {"at_least": AT_LEAST}}}, "two different columns"),
    ({"every_slice": {"by": ["o", "o"], "min_rows": 1, "rule": {"at_least": AT_LEAST}}}, "two different columns"),
    ({"every_slice": {"by": ["o", 3], "min_rows": 1, "rule": {"at_least": AT_LEAST}}}, "line of text"),
    (
        {"every_slice": {"by": "o", "min_rows": 1, "rule": {"approval": {"role": "a", "expires_hours": 1}}}},
        "cannot be applied to one slice",
    ),
    ({"held_out": {"max_age_days": 0}}, "above 0"),
    ({"held_out": {"max_age": 30}}, "did you mean 'max_age_days'?"),
    ({"held_out": {"overlap_at_most": 1}}, "For 1 % write 0.01"),
    ({"held_out": {"overlap_at_most": -0.1}}, "at least 0"),
    ({"held_out": {"not_older_than_training": False}}, "expected true"),
    ({"requires": {"name": "*"}}, "fits every name"),
    ({"requires": {"name": ""}}, "line of text"),
    ({"requires": {"licence": "MIT"}}, "expected true"),
    ({"requires": {"load_test": False}}, "expected true"),
    ({"requires": {"max_latency_p95_ms": 0}}, "above 0"),
    ({"requires": {"max_peak_memory_mb": "512"}}, "without quotes"),
    ({"approval": {"role": "owner"}}, "missing key 'expires_hours'"),
    ({"approval": {"expires_hours": 3}}, "missing key 'role'"),
    ({"approval": {"role": "owner", "expires_hours": 0}}, "above 0"),
    ({"approval": {"role": "owner", "expires_hours": 3, "four_eyes": False}}, "expected true"),
    ({"approval": {"role": " ", "expires_hours": 3}}, "line of text"),
]
OWN = [{"better_than": {"baseline": "champion", "metric": "revenue", "by": 0}}]
NEGATIVE = {"at_least": {"metric": "revenue", "value": -1}}
TYPO = {"at_least": {"metric": "revenu", "value": 1}}
SOUND = [{"better_than": {**COMPARED, "by": 0, "confidence": 0.95}}]
MORE_REFUSED_POLICIES: list[tuple[dict[str, Any], str]] = [
    ({"confidence": 0.3, "rules": [{"at_least": AT_LEAST}]}, "below 0.5"),
    ({"confidence": 0.95, "rules": [{"held_out": {"min_rows": 3}}]}, "no rule is about a metric"),
    ({"confidence": 0.95, "rules": [{"at_least": {**AT_LEAST, "tolerance": 0.1}}]}, "nothing ties"),
    ({"confidence": 0.95, "rules": [{"no_worse_than": {**COMPARED, "margin": 0}}]}, "margin of 0"),
    ({"budget": {"alpha": 0.05, "looks": 30}, "rules": [{"better_than": {**COMPARED, "by": 0}}]}, "no confidence"),
    ({"budget": {"alpha": 0.05, "looks": 30}, "rules": [{"at_least": {**AT_LEAST, "confidence": 0.9}}]}, "to spend"),
    (
        {
            "budget": {"alpha": 0.05, "looks": 30},
            "rules": [*SOUND, {"any_of": [{"better_than": {**COMPARED, "by": 0}}]}],
        },
        "better_than of roc_auc has no confidence",
    ),
    ({"budget": {"alpha": 0.05}, "rules": SOUND}, "missing key 'looks'"),
    ({"budget": {"looks": 30}, "rules": SOUND}, "missing key 'alpha'"),
    ({"budget": {"alpha": 5, "looks": 30}, "rules": SOUND}, "For 5 % write 0.05"),
    ({"budget": {"alpha": 0, "looks": 30}, "rules": SOUND}, "above 0"),
    ({"budget": {"alpha": 0.6, "looks": 30}, "rules": SOUND}, "at most 0.5"),
    ({"budget": {"alpha": 0.05, "looks": 0}, "rules": SOUND}, "at least 1"),
    ({"budget": {"alpha": 0.05, "looks": 30, "spending": "alpha"}, "rules": SOUND}, "Known: fixed, lord"),
    ({"budget": {"alpha": 0.05, "looks": 30, "spending": "lord"}, "rules": SOUND}, "LORD has no last look"),
    ({"budget": None, "rules": SOUND}, "expected a mapping"),
    ({"metrics": {}, "rules": SOUND}, "Write revenue: {better: higher}"),
    ({"metrics": {"revenue": {"better": "up"}}, "rules": OWN}, "Known: higher, lower"),
    ({"metrics": {"revenue": {"better": "higher", "low": 0}}, "rules": OWN}, "unknown key 'low'"),
    ({"metrics": {"revenue": {"min": 2, "max": 1}}, "rules": OWN}, "is above max"),
    ({"metrics": {"revenue": {}}, "rules": OWN}, "no better direction"),
    ({"metrics": {"revenue": {"better": "higher"}}, "rules": SOUND}, "no rule is about this metric"),
    ({"metrics": {"accuracy": {"better": "higher"}}, "rules": OWN}, "every evaluation has a metric of this name"),
    ({"metrics": {"revenue": {"better": "higher", "min": 0}}, "rules": [NEGATIVE]}, "outside the range of 'revenue'"),
    ({"metrics": {"revenue": {"better": "higher"}}, "rules": [*OWN, TYPO]}, "did you mean 'revenue'?"),
    ({"rules": OWN}, "declared under metrics"),
]
# What `load_policy` refuses and JSON Schema cannot say; the module of the schema documents why.
BEYOND = (
    "outside the range",
    "[0, infinity)",
    "[-1, 1]",
    "unknown metric",  # a cut or a class that this metric does not have
    "is above max",
    "margin_percent: 1",
    "no better direction",
    "not exact as a double",
    "finite",
    "margin of 0",
    "nothing ties",
    "no rule is about a metric",
    "no confidence",
    "to spend",
    "no rule is about this metric",
    "every evaluation has a metric of this name",
    "did you mean 'revenue'?",  # where a policy declares any metric, the schema takes every name
)


def test_every_key_of_the_language_is_read_and_reads_back_equal(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(FULLER)
    policy = load_policy(path)

    assert policy.confidence == 0.95
    assert policy.budget == Budget(0.05, 30, Spending.FIXED)
    assert policy.rules == (
        NoWorseThan("champion", "roc_auc", 0.005, confidence=0.99, anchor=True),
        NoWorseThan(FixedVersion(3), "recall[late]", margin_percent=2.0, anchor=FixedVersion(1)),
        BetterThan("champion", "log_loss", 0.0),
        EverySlice(("origin", "carrier"), 500, AtLeast("recall_macro", 0.5)),
        HeldOut(100, True, 45.0, 0.001, True),
        Requires(
            name="on-*", licence=True, card=True, load_test=True, max_latency_p95_ms=20.0, max_peak_memory_mb=512.0
        ),
        Approval("release manager", 72.0, True),
    )
    again = GatePolicy.from_data(json.loads(json.dumps(policy.to_json())), policy.text)
    assert again == policy


def test_what_is_left_out_does_not_enter_the_digest() -> None:
    # Decisions made before these keys existed must replay under the digest they name.
    policy = GatePolicy("p", (AtLeast("f1", 0.5), NoWorseThan("champion", "f1", 0.1)))

    assert policy.to_json() == {
        "name": "p",
        "when_no_baseline": "block",
        "rules": [
            {"at_least": {"metric": "f1", "value": 0.5}},
            {"no_worse_than": {"baseline": "champion", "metric": "f1", "margin": 0.1}},
        ],
    }


@pytest.mark.parametrize(("rule", "problem"), MORE_REFUSED_RULES)
def test_a_rule_that_could_not_be_meant_is_refused(rule: object, problem: str) -> None:
    with pytest.raises(InvalidPolicy) as refused:
        load_policy({"name": "p", "rules": [rule]})

    assert problem in str(refused.value)
    assert "rules[0]" in str(refused.value)


@pytest.mark.parametrize(("data", "problem"), MORE_REFUSED_POLICIES)
def test_a_policy_that_could_not_be_meant_is_refused(data: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidPolicy) as refused:
        load_policy({"name": "p", **data})

    assert problem in str(refused.value)


# --- the published schema --------------------------------------------------------------------------------------------

VALIDATOR = jsonschema.Draft202012Validator(schema.policy_schema())


def test_the_published_schema_is_the_one_the_code_describes() -> None:
    published = Path(schema.__file__).with_name("schema.json").read_text(encoding="utf-8")

    # Otherwise: python -m penstock.policies.schema
    assert published == schema.schema_text()
    jsonschema.Draft202012Validator.check_schema(json.loads(published))


def test_the_schema_accepts_every_policy_of_the_truth_table_and_every_rule(tmp_path: Path) -> None:
    for text in (FULL, FULLER):
        path = tmp_path / "policy.yaml"
        path.write_text(text)
        assert VALIDATOR.is_valid(load_policy(path).to_json())
    for row in ROWS:
        problems = [error.message for error in VALIDATOR.iter_errors(policy_data_of(row))]
        assert problems == [], row["case"]


@settings(max_examples=60)
@given(st.one_of(POLICIES, confident_policies()))
def test_what_is_a_policy_fits_the_schema(policy: GatePolicy) -> None:
    assert VALIDATOR.is_valid(policy.to_json())


@settings(max_examples=60)
@given(POLICIES, st.randoms(use_true_random=False))
def test_what_the_schema_refuses_is_no_policy(policy: GatePolicy, chance: random.Random) -> None:
    """Spoil one place of a policy at random: where the schema sees it, so does loading."""
    data = policy.to_json()
    holders = [held for held in _mappings(data) if held]
    held = chance.choice(holders)
    key = chance.choice(sorted(held))
    held[key] = chance.choice([None, "", "x", True, -1, 0, 1.5, 1e9, [], {}, [1], {"metric": "f1"}])
    if not VALIDATOR.is_valid(data):
        with pytest.raises(InvalidPolicy):
            load_policy(data)


def _mappings(data: Any) -> Iterator[dict[str, Any]]:
    inner = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    if isinstance(data, dict):
        yield data
    for item in inner:
        yield from _mappings(item)


def _refused() -> list[tuple[Mapping[str, Any], str]]:
    rules = [({"name": "p", "rules": [rule]}, problem) for rule, problem in (*REFUSED_RULES, *MORE_REFUSED_RULES)]
    whole = [({"name": "p", **data}, problem) for data, problem in MORE_REFUSED_POLICIES]
    return [*rules, *whole, *REFUSED_POLICIES]


def test_the_schema_refuses_what_loading_refuses_but_for_what_is_documented() -> None:
    passed = [(data, problem) for data, problem in _refused() if VALIDATOR.is_valid(data)]

    assert [item for item in passed if not any(word in item[1] for word in BEYOND)] == []
    unused = [word for word in BEYOND if not any(word in problem for _, problem in passed)]
    assert unused == []
