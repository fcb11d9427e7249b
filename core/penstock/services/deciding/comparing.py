"""Rules about a metric: against a number, and against a baseline or an anchor measured on the same rows.

A comparison is a statement about the contrast candidate − k·baseline: an absolute margin has k = 1 and a limit of its
own, a percent margin of abs(baseline) has k = 1 ∓ m and the limit 0, the sign by the metric's direction and the
baseline's sign. Without confidence the same statement is made of the stored values, in exact rationals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any, NamedTuple

from penstock.errors import InvalidPolicy
from penstock.model.decisions import RuleOutcome
from penstock.model.evaluations import ANCHOR, BASELINE, BaselineRef
from penstock.model.metrics import Direction
from penstock.model.policies import WhenNoBaseline
from penstock.model.policy_rules import (
    AtLeast,
    AtMost,
    Between,
    Comparison,
    FixedVersion,
    MetricRule,
    NotSuspiciouslyBetterThan,
    NoWorseThan,
)
from penstock.services.deciding.bounds import Bound, Estimate, Exact, Side, nearest_double, show
from penstock.services.deciding.case import Case
from penstock.services.deciding.intervals import (
    Objection,
    Power,
    contrast_estimate,
    estimate_of,
    paired_of,
    power_of,
)
from penstock.services.deciding.outcomes import WORDS, all_hold, bounded, combined, settled, undecidable
from penstock.services.deciding.readings import Reading, Slice

# Shared by too many, the chance of error is less than a double can tell from none.
_NOTHING_LEFT = "there is no chance of error left"


def judge_absolute(rule: AtLeast | AtMost | Between, case: Case, slice: Slice) -> RuleOutcome:
    """Return whether the candidate's metric is inside the bounds that the policy writes."""
    plain, confidence = rule.plain, case.confidence_of(rule)
    reading = case.readings.candidate(rule.metric, slice)
    seen = _seen(rule, slice, reading)
    if not reading.usable:
        return undecidable(plain, reading.cause, reading.problem, seen)
    if confidence is not None and confidence >= 1:
        return undecidable(plain, "budget_spent", _NOTHING_LEFT, seen)
    estimate = estimate_of(reading, confidence)
    if isinstance(estimate, Objection):
        return undecidable(plain, estimate.cause, estimate.problem, seen)
    tie = rule.tolerance or 0.0
    if isinstance(rule, AtLeast):
        bounds = [Bound(Side.AT_LEAST, rule.value, tolerance=tie)]
    elif isinstance(rule, AtMost):
        bounds = [Bound(Side.AT_MOST, rule.value, tolerance=tie)]
    else:
        ends = ((Side.AT_LEAST, rule.min), (Side.AT_MOST, rule.max))
        bounds = [Bound(side, end, tolerance=tie) for side, end in ends]
    outcome = bounded(plain, estimate, bounds, seen)
    if confidence is None or outcome.cause != "straddles":
        return outcome
    return _with_power(outcome, power_of(reading, confidence))


def judge_comparison(rule: Comparison, case: Case, slice: Slice) -> RuleOutcome:
    """Return whether a comparison holds: against the baseline and, where it asks for one, against the anchor too."""
    plain = rule.plain
    candidate = case.readings.candidate(rule.metric, slice)
    seen = _seen(rule, slice, candidate)
    # The candidate's own number comes first: without it nothing passes, not even where no baseline is excused.
    if not candidate.usable:
        return undecidable(plain, candidate.cause, candidate.problem, seen)
    against = _against_baseline(rule, case, candidate, slice, seen)
    if not (isinstance(rule, NoWorseThan) and rule.anchor):
        return against
    if case.told.anchor is None and rule.anchor is True and against.compared.get("no_baseline"):
        return against  # before the first version there is nothing to drift away from
    parts = [against, _against_anchor(rule, case, candidate, slice, seen)]
    outcome = all_hold(part.outcome for part in parts)
    return combined(plain, outcome, f"against {rule.baseline} and the anchor it {WORDS[outcome]}", parts)


