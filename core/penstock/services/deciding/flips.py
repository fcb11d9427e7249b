"""The nearest flip: the smallest change found that turns a verdict, tried out before it is told.

Two kinds of change are looked for. A *measured* one says what the candidate would have had to show; it exists where the
stored value decides. A *policy* one says which number of the policy would have had to be another; where an interval
decides it is the only one, for nobody can say what other rows would have shown. Every flip returned has been applied
and decided, so what it says is so.
"""

from __future__ import annotations

import copy
import math
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from penstock.errors import InvalidPolicy
from penstock.model.decisions import GateDecision, Outcome, Verdict
from penstock.model.evaluations import CANDIDATE, Evaluation
from penstock.model.policies import GatePolicy
from penstock.model.policy_rules import AllOf, AnyOf, Between, EverySlice, HeldOut, MetricRule, Requires, Rule
from penstock.services.deciding.bounds import show
from penstock.services.deciding.case import Case
from penstock.services.deciding.decide import Context, case_of, decide, judge
from penstock.services.deciding.readings import Readings, Slice

_MOST = 1.7976931348623157e308
_SUREST = 1 - 2**-20
_COARSE = 2**22  # of the 2**52 doubles between two powers of two
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Change:
    """One number that would have to be another: of the policy (`path`), or measured (`metric` on `slice`)."""

    before: float
    after: float
    path: Path = ()
    metric: str = ""
    slice: tuple[tuple[str, str], ...] = ()

    @property
    def what(self) -> str:
        """What the number is, in words."""
        if self.metric:
            return self.metric + "".join(f" on {column}={value}" for column, value in self.slice)
        return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path)[1:]

    @property
    def size(self) -> float:
        """How large the change is, relative to the number: what the nearest flip is nearest by."""
        return abs(self.after - self.before) / max(abs(self.before), abs(self.after), 1e-300)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        where = {"metric": self.metric, "slice": dict(self.slice)} if self.metric else {"path": list(self.path)}
        return {**where, "before": self.before, "after": self.after}

    def __str__(self) -> str:
        return f"{self.what} were {_told(self.after, self.before)} instead of {_told(self.before, self.after)}"


@dataclass(frozen=True)
class Flip:
    """The changes after which the verdict is another, and which."""

    verdict: Verdict
    changes: tuple[Change, ...]

    def apply(self, policy: GatePolicy, evaluation: Evaluation) -> tuple[GatePolicy, Evaluation]:
        """Return policy and evaluation with the changes made."""
        return _applied(self.changes, policy, evaluation)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {"verdict": self.verdict.value, "changes": [change.to_json() for change in self.changes]}

    def __str__(self) -> str:
        return f"{self.verdict.value} if " + ", and ".join(str(change) for change in self.changes)


def nearest_flip(policy: GatePolicy, evaluation: Evaluation, context: Context = None) -> Flip | None:
    """Return the nearest flip found: from PASS to another verdict, or from another verdict to PASS.

    None where no number that is there could be another and turn it: a missing measurement, a person's answer, training
    data that is the held-out data.
    """
    before, _ = decide(policy, evaluation, context)
    case = case_of(policy, evaluation, context)
    found = []
    for proposed in _proposals(case, wanted=before is not Verdict.PASS):
        try:
            after, _ = decide(*_applied(proposed, policy, evaluation), context)
        except InvalidPolicy:
            continue
        if proposed and (after is Verdict.PASS) is not (before is Verdict.PASS):
            found.append(Flip(after, tuple(proposed)))
    # What the candidate would have to show comes before what the policy would have to say.
    return min(found, key=lambda flip: (any(c.path for c in flip.changes), _size(flip.changes)), default=None)


def flip_of(decision: GateDecision) -> Flip | None:
    """Return the nearest flip of a decision, from its own record; None where that holds no inputs."""
    if not decision.inputs:
        return None
    policy = GatePolicy.from_data(decision.inputs["policy"], decision.policy_text)
    return nearest_flip(policy, Evaluation.from_json(decision.inputs["evaluation"]), decision.inputs["context"])


def told_of(decision: GateDecision) -> str:
    """Say the nearest flip of a decision in a sentence."""
    flip = flip_of(decision)
    return "No number that is there would turn this verdict." if flip is None else f"It would be {flip}."


def _proposals(case: Case, wanted: bool) -> Iterator[list[Change]]:
    for search in (_Search(case, measured=True, wanted=wanted), _Search(case, measured=False, wanted=wanted)):
        per_rule = [
            search.changes(rule, case, ("rules", index), {}, lambda inner: inner)
            for index, rule in enumerate(case.policy.rules)
        ]
        if not wanted:
            yield from (_merged(changes) for changes in per_rule if changes)
        elif all(changes is not None for changes in per_rule):
            yield _merged([change for changes in per_rule for change in changes or ()])


