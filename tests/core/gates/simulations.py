"""Years of nightly gates in a minute: how often candidates that should not pass do, decided by the gate itself.

A night measures a candidate and the champion on `rows` held-out rows. The rows' differences are drawn (0, +1 or −1: one
model right where the other is wrong), counted and put to `decide` as an engine stores them. Qualities are accuracies;
`disagreement` is the share of rows on which just one of the two is right.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.model.data import Dataset
from penstock.model.decisions import Verdict
from penstock.model.evaluations import ANCHOR, BASELINE, CANDIDATE, BaselineRef, Evaluation, Measurement
from penstock.model.gate_context import AnchorVersion, GateContext, LookTaken
from penstock.model.policies import GatePolicy
from penstock.services.deciding import decide, reserved_alpha
from penstock.statistics.evidence import PairedProportions

ROWS, DISAGREEMENT, LEVEL = 5000, 0.03, 0.9
CHAMPION = BaselineRef("models:/m@champion", "m", "champion", 2, 2)
FIRST = BaselineRef("models:/m/1", "m", "", 1)


def better(confidence: float | None = None, by: float = 0.0, **budget: Any) -> GatePolicy:
    """Return the policy that asks for a better model."""
    return _policy({"better_than": {"baseline": "champion", "metric": "accuracy", "by": by}}, confidence, budget)


def no_worse(margin: float, confidence: float | None = None, *, anchor: bool = False, **budget: Any) -> GatePolicy:
    """Return the policy that asks for no worse a model."""
    anchored = {"anchor": True} if anchor else {}
    rule = {"baseline": "champion", "metric": "accuracy", "margin": margin, **anchored}
    return _policy({"no_worse_than": rule}, confidence, budget)


def counts(
    chance: random.Random, difference: float, rows: int = ROWS, luck: float | None = None, kept: float = 0.5
) -> PairedProportions:
    """Draw the rows of a night on which the candidate is truly better by `difference`.

    `luck` is what a set that is used again shows every night, in standard errors: a share `kept` of the variance is
    then the set's and the rest the night's, so that a single night on it is like a night on fresh rows.
    """
    # Normal approximations: the counts are 50 and more here, and binomial draws would cost most of the time.
    own = chance.gauss(0, 1)
    error = own if luck is None else math.sqrt(kept) * luck + math.sqrt(1 - kept) * own
    differing = chance.gauss(rows * DISAGREEMENT, math.sqrt(rows * DISAGREEMENT * (1 - DISAGREEMENT)))
    net = rows * difference + error * math.sqrt(max(rows * (DISAGREEMENT - difference**2), 0.0))
    gained, lost = (max(round((differing + side * net) / 2), 0) for side in (1, -1))
    both = round(rows * LEVEL) - gained
    return PairedProportions(both, gained, lost, rows - both - gained - lost)


def passes(
    policy: GatePolicy,
    seen: PairedProportions,
    look: LookTaken | None = None,
    anchored: PairedProportions | None = None,
) -> bool:
    """Whether the gate opens on these counts (and on those against the anchor)."""
    ours = (seen.both + seen.only_candidate) / seen.rows
    stats: dict[str, Any] = {"paired": seen.to_json()}
    measured = [Measurement("accuracy", BASELINE, (seen.both + seen.only_baseline) / seen.rows, seen.rows)]
    told = GateContext(look=look)
    if anchored is not None:
        # The candidate's own count is one number, whichever model it is held against.
        matched = PairedProportions(
            seen.both + seen.only_candidate - anchored.only_candidate,
            anchored.only_candidate,
            anchored.only_baseline,
            seen.neither + seen.only_baseline - anchored.only_baseline,
        )
        stats["paired_anchor"] = matched.to_json()
        measured.append(Measurement("accuracy", ANCHOR, (matched.both + matched.only_baseline) / seen.rows, seen.rows))
        told = GateContext(look=look, anchor=AnchorVersion(1))
    measured.append(Measurement("accuracy", CANDIDATE, ours, seen.rows, stats=stats))
    evaluation = Evaluation(
        evaluation_id="e",
        run_id="r",
        model_id="m",
        payload_digest="p",
        task="binary",
        dataset=Dataset("d", "d", seen.rows, "held-out", "d"),
        measurements=tuple(measured),
        baseline=CHAMPION,
        anchor=None if anchored is None else FIRST,
    )
    return decide(policy, evaluation, told)[0] is Verdict.PASS


def any_false_promotion(
    policy: GatePolicy,
    *,
    series: int,
    looks: int,
    difference: float = 0.0,
    reused: bool = False,
    tries: int = 1,
    rows: int = ROWS,
    seed: int = 1,
) -> float:
    """Return the share of series in which a candidate passed that is truly better by no more than `difference`.

    On fresh rows every night draws anew; on reused rows the set's luck stays the same for all nights. With `tries`
    every night's candidate is the best of so many *on these rows*: it depends on what they showed, which is what
    adaptive means. The champion moves with every pass.
    """
    chance = random.Random(seed)
    wrong = 0
    for _ in range(series):
        luck = chance.gauss(0, 1) if reused else None
        before: list[tuple[float, bool]] = []
        for number in range(1, looks + 1):
            drawn = [counts(chance, difference, rows, luck) for _ in range(tries)]
            seen = max(drawn, key=lambda table: table.only_candidate - table.only_baseline)
            look = LookTaken(number, number if reused else 1, reused=reused, adaptive=tries > 1, before=tuple(before))
            passed = passes(policy, seen, look)
            before.append((reserved_alpha(policy, GateContext(look=look)) or 0.0, passed))
            if passed:
                wrong += 1
                break
    return wrong / series


@dataclass(frozen=True)
class Drift:
    """What became of a model after many nights of small losses: points lost, and how often it was replaced."""

    lost: float
    promotions: float


def drift(
    policy: GatePolicy, *, series: int, nights: int, decay: float, anchored: bool, kept: float = 0.0, seed: int = 1
) -> Drift:
    """Return the mean loss where every night's candidate is truly `decay` worse than the champion it would replace.

    With `kept` the rows are the same all year, and that share of what chance does is theirs. What a night shows of the
    champion and of the anchor is drawn apart: were it one draw, a tenth more would be lost.
    """
    chance = random.Random(seed)
    lost = promoted = 0.0
    for _ in range(series):
        champion = 0.0  # true quality, relative to the anchor
        lucks = (chance.gauss(0, 1), chance.gauss(0, 1))
        for night in range(1, nights + 1):
            candidate = champion - decay
            shown = counts(chance, -decay, luck=lucks[0], kept=kept)
            held_against = counts(chance, candidate, luck=lucks[1], kept=kept) if anchored else None
            if passes(policy, shown, LookTaken(night), anchored=held_against):
                champion, promoted = candidate, promoted + 1
        lost -= champion
    return Drift(lost / series, promoted / series)


def power(policy: GatePolicy, *, series: int, difference: float, rows: int, look: int = 1, seed: int = 1) -> float:
    """Return the share of nights on which a candidate that is truly better by `difference` passes."""
    chance = random.Random(seed)
    return sum(passes(policy, counts(chance, difference, rows), LookTaken(look)) for _ in range(series)) / series


def false_discoveries(policy: GatePolicy, *, series: int, looks: int, good: float, gain: float, seed: int = 1) -> float:
    """Return the mean share of false ones among a series' promotions, where a share `good` of candidates is better."""
    chance = random.Random(seed)
    shares = []
    for _ in range(series):
        before: list[tuple[float, bool]] = []
        false = 0
        for number in range(1, looks + 1):
            truly = chance.random() < good
            look = LookTaken(number, before=tuple(before))
            passed = passes(policy, counts(chance, gain if truly else 0.0), look)
            false += passed and not truly
            before.append((reserved_alpha(policy, GateContext(look=look)) or 0.0, passed))
        shares.append(false / max(sum(passed for _, passed in before), 1))
    return sum(shares) / len(shares)


def table(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as lines of columns."""
    return "\n".join("  ".join(f"{cell!s:>12}" for cell in row) for row in rows)


def _policy(rule: dict[str, Any], confidence: float | None, budget: dict[str, Any]) -> GatePolicy:
    sure = {} if confidence is None else {"confidence": confidence}
    return GatePolicy.from_data(
        {"name": "simulated", **sure, **({"budget": budget} if budget else {}), "rules": [rule]}
    )
