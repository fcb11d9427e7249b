"""Making rule outcomes: one undecidable, one from bounds, and many combined in Kleene's three-valued logic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from penstock.model.decisions import Outcome, RuleOutcome, Verdict
from penstock.services.deciding.bounds import Bound, plain_number
from penstock.services.deciding.readings import Reading

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


def bounded(rule: Mapping[str, Any], reading: Reading, bounds: Sequence[Bound], seen: Mapping[str, Any]) -> RuleOutcome:
    """Return whether a usable reading is inside all `bounds`; the sentence is about the nearest flip."""
    broken = [bound for bound in bounds if not bound.admits(reading.value)]
    # Outside, the flip is nearest at the bound that is missed; inside, at the bound that is closest.
    telling = min(broken or bounds, key=lambda bound: bound.distance(reading.value))
    compared = {
        **seen,
        "bounds": [{"side": b.side.value, "value": plain_number(b.exact)} for b in bounds],
        "distance": plain_number(telling.distance(reading.value)),
    }
    return settled(rule, not broken, telling.sentence(reading.label, reading.value), compared)


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
