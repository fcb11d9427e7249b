"""The policy language as a JSON Schema (draft 2020-12), for editors: completion and red lines while one writes.

`schema.json` beside this file is what `policy_schema` returns. The schema is never stricter than `load_policy`. What it
cannot say, `load_policy` still refuses: a cut or a class that a metric does not have, thresholds outside a metric's
range, min above max, a margin that covers a metric's whole range, comparing a metric that has no better direction, a
margin of 0 under the policy's own confidence, a budget without a test to spend it on, numbers that no double holds, and
everything about the file itself (duplicate keys, tags, aliases).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from penstock.model.metrics import METRICS, Direction
from penstock.model.policies import Spending, WhenNoBaseline

Schema = dict[str, Any]

_TITLE = "Penstock gate policy"
_LINE = {"type": "string", "minLength": 1, "maxLength": 250, "pattern": r"\S"}
_COUNT = {"type": "integer", "minimum": 1, "maximum": 2**53}
_NUMBER = {"type": "number"}
_TRUE = {"const": True}
_PARAMETRIC = r"^([a-z0-9_]+[@_][0-9.]+|[a-z0-9_.@]+\[.+\]|best_threshold_.+|.+_at_best_threshold)$"


def policy_schema() -> Schema:
    """Return the schema of a whole policy."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": _TITLE,
        **_object(
            "What must hold before a model may be let in.",
            {
                "name": _LINE,
                "when_no_baseline": {
                    "enum": [stance.value for stance in WhenNoBaseline],
                    "default": WhenNoBaseline.BLOCK.value,
                    "description": "What comparisons say while there is no baseline yet.",
                },
                "confidence": {**_CONFIDENCE, "description": "For every rule about a metric that names none."},
                "budget": _budget(),
                "metrics": _own_metrics(),
                "rules": {"type": "array", "minItems": 1},
            },
            required=["name", "rules"],
        ),
        "if": {"required": ["metrics"]},
        "then": {"properties": {"rules": _list("Rules that must all hold.", {"$ref": "#/$defs/rule_of_own"})}},
        "else": {"properties": {"rules": _list("Rules that must all hold.", {"$ref": "#/$defs/rule"})}},
        "$defs": {
            **_rules("", _METRIC),
            **_rules("_of_own", {"anyOf": [_METRIC, _LINE]}),
            "metric": {
                "description": "A metric, also of a class (recall[cat]) or at a cut (ndcg@10).",
                "anyOf": [{"enum": sorted(METRICS)}, {"type": "string", "pattern": _PARAMETRIC}],
            },
            "version": _object("A fixed version.", {"version": _COUNT}, required=["version"]),
            "baseline": {
                "description": "An alias of the model, or a fixed version of it.",
                "anyOf": [
                    {
                        "type": "string",
                        "pattern": r"^[^\s/@:]+$",
                        "not": {"anyOf": [{"const": "latest"}, {"pattern": r"^v?[0-9]+$"}]},
                    },
                    {"$ref": "#/$defs/version"},
                ],
            },
        },
    }


def schema_text() -> str:
    """Return the schema as the file holds it."""
    return json.dumps(policy_schema(), indent=2, ensure_ascii=False) + "\n"


_CONFIDENCE: Schema = {
    "type": "number",
    "minimum": 0.5,
    "exclusiveMaximum": 1,
    "description": "The interval decides: each end is a one-sided bound at this confidence.",
}
_TOLERANCE: Schema = {
    "type": "number",
    "exclusiveMinimum": 0,
    "description": "How far from the bound still counts as a tie.",
}
_METRIC: Schema = {"$ref": "#/$defs/metric"}
_BASELINE: Schema = {"$ref": "#/$defs/baseline"}


def _rules(suffix: str, metric: Schema) -> dict[str, Schema]:
    """Return the rules, and those of one slice, about metrics that are written so."""
    rule, of_a_slice = f"rule{suffix}", f"rule_of_a_slice{suffix}"
    every_slice = {"$ref": f"#/$defs/{of_a_slice}"}
    return {
        rule: _rule(_metric_rules(metric) | _other_rules(every_slice), f"#/$defs/{rule}"),
        of_a_slice: _rule(_metric_rules(metric), f"#/$defs/{of_a_slice}"),
    }


def _own_metrics() -> Schema:
    shape = _object(
        "Which way is better, and the range it can take.",
        {"better": {"enum": [way.value for way in Direction]}, "min": _NUMBER, "max": _NUMBER},
    )
    return {
        "description": "Metrics of one's own that rules may name.",
        "type": "object",
        "minProperties": 1,
        "additionalProperties": shape,
    }


def _rule(leaves: Mapping[str, Schema], itself: str) -> Schema:
    members = _list("Rules, of which the name says how many must hold.", {"$ref": itself})
    return {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
        "properties": {**leaves, "any_of": members, "all_of": members},
    }


