"""Deciding, and replaying what was decided: `python -m tests.benchmarks.gates`.

Times are the process's own (CPU), so that a busy machine does not enter. A decision's own time is what is left when its
statistics are known: they are computed once per number and kept, so the second decision on the same evaluation takes
the time beyond them.
"""

from __future__ import annotations

import json
import random
import statistics
import time
from typing import Any

from penstock.model.canonical import canonical_json
from penstock.model.data import Dataset
from penstock.model.decisions import GateDecision
from penstock.model.evaluations import BASELINE, CANDIDATE, BaselineRef, Evaluation, Measurement
from penstock.model.policies import GatePolicy
from penstock.services.deciding import decide, decision_inputs, replay
from penstock.services.deciding.intervals import forget_statistics
from penstock.statistics.evidence import Mean, PairedEstimates, PairedProportions, Proportion

RULES, SLICES, DECISIONS, REPEATS = 50, 20, 1000, 50
LIMIT_MS, LIMIT_S = 5.0, 2.0


def evaluation(seed: int) -> Evaluation:
    """Return an evaluation of two metrics over all rows and 20 slices, with the statistics an engine stores."""
    chance = random.Random(seed)
    measurements: list[Measurement] = []
    for where in ({}, *({"origin": f"A{place}"} for place in range(SLICES))):
        both, ours, theirs = 4000 + chance.randrange(300), 100 + chance.randrange(50), 50 + chance.randrange(50)
        rows, neither = 5000, 5000 - both - ours - theirs
        pair: dict[str, Any] = {"paired": PairedProportions(both, ours, theirs, neither).to_json()}
        pair["evidence"] = Proportion(both + ours, rows).to_json()
        loss, base = 0.4 + chance.random() / 100, 0.41 + chance.random() / 100
        means: dict[str, Any] = {"evidence": Mean(loss, 0.004, rows, 2 + chance.random()).to_json()}
        third = 2.6e-9, 2.5e-9, 2.5e-9, 2.5e-9
        means["paired"] = PairedEstimates("mean", loss, base, 1.6e-5, 1.6e-5, 1.5e-5, rows - 1, third).to_json()
        measurements += [
            Measurement("accuracy", CANDIDATE, (both + ours) / rows, rows, where, stats=pair),
            Measurement("accuracy", BASELINE, (both + theirs) / rows, rows, where),
            Measurement("log_loss", CANDIDATE, loss, rows, where, stats=means),
            Measurement("log_loss", BASELINE, base, rows, where),
        ]
    return Evaluation(
        evaluation_id=f"e{seed}",
        run_id="0" * 32,
        model_id="m-" + "1" * 32,
        payload_digest="p",
        task="binary",
        dataset=Dataset("flights", "d", 5000, "held-out", "flights.parquet"),
        measurements=tuple(measurements),
        baseline=BaselineRef("models:/on-time@champion", "on-time", "champion", 3, 2, "b"),
    )


def policy(rules: int) -> GatePolicy:
    """Return a policy of so many rules with confidence."""
    written: list[dict[str, Any]] = []
    for place in range(rules):
        metric, margin = ("accuracy", "log_loss")[place % 2], 0.01 + place / 1000
        test = {"no_worse_than": {"baseline": "champion", "metric": metric, "margin": margin, "confidence": 0.95}}
        floor = {"at_most": {"metric": "log_loss", "value": 0.5 + place / 1000, "confidence": 0.95}}
        written.append(floor if place % 3 == 2 else test)
    return GatePolicy.from_data({"name": "bench", "rules": written})


def recorded(judged: GatePolicy, measured: Evaluation) -> GateDecision:
    """Return a decision as it is stored."""
    verdict, outcomes = decide(judged, measured)
    decision = GateDecision(
        decision_id=f"d-{measured.evaluation_id}",
        run_id=measured.run_id,
        evaluation_id=measured.evaluation_id,
        model="on-time",
        alias="champion",
        verdict=verdict,
        outcomes=outcomes,
        policy_name=judged.name,
        policy_text=judged.text,
        policy_digest=judged.digest,
        payload_digest="p",
        data_digest="d",
        baseline_version=3,
        alias_generation=2,
        no_baseline=False,
        code_version="bench",
        inputs=decision_inputs(judged, measured),
    )
    return GateDecision.from_json(json.loads(canonical_json(decision.to_json())))


def measure() -> dict[str, float]:
    """Return milliseconds of a decision beyond its statistics and of its statistics, and seconds of the replays."""
    judged, measured = policy(RULES), evaluation(0)
    forget_statistics()
    start = time.process_time()
    decide(judged, measured)
    first = time.process_time() - start
    again = []
    for _ in range(REPEATS):
        start = time.process_time()
        decide(judged, measured)
        again.append(time.process_time() - start)
    beyond = statistics.median(again)
    few = policy(9)
    stored = [recorded(few, evaluation(seed)) for seed in range(DECISIONS)]
    forget_statistics()
    start = time.process_time()
    for decision in stored:
        assert replay(decision)[0] is decision.verdict
    replayed = time.process_time() - start
    return {"beyond_ms": beyond * 1000, "statistics_ms": (first - beyond) * 1000, "replay_s": replayed}


def main() -> None:
    """Measure and print."""
    found = measure()
    print(f"a decision of {RULES} rules beyond its statistics: {found['beyond_ms']:.2f} ms (at most {LIMIT_MS:g})")
    print(f"its statistics: {found['statistics_ms']:.1f} ms")
    print(f"{DECISIONS:,} decisions of 9 rules replayed: {found['replay_s']:.2f} s (at most {LIMIT_S:g})")


if __name__ == "__main__":
    main()
