"""The tiny pipeline in plain Python, as crash and registry tests run it."""

from __future__ import annotations

from typing import Any

import penstock
from penstock.model.decisions import GateDecision
from tests import tiny


def retrain(
    client: penstock.Client, key: str, held_out: str, strength: float = 1.0, policy: Any = None
) -> GateDecision:
    """Train, evaluate against the champion, decide, and let the model in if the policy says so."""
    with client.open_run(tiny.EXPERIMENT, key=key, params={"strength": strength}) as run:
        model = run.step("train", tiny.train, strength=strength)
        evaluation = client.evaluate(
            model, held_out, label=tiny.LABEL, baseline=tiny.CHAMPION, slices=["side"], run=run
        )
        decision = client.decide(evaluation, policy or tiny.POLICY, model=tiny.MODEL, run=run)
        if decision.passed:
            version = client.register(tiny.MODEL, model, decision, run=run)
            client.promote(tiny.MODEL, "champion", version, decision, run=run)
    return decision