def _metric_rules(metric: Schema) -> dict[str, Schema]:
    return {
        "at_least": _of_metric(metric, "The metric is this value or more.", {"value": _NUMBER}, ["value"]),
        "at_most": _of_metric(metric, "The metric is this value or less.", {"value": _NUMBER}, ["value"]),
        "between": _of_metric(metric, "The metric is in [min, max].", {"min": _NUMBER, "max": _NUMBER}, ["min", "max"]),
        "no_worse_than": _compared(
            metric,
            "Worse than the baseline by no more than the margin.",
            "margin",
            {"margin": _amount(), "margin_percent": {**_amount(), "exclusiveMaximum": 100}},
            {"anchor": {"anyOf": [_TRUE, {"$ref": "#/$defs/version"}]}},
        ),
        "better_than": _compared(metric, "Better than the baseline by more than this.", "by", _by()),
        "not_suspiciously_better_than": _compared(
            metric, "Better than the baseline by no more than this: a larger jump smells of leakage.", "by", _by()
        ),
    }


def _other_rules(of_a_slice: Schema) -> dict[str, Schema]:
    columns = {"type": "array", "items": _LINE, "minItems": 2, "uniqueItems": True}
    return {
        "every_slice": _object(
            "The rule holds on every slice of a column, or of a cross of columns.",
            {
                "by": {"anyOf": [_LINE, columns]},
                "min_rows": _COUNT,
                "rule": of_a_slice,
            },
            required=["by", "min_rows", "rule"],
        ),
        "held_out": _object(
            "The data measured on is held-out data.",
            {
                "min_rows": _COUNT,
                "max_age_days": _positive("Age of its newest row."),
                "not_training_data": _TRUE,
                "overlap_at_most": {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
                "not_older_than_training": _TRUE,
            },
            minimum=1,
        ),
        "requires": _object(
            "What the model must bring or be.",
            {
                "signature": _TRUE,
                "input_example": _TRUE,
                "tags": {"type": "array", "items": _LINE, "minItems": 1, "uniqueItems": True},
                "name": {**_LINE, "description": "A pattern with * and ?.", "not": {"pattern": r"^[*?]+$"}},
                "licence": _TRUE,
                "card": _TRUE,
                "load_test": _TRUE,
                "max_size_mb": _positive("Of the files, in 10^6 bytes."),
                "max_latency_p95_ms": _positive("95th percentile of one prediction."),
                "max_peak_memory_mb": _positive("While predicting."),
            },
            minimum=1,
        ),
        "approval": _object(
            "A person in the role approves what was shown.",
            {"role": _LINE, "expires_hours": _positive("How long a yes holds."), "four_eyes": _TRUE},
            required=["role", "expires_hours"],
        ),
    }


def _budget() -> Schema:
    alpha = {"type": "number", "exclusiveMinimum": 0, "maximum": 0.5}
    fixed = {"properties": {"spending": {"const": Spending.FIXED.value}}, "required": ["looks"]}
    lord = {"properties": {"spending": {"const": Spending.LORD.value}, "looks": False}, "required": ["spending"]}
    spending = {"enum": [way.value for way in Spending], "default": Spending.FIXED.value}
    shape = _object(
        "The chance of any false promotion over all looks.",
        {"alpha": alpha, "looks": _COUNT, "spending": spending},
        required=["alpha"],
    )
    return {**shape, "oneOf": [fixed, lord]}


def _of_metric(metric: Schema, description: str, properties: Mapping[str, Schema], required: Sequence[str]) -> Schema:
    keys = {"metric": metric, **properties, "confidence": _CONFIDENCE, "tolerance": _TOLERANCE}
    shape = _object(description, keys, required=["metric", *required])
    return {**shape, "not": {"required": ["confidence", "tolerance"]}}


def _compared(
    metric: Schema,
    description: str,
    key: str,
    amounts: Mapping[str, Schema],
    more: Mapping[str, Schema] | None = None,
) -> Schema:
    shape = _of_metric(metric, description, {"baseline": _BASELINE, **amounts, **(more or {})}, ["baseline"])
    return {**shape, "oneOf": [{"required": [key]}, {"required": [f"{key}_percent"]}]}


def _by() -> dict[str, Schema]:
    return {"by": _amount(), "by_percent": _amount()}


def _amount() -> Schema:
    return {"type": "number", "minimum": 0}


def _positive(description: str) -> Schema:
    return {"type": "number", "exclusiveMinimum": 0, "description": description}


def _object(
    description: str, properties: Mapping[str, Schema], *, required: Sequence[str] = (), minimum: int = 0
) -> Schema:
    shape: Schema = {
        "description": description,
        "type": "object",
        "additionalProperties": False,
        "properties": dict(properties),
    }
    if required:
        shape["required"] = list(required)
    if minimum:
        shape["minProperties"] = minimum
    return shape


def _list(description: str, items: Schema) -> Schema:
    return {"description": description, "type": "array", "items": items, "minItems": 1}


if __name__ == "__main__":
    # After a change of the language or of the metrics: python -m penstock.policies.schema
    Path(__file__).with_name("schema.json").write_text(schema_text(), encoding="utf-8")
