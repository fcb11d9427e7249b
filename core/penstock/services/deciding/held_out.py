"""The rule about the data measured on: held-out data, enough of it, fresh, and apart from what was trained on.

Each demand becomes a part of its own in the record. What nobody recorded is undecidable.
"""

from __future__ import annotations

import math
from fractions import Fraction

from penstock.model.data import Dataset
from penstock.model.decisions import RuleOutcome
from penstock.model.gate_context import GateContext
from penstock.model.policy_rules import HeldOut
from penstock.services.deciding.outcomes import WORDS, all_hold, combined, settled, undecidable

_MS_PER_DAY = 86_400_000


def judge_held_out(rule: HeldOut, dataset: Dataset, told: GateContext) -> RuleOutcome:
    """Return whether the data measured on is held-out data as the policy asks for."""
    parts = [_role(rule, dataset)]
    if rule.min_rows is not None:
        parts.append(_rows(rule.min_rows, dataset))
    if rule.not_training_data:
        parts.append(_not_training_data(dataset, told))
    if rule.max_age_days is not None:
        parts.append(_age(rule.max_age_days, told))
    if rule.overlap_at_most is not None:
        parts.append(_overlap(rule.overlap_at_most, told))
    if rule.not_older_than_training:
        parts.append(_not_older(told))
    outcome = all_hold(part.outcome for part in parts)
    return combined(rule.plain, outcome, f"held_out (data {dataset.name!r}) {WORDS[outcome]}", parts)


def _role(rule: HeldOut, dataset: Dataset) -> RuleOutcome:
    seen = {"role": dataset.role}
    return settled(rule.plain, dataset.role == "held-out", f"its role is {dataset.role!r}", seen)


def _rows(min_rows: int, dataset: Dataset) -> RuleOutcome:
    demand, seen = {"held_out": {"min_rows": min_rows}}, {"rows": dataset.rows, "min_rows": min_rows}
    if dataset.rows >= min_rows:
        return settled(demand, True, f"it has {dataset.rows} rows, at least {min_rows}", seen)
    # Too few rows show nothing about the model, good or bad.
    reason = f"it has {dataset.rows} rows but needs {min_rows}: {min_rows - dataset.rows} too few"
    return undecidable(demand, "too_few_rows", reason, seen)


def _not_training_data(dataset: Dataset, told: GateContext) -> RuleOutcome:
    demand = {"held_out": {"not_training_data": True}}
    trained_on = sorted({digest for digest in told.training_digests if digest})
    seen = {"digest": dataset.digest, "training_digests": trained_on}
    if not dataset.digest:
        return undecidable(demand, "no_digest", "it has no digest to compare with the training data's", seen)
    if dataset.digest in trained_on:
        return settled(demand, False, f"it is the training data (digest {dataset.digest[:12]})", seen)
    if not trained_on:
        return undecidable(demand, "no_training_digest", "no training data is on record to compare it with", seen)
    return settled(demand, True, "it is not the training data", seen)


def _age(max_age_days: float, told: GateContext) -> RuleOutcome:
    demand = {"held_out": {"max_age_days": max_age_days}}
    if told.now_ms is None or told.data_times is None:
        what = "what time it is" if told.now_ms is None else "when its rows happened (name a time column)"
        return undecidable(demand, "no_time", f"it is not known {what}, so its age is unknown")
    age_ms = told.now_ms - told.data_times.last_ms
    limit_ms = Fraction(max_age_days) * _MS_PER_DAY
    days = age_ms / _MS_PER_DAY
    seen = {"age_days": days, "max_age_days": max_age_days}
    if age_ms < 0:
        return undecidable(demand, "from_the_future", f"its newest row is {-days:.4g} days ahead of the clock", seen)
    held = f"its newest row is {days:.6g} days old and may be {max_age_days:g}"
    if age_ms <= limit_ms:
        return settled(demand, True, held, seen)
    return settled(demand, False, f"{held}: {float((age_ms - limit_ms) / _MS_PER_DAY):.4g} too many", seen)


def _overlap(at_most: float, told: GateContext) -> RuleOutcome:
    demand, found = {"held_out": {"overlap_at_most": at_most}}, told.training_overlap
    if found is None:
        return undecidable(demand, "no_overlap", "it was not looked for training rows in it")
    seen = {**found.__dict__, "overlap_at_most": at_most}
    known = (found.share, found.at_most, found.miss_probability)
    if not all(math.isfinite(share) and 0 <= share <= 1 for share in known) or found.at_most < found.share:
        return undecidable(demand, "bad_statistics", f"its overlap with training is {found!r}, which cannot be", seen)
    shown = f"{found.share:.4g} of its rows were trained on (at most {found.at_most:.4g}), and {at_most:g} may be"
    if found.at_most <= at_most:
        return settled(demand, True, shown, seen)
    if found.share > at_most:
        return settled(demand, False, f"{shown}: {found.share - at_most:.4g} too many", seen)
    return undecidable(demand, "straddles", f"{shown}: too few rows were compared to tell", seen)


def _not_older(told: GateContext) -> RuleOutcome:
    demand = {"held_out": {"not_older_than_training": True}}
    ours, trained = told.data_times, told.training_times
    if ours is None or trained is None:
        which = "its rows" if ours is None else "the training rows"
        return undecidable(demand, "no_time", f"it is not known when {which} happened (name a time column)")
    seen = {"first_ms": ours.first_ms, "training_last_ms": trained.last_ms}
    behind = (trained.last_ms - ours.first_ms) / _MS_PER_DAY
    if behind <= 0:
        return settled(demand, True, "it begins when the training data ends, or later", seen)
    return settled(demand, False, f"it begins {behind:.4g} days before the training data ends", seen)
