"""Making rule outcomes: one undecidable, one from bounds, and many combined in Kleene's three-valued logic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from penstock.model.decisions import Outcome, RuleOutcome, Verdict
from penstock.services.deciding.bounds import Bound, Estimate, plain_number

WORDS = {Outcome.PASSED: "holds", Outcome.FAILED: "does not hold", Outcome.UNDECIDABLE: "cannot be decided"}
_VERDICTS = {
    Outcome.PASSED: Verdict.PASS,
    Outcome.FAILED: Verdict.FAIL,
    Outcome.UNDECIDABLE: Verdict.INCONCLUSIVE,
}


def all_hold(outcomes: Iterable[Outcome]) -> Outcome:
    """Kleene's *and*: one failure fails; else one doubt is doubt. Nothing at all is doubt, too."""
    found = set(outcomes)
    if Outcome.FAILED in found:
        return Outcome.FAILED
    return Outcome.PASSED if found == {Outcome.PASSED} else Outcome.UNDECIDABLE


def any_holds(outcomes: Iterable[Outcome]) -> Outcome:
    """Kleene's *or*: one pass passes; else one doubt is doubt. Nothing at all is doubt, too."""
    found = set(outcomes)
    if Outcome.PASSED in found:
        return Outcome.PASSED
    return Outcome.FAILED if found == {Outcome.FAILED} else Outcome.UNDECIDABLE


def verdict_of(outcomes: Iterable[RuleOutcome]) -> Verdict:
    """Any failed → FAIL; else any undecidable → INCONCLUSIVE; else PASS."""
    return _VERDICTS[all_hold(outcome.outcome for outcome in outcomes)]


def undecidable(
    rule: Mapping[str, Any], cause: str, reason: str, compared: Mapping[str, Any] | None = None
) -> RuleOutcome:
    """Return the outcome of a rule that cannot be answered."""
    return RuleOutcome(rule, Outcome.UNDECIDABLE, reason, cause, compared or {})


def settled(
    rule: Mapping[str, Any], holds: bool, reason: str, compared: Mapping[str, Any] | None = None
) -> RuleOutcome:
    """Return the outcome of a rule that was answered."""
    return RuleOutcome(rule, Outcome.PASSED if holds else Outcome.FAILED, reason, "", compared or {})


def bounded(
    rule: Mapping[str, Any], estimate: Estimate, bounds: Sequence[Bound], seen: Mapping[str, Any]
) -> RuleOutcome:
    """Return whether an estimate is inside all `bounds`; the sentence is about the nearest flip.

    What straddles a bound is undecidable with the cause `straddles` where an interval does, `within_error` where only
    the measurement's own error bound does.
    """
    judged = [bound.judge(estimate) for bound in bounds]
    outcome = all_hold(judgement.outcome for judgement in judged)
    # Outside, the flip is nearest at the bound that is missed; inside, at the bound that is closest.
    deciding = [judgement for judgement in judged if judgement.outcome is outcome]
    telling = min(deciding, key=lambda judgement: judgement.distance)
    compared = {
        **seen,
        **estimate.how,
        "bounds": [{"side": b.side.value, "value": plain_number(b.exact)} for b in bounds],
        "distance": plain_number(telling.distance),
    }
    reason = telling.sentence
    if outcome is Outcome.UNDECIDABLE:
        return undecidable(rule, "straddles" if "confidence" in estimate.how else "within_error", reason, compared)
    return settled(rule, outcome is Outcome.PASSED, reason, compared)


def combined(
    rule: Mapping[str, Any],
    outcome: Outcome,
    summary: str,
    parts: Sequence[RuleOutcome],
    compared: Mapping[str, Any] | None = None,
) -> RuleOutcome:
    """Return an outcome made of `parts`: it repeats the reasons, and where undecidable the cause, that led to it."""
    # Every outcome of Kleene's logic is the outcome of one of its parts, so there is always one that tells.
    telling = [part for part in parts if part.outcome is outcome]
    reasons = ", and ".join(part.reason for part in telling)
    return RuleOutcome(rule, outcome, f"{summary}: {reasons}", telling[0].cause, compared or {}, tuple(parts))
