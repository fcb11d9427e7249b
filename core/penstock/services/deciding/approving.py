"""The rule that asks a person: what an answer is worth now, for exactly what it was given for.

An approval is bound to the digest of everything that was shown (policy, measurements, candidate, champion). If any of
them has moved, or time has run out, it has lapsed: undecidable, so that the gate asks again.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from penstock.model.decisions import RuleOutcome
from penstock.model.gate_context import APPROVED, REJECTED, ApprovalGiven, GateContext
from penstock.model.policy_rules import Approval
from penstock.services.deciding.outcomes import settled, undecidable

_MS_PER_HOUR = 3_600_000


def judge_approval(rule: Approval, told: GateContext) -> RuleOutcome:
    """Return whether somebody in the role has approved what is decided about now.

    A rejection of the same things fails; it outweighs every approval. Otherwise one valid approval is enough, however
    many there are, and what the last invalid one lacked is the reason.
    """
    plain = rule.plain
    answers = [answer for answer in told.approvals if rule.role in answer.roles]
    seen: dict[str, Any] = {"role": rule.role, "four_eyes": rule.four_eyes, "binding": told.binding}
    if not answers:
        return undecidable(plain, "not_approved", f"nobody in the role {rule.role!r} has approved it yet", seen)
    if not told.binding:
        return undecidable(plain, "no_binding", "it is not known what an approval would hold for", seen)
    current = [answer for answer in answers if answer.binding == told.binding]
    if not current:
        reason = f"what {_names(answers)} answered for has changed since: policy, measurements, candidate or champion"
        return undecidable(plain, "approval_lapsed", reason, seen)
    for answer in current:
        if answer.verdict == REJECTED:
            reason = f"{_who(answer)} rejected it as {rule.role}" + (f": {answer.reason}" if answer.reason else "")
            return settled(plain, False, reason, {**seen, "approval_id": answer.approval_id})
    problem = ("", "")
    for answer in current:
        problem = _objection(rule, answer, told)
        if answer.verdict == APPROVED and problem == ("", ""):
            reason = f"{_who(answer)} approved it as {rule.role}" + (f": {answer.reason}" if answer.reason else "")
            return settled(plain, True, reason, {**seen, "approval_id": answer.approval_id})
    return undecidable(plain, *problem, seen)


def _objection(rule: Approval, answer: ApprovalGiven, told: GateContext) -> tuple[str, str]:
    if told.now_ms is None:
        return "no_time", "it is not known what time it is, so an approval may have run out"
    age = told.now_ms - answer.at_ms
    hours = Fraction(rule.expires_hours)
    if age >= hours * _MS_PER_HOUR or (answer.expires_ms is not None and told.now_ms >= answer.expires_ms):
        return (
            "approval_expired",
            f"the approval by {_who(answer)} has run out: it held for {rule.expires_hours:g} hours",
        )
    if not rule.four_eyes:
        return "", ""
    if not told.authors:
        return "no_author", "four eyes are asked for, and it is not known who made the candidate"
    if _folded(answer.subject) in {_folded(author) for author in told.authors}:
        return "author_approved", f"{_who(answer)} made the candidate, and four eyes are asked for: somebody else must"
    return "", ""


def _folded(subject: str) -> str:
    return subject.strip().casefold()


def _who(answer: ApprovalGiven) -> str:
    return answer.subject if answer.authenticated else f"{answer.subject} (asserted)"


def _names(answers: Sequence[ApprovalGiven]) -> str:
    return ", ".join(dict.fromkeys(_who(answer) for answer in answers))