def _against_baseline(
    rule: Comparison, case: Case, candidate: Reading, slice: Slice, seen: Mapping[str, Any]
) -> RuleOutcome:
    plain, found = rule.plain, case.evaluation.baseline
    if found is None:
        reason = f"not comparable: {candidate.label} was measured without a baseline, not beside the {rule.baseline}"
        return undecidable(plain, "no_comparison", reason, seen)
    model = case.told.model or found.model
    fixed = isinstance(rule.baseline, FixedVersion)
    meant = found.version == rule.baseline.version if fixed else found.alias == rule.baseline  # type: ignore[union-attr]
    if not meant or found.model != model:
        other = f"{candidate.label} was compared with {_named(found)}, not with the {rule.baseline} of {model!r}"
        reason = f"not comparable: {other}"
        return undecidable(plain, "other_baseline", reason, seen)
    if found.version is None:
        return _without_baseline(rule, case, candidate, seen)
    outcome = _Comparing(rule, case, candidate, slice, BASELINE, str(rule.baseline), found).judge(plain, seen)
    if not found.payload_digest or found.payload_digest != case.evaluation.payload_digest:
        return outcome
    return replace(outcome, reason=f"{outcome.reason}; the candidate is the {rule.baseline} itself, byte for byte")


def _against_anchor(
    rule: NoWorseThan, case: Case, candidate: Reading, slice: Slice, seen: Mapping[str, Any]
) -> RuleOutcome:
    # The part's own rule carries no anchor: it is about one comparison, and reads as a rule of its own.
    anchored = rule.anchor if isinstance(rule.anchor, FixedVersion) else None
    wanted = anchored.version if anchored else case.told.anchor.version if case.told.anchor else None
    plain = {"no_worse_than": {**rule.plain["no_worse_than"], "baseline": {"version": wanted}}}
    plain["no_worse_than"].pop("anchor")
    if wanted is None:
        reason = f"{candidate.label} must hold against an anchor, and the model has none: a person sets it"
        return undecidable(rule.plain, "no_anchor", reason, seen)
    name, baseline = f"anchor (version {wanted})", case.evaluation.baseline
    if baseline is not None and baseline.version == wanted:
        return _Comparing(rule, case, candidate, slice, BASELINE, name, baseline).judge(plain, seen)
    found = case.evaluation.anchor
    if found is None:
        reason = f"{candidate.label} was measured without the {name}: evaluate with anchor="
        return undecidable(plain, "no_anchor_measured", reason, seen)
    if found.version != wanted or found.model != (case.told.model or found.model):
        reason = f"{candidate.label} was held against {_named(found)}, not against the {name}"
        return undecidable(plain, "other_anchor", reason, seen)
    return _Comparing(rule, case, candidate, slice, ANCHOR, name, found).judge(plain, seen)


def _without_baseline(rule: Comparison, case: Case, candidate: Reading, seen: Mapping[str, Any]) -> RuleOutcome:
    stance = case.policy.when_no_baseline
    seen = {**seen, "no_baseline": True, "when_no_baseline": stance.value}
    shown = f"{candidate.label} is {candidate.value:.6g}, and there is no {rule.baseline} yet to compare it with"
    if stance is WhenNoBaseline.PASS:
        return settled(rule.plain, True, f"{shown}: the policy lets that pass", seen)
    consequence = "asks a person" if stance is WhenNoBaseline.ASK else "blocks"
    return undecidable(rule.plain, "no_baseline", f"{shown}: the policy {consequence}", seen)