@dataclass(frozen=True)
class _Search:
    """Looking for changes after which a rule passes (`wanted`) or no longer does."""

    case: Case
    measured: bool
    wanted: bool

    def changes(
        self, rule: Rule, case: Case, path: Path, slice: Slice, whole: Callable[[Rule], Rule]
    ) -> list[Change] | None:
        """Return the changes after which `whole(rule)` is as wanted; None where there are none to find.

        `whole` is what is judged where a rule holds on every slice together.
        """
        if self._is_wanted(whole(rule), case, slice):
            return []
        inside = (*path, rule.keyword)
        if isinstance(rule, AllOf | AnyOf):
            members = case.sharing(rule.rules) if isinstance(rule, AnyOf) else case
            found = [
                self.changes(member, members, (*inside, index), slice, whole) for index, member in enumerate(rule.rules)
            ]
            # One member is enough to let an any_of pass, and to let an all_of not pass.
            return _nearest(found) if isinstance(rule, AnyOf) is self.wanted else _all(found)
        if isinstance(rule, EverySlice):
            return self._of_slices(rule, case, inside)
        if self.measured and isinstance(rule, MetricRule):
            return self._of_value(rule, case, slice)
        return self._of_numbers(rule, case, inside, slice, whole)

    def _of_slices(self, rule: EverySlice, case: Case, inside: Path) -> list[Change] | None:
        found = case.readings.slices(rule.columns)
        rows = min((rows for _, rows in found), default=0)
        first: list[Change] = []
        if rows < rule.min_rows:
            if rows < 1 or not self.wanted:
                return None
            first, rule = [Change(rule.min_rows, rows, (*inside, "min_rows"))], replace(rule, min_rows=rows)
        within = (*inside, "rule")
        if self.measured:
            parts = [self.changes(rule.rule, case, within, where, lambda inner: inner) for where, _ in found]
            more = _all(parts) if self.wanted else _nearest(parts)
        else:
            more = self.changes(rule.rule, case, within, {}, lambda inner: replace(rule, rule=inner))
        return None if more is None else [*first, *more]

    def _of_value(self, rule: MetricRule, case: Case, slice: Slice) -> list[Change] | None:
        reading, metric = case.readings.candidate(rule.metric, slice), case.policy.find_metric(rule.metric)
        if not reading.usable or metric is None or case.confidence_of(rule) is not None:
            return None

        def turns(value: float) -> bool:
            evaluation = _with_value(case.evaluation, rule.metric, slice, value)
            return self._is_wanted(
                rule, replace(case, evaluation=evaluation, readings=Readings(evaluation, case.policy)), slice
            )

        ends = (_finite(metric.low), _finite(metric.high))
        if isinstance(rule, Between) and self.wanted:
            ends = (rule.min, rule.max)  # beyond them it would be outside again
        found = [_nearest_double(reading.value, end, turns) for end in ends]
        where = tuple(slice.items())
        options = [[Change(reading.value, v, metric=rule.metric, slice=where)] for v in found if v is not None]
        return _nearest(options)

    def _of_numbers(
        self, rule: Rule, case: Case, inside: Path, slice: Slice, whole: Callable[[Rule], Rule]
    ) -> list[Change] | None:
        changed = rule
        made: list[Change] = []
        for key, before, ends in _numbers(rule, case.policy):
            if self._is_wanted(whole(changed), case, slice):
                break
            start = changed
            options = []
            for end in ends:

                def turns(value: float, start: Rule = start, key: str = key) -> bool:
                    return self._helps(start, replace(start, **{key: value}), case, slice, whole)

                # Where every step takes an interval, nine digits are near enough.
                coarse = isinstance(rule, MetricRule) and case.confidence_of(rule) is not None
                found = _nearest_double(before, end, turns, whole=key == "min_rows", coarse=coarse)
                options += [] if found is None else [Change(before, found, (*inside, key))]
            if options:
                best = min(options, key=lambda change: change.size)
                value = int(best.after) if key == "min_rows" else best.after
                changed, made = replace(start, **{key: value}), [*made, best]
                if not self.wanted:
                    break
        return made if made and self._is_wanted(whole(changed), case, slice) else None

    def _helps(self, before: Rule, after: Rule, case: Case, slice: Slice, whole: Callable[[Rule], Rule]) -> bool:
        """Whether a change leads to what is wanted, or, of a rule with several demands, one demand nearer to it."""
        if self._is_wanted(whole(after), case, slice):
            return True
        if not self.wanted:
            return False
        if isinstance(before, HeldOut | Requires):
            return _blocking(judge(after, case, slice).parts) < _blocking(judge(before, case, slice).parts)
        bounds = [judge(rule, case, slice).compared.get("bounds") for rule in (before, after)]
        return len(bounds[0] or ()) == 2 and _broken(after, case, slice) < _broken(before, case, slice)

    def _is_wanted(self, rule: Rule, case: Case, slice: Slice) -> bool:
        return (judge(rule, case, slice).outcome is Outcome.PASSED) is self.wanted


