"""Rules about what is not a metric: the data measured on, and what the model brings with it.

Each demand of such a rule becomes a part of its own, so that the record shows which of them held. A fact nobody
recorded is undecidable, not false: it may be there, but the gate cannot know.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from fractions import Fraction
from typing import Any

from penstock.model.data import Dataset
from penstock.model.decisions import RuleOutcome
from penstock.model.policy_rules import HeldOut, Requires, Rule
from penstock.services.deciding.outcomes import WORDS, all_hold, combined, settled, undecidable

_BYTES_PER_MB = 1_000_000


def held_out(rule: HeldOut, dataset: Dataset, context: Mapping[str, Any]) -> RuleOutcome:
    """Return whether the data measured on is held-out data, large enough and not the training data."""
    parts = [_role(rule, dataset)]
    if rule.min_rows is not None:
        parts.append(_rows(rule.min_rows, dataset))
    if rule.not_training_data:
        parts.append(_not_training_data(dataset, context))
    return _all(rule, f"held_out (data {dataset.name!r})", parts)


def _role(rule: HeldOut, dataset: Dataset) -> RuleOutcome:
    seen = {"role": dataset.role}
    return settled(rule.to_json(), dataset.role == "held-out", f"its role is {dataset.role!r}", seen)


def _rows(min_rows: int, dataset: Dataset) -> RuleOutcome:
    demand, seen = {"held_out": {"min_rows": min_rows}}, {"rows": dataset.rows, "min_rows": min_rows}
    if dataset.rows >= min_rows:
        return settled(demand, True, f"it has {dataset.rows} rows, at least {min_rows}", seen)
    # Too few rows show nothing about the model, good or bad.
    reason = f"it has {dataset.rows} rows but needs {min_rows}: {min_rows - dataset.rows} too few"
    return undecidable(demand, "too_few_rows", reason, seen)


def _not_training_data(dataset: Dataset, context: Mapping[str, Any]) -> RuleOutcome:
    demand = {"held_out": {"not_training_data": True}}
    trained_on = sorted({d for d in _collection(context.get("training_digests")) or () if isinstance(d, str) and d})
    seen = {"digest": dataset.digest, "training_digests": trained_on}
    if not dataset.digest:
        return undecidable(demand, "no_digest", "it has no digest to compare with the training data's", seen)
    if dataset.digest in trained_on:
        return settled(demand, False, f"it is the training data (digest {dataset.digest[:12]})", seen)
    if not trained_on:
        return undecidable(demand, "no_training_digest", "no training data is on record to compare it with", seen)
    return settled(demand, True, "it is not the training data", seen)


def requires(rule: Requires, facts: Mapping[str, Any], context: Mapping[str, Any]) -> RuleOutcome:
    """Return whether the model brings what the policy asks for."""
    parts = []
    if rule.signature:
        parts.append(_present("signature", "a signature", facts))
    if rule.input_example:
        parts.append(_present("input_example", "an input example", facts))
    parts.extend(_tag(name, facts, context) for name in rule.tags)
    if rule.max_size_mb is not None:
        parts.append(_size(rule.max_size_mb, facts))
    return _all(rule, "requires", parts)


def _present(fact: str, named: str, facts: Mapping[str, Any]) -> RuleOutcome:
    demand = {"requires": {fact: True}}
    if fact not in facts:
        return undecidable(demand, "missing", f"it is not recorded whether the model has {named}", {fact: None})
    has = bool(facts[fact])
    return settled(demand, has, f"the model has {named}" if has else f"the model does not have {named}", {fact: has})


def _tag(name: str, facts: Mapping[str, Any], context: Mapping[str, Any]) -> RuleOutcome:
    demand = {"requires": {"tags": [name]}}
    known = [tags for given in (facts, context) if (tags := _collection(given.get("tags"))) is not None]
    if not known:
        return undecidable(demand, "missing", f"the model's tags are not recorded, so tag {name!r} is unknown")
    # Tags come as a mapping or as bare names; an empty value says as little as no tag.
    has = any(name in tags and not (isinstance(tags, Mapping) and tags[name] in ("", None)) for tags in known)
    return settled(demand, has, f"the model has {'' if has else 'no '}tag {name!r}", {"tag": name, "present": has})


def _size(max_size_mb: float, facts: Mapping[str, Any]) -> RuleOutcome:
    demand, size = {"requires": {"max_size_mb": max_size_mb}}, facts.get("size_bytes")
    if isinstance(size, bool) or not isinstance(size, int | float) or not math.isfinite(size) or size < 0:
        return undecidable(demand, "missing", "the model's size is not recorded", {"size_bytes": None})
    limit = Fraction(max_size_mb) * _BYTES_PER_MB
    seen = {"size_bytes": size, "max_size_mb": max_size_mb}
    held = f"the model has {size} bytes and may have {float(limit):.12g}"
    if Fraction(size) <= limit:
        return settled(demand, True, held, seen)
    return settled(demand, False, f"{held}: {float(Fraction(size) - limit):.12g} too many", seen)


def _all(rule: Rule, what: str, parts: list[RuleOutcome]) -> RuleOutcome:
    outcome = all_hold(part.outcome for part in parts)
    return combined(rule.to_json(), outcome, f"{what} {WORDS[outcome]}", parts)


def _collection(value: object) -> Collection[Any] | None:
    return value if isinstance(value, Collection) and not isinstance(value, str | bytes) else None