class _Comparing(NamedTuple):
    """A usable candidate against one other model, `of` the evaluation, known by `name`."""

    rule: Comparison
    case: Case
    candidate: Reading
    slice: Slice
    of: str
    name: str
    ref: BaselineRef

    def judge(self, plain: Mapping[str, Any], seen: Mapping[str, Any]) -> RuleOutcome:
        """Return the outcome, `plain` being the rule it is recorded under and `seen` what is known of the candidate."""
        rule = self.rule
        baseline = self.case.readings.baseline(rule.metric, self.slice, self.name, self.of)
        champion = {**baseline.compared, "alias": self.ref.alias or self.name, "version": self.ref.version}
        seen = {**seen, "baseline": champion}
        prefix = "anchor" if self.of == ANCHOR else "baseline"
        if not baseline.usable:
            return undecidable(plain, f"{prefix}_{baseline.cause}", baseline.problem, seen)
        if rule.in_percent and baseline.value == 0:
            reason = f"{baseline.label} is 0, and a percent margin of 0 says nothing"
            return undecidable(plain, "zero_baseline", reason, seen)
        confidence = self.case.confidence_of(rule)
        if confidence is None:
            estimate = self._plain_estimate(baseline)
            if isinstance(estimate, Objection):
                return undecidable(plain, estimate.cause, estimate.problem, seen)
            return bounded(plain, estimate, [self._bound(baseline.value)], seen)
        if confidence >= 1:
            share = self.case.share
            problem = share.problem if share is not None else _NOTHING_LEFT
            return undecidable(plain, share.cause if share and share.cause else "budget_spent", problem, seen)
        return self._statistical(plain, baseline, confidence, seen)

    def _statistical(
        self, plain: Mapping[str, Any], baseline: Reading, confidence: float, seen: Mapping[str, Any]
    ) -> RuleOutcome:
        factor, limit = self._contrast(baseline.value)
        pair = "paired_anchor" if self.of == ANCHOR else "paired"
        estimate = contrast_estimate(self.candidate, baseline, factor, confidence, pair)
        if isinstance(estimate, Objection):
            return undecidable(plain, estimate.cause, estimate.problem, seen)
        outcome = bounded(plain, estimate, [Bound(self._side, limit)], {**seen, "factor": nearest_double(factor)})
        paired = paired_of(self.candidate, baseline, pair)
        if outcome.cause != "straddles" or isinstance(paired, Objection):
            return outcome
        aim = nearest_double(self._amount(baseline.value)) if isinstance(self.rule, NoWorseThan) else None
        power = power_of(self.candidate, confidence, paired=paired, factor=nearest_double(factor), aim=aim)
        return _with_power(outcome, power)

    def _plain_estimate(self, baseline: Reading) -> Estimate | Objection:
        """Return the candidate's value, give or take its own error and the baseline's, carried to it."""
        ours, theirs = estimate_of(self.candidate, None), estimate_of(baseline, None)
        if isinstance(ours, Objection):
            return ours
        if isinstance(theirs, Objection):
            return theirs
        factor, _ = self._contrast(baseline.value)
        error = abs(Fraction(factor)) * (Fraction(theirs.upper) - Fraction(theirs.lower)) / 2
        if not error:
            return ours
        lower, upper = Fraction(ours.lower) - error, Fraction(ours.upper) + error
        how = {**ours.how, "error_bound": float((upper - lower) / 2)}
        how["interval"] = {"lower": float(lower), "upper": float(upper)}
        words = f"give or take {how['error_bound']:.4g}"
        return Estimate(ours.label, ours.value, lower, upper, how, words)

    @property
    def _higher_is_better(self) -> bool:
        metric = self.case.policy.find_metric(self.rule.metric)
        if metric is None or metric.better is None:
            raise InvalidPolicy(self.rule.metric, "has no better direction, so it cannot be compared with a baseline")
        return metric.better is Direction.HIGHER

    @property
    def _upwards(self) -> bool:
        """Whether the bound lies above the baseline: a margin loosens towards worse, the others go towards better."""
        return self._higher_is_better is not isinstance(self.rule, NoWorseThan)

    @property
    def _side(self) -> Side:
        if isinstance(self.rule, NoWorseThan):
            return Side.AT_LEAST if self._higher_is_better else Side.AT_MOST
        if isinstance(self.rule, NotSuspiciouslyBetterThan):
            return Side.AT_MOST if self._higher_is_better else Side.AT_LEAST
        return Side.ABOVE if self._higher_is_better else Side.BELOW

    def _amount(self, baseline: float) -> Exact:
        amount = self.rule.amount
        return Fraction(amount) * abs(Fraction(baseline)) / 100 if self.rule.in_percent else amount

    def _contrast(self, baseline: float) -> tuple[Exact, Exact]:
        """Return k and the limit of candidate − k·baseline."""
        amount, upwards = self.rule.amount, self._upwards
        if not self.rule.in_percent:
            return 1.0, amount if upwards else -amount
        return 1 + Fraction(amount) / (100 if upwards is (baseline > 0) else -100), 0.0

    def _bound(self, baseline: float) -> Bound:
        """Return where the candidate's value must be."""
        amount = Fraction(self._amount(baseline))
        exact = Fraction(baseline) + (amount if self._upwards else -amount)
        origin = f"{self.name}'s {show(baseline, nearest_double(exact))}"
        if amount:
            word = "plus" if self._upwards else "less"
            origin += f" {word} {self.rule.amount:g}{' %' if self.rule.in_percent else ''}"
        return Bound(self._side, exact, origin, self.rule.tolerance or 0.0)


def _with_power(outcome: RuleOutcome, power: Power | None) -> RuleOutcome:
    """Return an undecidable outcome with the power statement, which annotates and never overrules."""
    if power is None:
        return outcome
    compared = {**outcome.compared, "power": power.to_json()}
    return replace(outcome, reason=f"{outcome.reason}; {power}", compared=compared)


def _seen(rule: MetricRule, slice: Slice, candidate: Reading) -> dict[str, Any]:
    return {"metric": rule.metric, "slice": dict(slice), "candidate": dict(candidate.compared)}


def _named(found: BaselineRef) -> str:
    return repr(found.declared or found.alias)
