"""The rule about what the model brings with it: each demand becomes a part of its own in the record.

A fact nobody recorded is undecidable, not false: it may be there, but the gate cannot know.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Any, TypeGuard

from penstock.model.decisions import RuleOutcome
from penstock.model.gate_context import GateContext
from penstock.model.policy_rules import Requires
from penstock.services.deciding.bounds import nearest_double
from penstock.services.deciding.outcomes import WORDS, all_hold, combined, settled, undecidable

_BYTES_PER_MB = 1_000_000
_LICENCE_TAGS = ("licence", "license")
Facts = Mapping[str, Any]


def judge_requires(rule: Requires, facts: Facts, told: GateContext) -> RuleOutcome:
    """Return whether the model brings what the policy asks for; what was measured outweighs what the gate was told."""
    known = {**told.facts, **facts}
    tags = [tags for given in (facts.get("tags"), told.tags) if (tags := _collection(given)) is not None]
    parts = []
    if rule.signature:
        parts.append(_present("signature", "a signature", known))
    if rule.input_example:
        parts.append(_present("input_example", "an input example", known))
    parts.extend(_tag(name, tags) for name in rule.tags)
    if rule.name is not None:
        parts.append(_name(rule.name, told.model))
    if rule.licence:
        parts.append(_stated("licence", "a licence", known, tags, _LICENCE_TAGS))
    if rule.card:
        parts.append(_stated("card", "a model card", known, tags, ("card",)))
    if rule.load_test:
        parts.append(_load_test(known))
    if rule.max_size_mb is not None:
        parts.append(_size(rule.max_size_mb, known))
    if rule.max_latency_p95_ms is not None:
        parts.append(_limit("max_latency_p95_ms", rule.max_latency_p95_ms, "latency_p95_ms", "ms at p95", known))
    if rule.max_peak_memory_mb is not None:
        parts.append(_limit("max_peak_memory_mb", rule.max_peak_memory_mb, "peak_memory_mb", "MB of memory", known))
    outcome = all_hold(part.outcome for part in parts)
    return combined(rule.plain, outcome, f"requires {WORDS[outcome]}", parts)


def _present(fact: str, named: str, facts: Facts) -> RuleOutcome:
    demand = {"requires": {fact: True}}
    if fact not in facts:
        return undecidable(demand, "missing", f"it is not recorded whether the model has {named}", {fact: None})
    has = bool(facts[fact])
    return settled(demand, has, f"the model has {named}" if has else f"the model does not have {named}", {fact: has})


def _tag(name: str, known: list[Collection[Any]]) -> RuleOutcome:
    demand = {"requires": {"tags": [name]}}
    if not known:
        return undecidable(demand, "missing", f"the model's tags are not recorded, so tag {name!r} is unknown")
    has = _carries(name, known)
    return settled(demand, has, f"the model has {'' if has else 'no '}tag {name!r}", {"tag": name, "present": has})


def _carries(name: str, known: list[Collection[Any]]) -> bool:
    # Tags come as a mapping or as bare names; an empty value says as little as no tag.
    return any(name in tags and not (isinstance(tags, Mapping) and tags[name] in ("", None)) for tags in known)


def _stated(fact: str, named: str, facts: Facts, tags: list[Collection[Any]], names: tuple[str, ...]) -> RuleOutcome:
    """A fact of that name, or else a tag that is not empty."""
    if fact in facts or not tags:
        return _present(fact, named, facts)
    has = any(_carries(name, tags) for name in names)
    shown = f"the model has {named}, by its tags" if has else f"the model has neither {named} nor a tag that states one"
    return settled({"requires": {fact: True}}, has, shown, {fact: has})


def _name(pattern: str, model: str) -> RuleOutcome:
    demand, seen = {"requires": {"name": pattern}}, {"model": model}
    if not model:
        return undecidable(
            demand, "missing", f"it is not known which model it is, so {pattern!r} cannot be asked", seen
        )
    fits = fnmatchcase(model, pattern)
    return settled(demand, fits, f"the name {model!r} {'fits' if fits else 'does not fit'} {pattern!r}", seen)


def _load_test(facts: Facts) -> RuleOutcome:
    demand, test = {"requires": {"load_test": True}}, facts.get("load_test")
    passed = test.get("passed") if isinstance(test, Mapping) else test
    if not isinstance(passed, bool):
        reason = "it was not tried whether the model loads and predicts in a clean process"
        return undecidable(demand, "missing", reason, {"load_test": None})
    why = test.get("problem", "") if isinstance(test, Mapping) else ""
    shown = "the model loads and predicts in a clean process"
    if not passed:
        shown = "the model does not load and predict in a clean process" + (f": {why}" if why else "")
    return settled(demand, passed, shown, {"load_test": passed})


def _size(max_size_mb: float, facts: Facts) -> RuleOutcome:
    demand, size = {"requires": {"max_size_mb": max_size_mb}}, facts.get("size_bytes")
    if not _is_amount(size):
        return undecidable(demand, "missing", "the model's size is not recorded", {"size_bytes": None})
    limit = Fraction(max_size_mb) * _BYTES_PER_MB
    seen = {"size_bytes": size, "max_size_mb": max_size_mb}
    held = f"the model has {size} bytes and may have {nearest_double(limit):.12g}"
    if Fraction(size) <= limit:
        return settled(demand, True, held, seen)
    return settled(demand, False, f"{held}: {nearest_double(Fraction(size) - limit):.12g} too many", seen)


def _limit(key: str, limit: float, fact: str, unit: str, facts: Facts) -> RuleOutcome:
    demand, found = {"requires": {key: limit}}, facts.get(fact)
    if not _is_amount(found):
        return undecidable(demand, "missing", f"{fact} is not recorded", {fact: None})
    seen, held = {fact: found, key: limit}, f"the model takes {found:g} {unit} and may take {limit:g}"
    if Fraction(found) <= Fraction(limit):
        return settled(demand, True, held, seen)
    return settled(demand, False, f"{held}: {nearest_double(Fraction(found) - Fraction(limit)):.4g} too much", seen)


def _is_amount(value: Any) -> TypeGuard[int | float]:
    return not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value) and value >= 0


def _collection(value: object) -> Collection[Any] | None:
    return value if isinstance(value, Collection) and not isinstance(value, str | bytes) else None