def _numbers(rule: Rule, policy: GatePolicy) -> Iterator[tuple[str, float, tuple[float, ...]]]:
    """Yield the numbers of a rule that could be others, as they are, and how far they may go either way.

    The confidence comes last, the policy's for a rule that names none: how sure to be is changed only where no bound
    would do.
    """
    if isinstance(rule, MetricRule):
        metric = policy.find_metric(rule.metric)
        low, high = (_finite(metric.low), _finite(metric.high)) if metric else (-_MOST, _MOST)
        span = math.nextafter(min(high - low, _MOST), 0)
        ends = {"margin_percent": (0.0, math.nextafter(100, 0)), "by_percent": (0.0, _MOST)}
        ends |= {"margin": (0.0, span), "by": (0.0, span)}
        for key in ("value", "min", "max", "margin", "margin_percent", "by", "by_percent"):
            if (number := getattr(rule, key, None)) is not None:
                yield key, float(number), ends.get(key, (low, high))
        sure = policy.confidence if rule.confidence is None else rule.confidence
        if sure is not None:
            yield "confidence", sure, (min(0.5, sure), max(_SUREST, sure))
    for key in (
        "min_rows",
        "max_age_days",
        "overlap_at_most",
        "max_size_mb",
        "max_latency_p95_ms",
        "max_peak_memory_mb",
    ):
        if isinstance(rule, HeldOut | Requires) and (number := getattr(rule, key, None)) is not None:
            limits = {"min_rows": (1.0, 2.0**53), "overlap_at_most": (0.0, math.nextafter(1, 0))}
            yield key, float(number), limits.get(key, (5e-324, _MOST))


def _broken(rule: Rule, case: Case, slice: Slice) -> int:
    outcome = judge(rule, case, slice)
    ends = outcome.compared.get("interval") or dict.fromkeys(("lower", "upper"), _value_in(outcome.compared))
    low, high = (bound["value"] for bound in outcome.compared["bounds"])
    return int(ends["lower"] < low) + int(ends["upper"] > high)


def _value_in(compared: Mapping[str, Any]) -> float:
    """Return the candidate's value as an outcome has it."""
    return float(compared["candidate"]["value"])


def _blocking(parts: Sequence[Any]) -> int:
    return sum(part.outcome is not Outcome.PASSED for part in parts)


def _nearest(found: Sequence[list[Change] | None]) -> list[Change] | None:
    return min((changes for changes in found if changes is not None), key=_size, default=None)


def _all(found: Sequence[list[Change] | None]) -> list[Change] | None:
    if any(changes is None for changes in found):
        return None
    return [change for changes in found for change in changes or ()]


def _size(changes: Sequence[Change]) -> float:
    return sum(change.size for change in changes)


def _merged(changes: list[Change]) -> list[Change]:
    """Of several changes of the same measured number keep the largest: what it demands holds for the others, too."""
    kept: dict[tuple[Any, ...], Change] = {}
    for change in changes:
        key = (change.path, change.metric, change.slice)
        if key not in kept or kept[key].size < change.size:
            kept[key] = change
    return list(kept.values())


def _applied(changes: Sequence[Change], policy: GatePolicy, evaluation: Evaluation) -> tuple[GatePolicy, Evaluation]:
    plain = copy.deepcopy(policy.to_json())
    for change in changes:
        if change.metric:
            evaluation = _with_value(evaluation, change.metric, dict(change.slice), change.after)
            continue
        place: Any = plain
        for step in change.path[:-1]:
            place = place[step]
        place[change.path[-1]] = int(change.after) if change.path[-1] == "min_rows" else change.after
    return (GatePolicy.from_data(plain) if any(change.path for change in changes) else policy), evaluation


def _with_value(evaluation: Evaluation, metric: str, slice: Slice, value: float) -> Evaluation:
    measurements = tuple(
        replace(m, value=value) if (m.metric, m.of, dict(m.slice)) == (metric, CANDIDATE, dict(slice)) else m
        for m in evaluation.measurements
    )
    return replace(evaluation, measurements=measurements)


def _nearest_double(
    start: float, end: float, turns: Callable[[float], bool], *, whole: bool = False, coarse: bool = False
) -> float | None:
    """Return the number nearest to `start`, towards `end`, at which `turns` is true; it is true from there on."""
    if start == end or not turns(end):
        return None
    order, number = (int, float) if whole else (_order, _double)
    near, far = order(start), order(end)
    while abs(far - near) > (_COARSE if coarse else 1):
        middle = (near + far) // 2
        near, far = (near, middle) if turns(number(middle)) else (middle, far)
    return number(far)


def _order(number: float) -> int:
    """Return the place of a double among all doubles."""
    bits: int = struct.unpack(">q", struct.pack(">d", number + 0.0))[0]
    return bits if bits >= 0 else -(bits & 0x7FFF_FFFF_FFFF_FFFF)


def _double(place: int) -> float:
    number: float = struct.unpack(">d", struct.pack(">q", abs(place)))[0]
    return number if place >= 0 else -number


def _finite(end: float) -> float:
    return min(max(end, -_MOST), _MOST)


def _told(number: float, other: float) -> str:
    short = show(number, other)
    # 0.6499999999999999 must not read as 0.65, which would be a tie; 0.69428174… may.
    return repr(number) if float(short) != number and math.isclose(float(short), number, rel_tol=1e-12) else short
