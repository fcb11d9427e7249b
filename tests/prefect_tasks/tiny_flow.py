"""The tiny pipeline as a Prefect flow; a process can be told to die between two of its steps."""

from __future__ import annotations

import os
import signal
from typing import Any

from penstock_prefect import evaluate_model, gate, promote_model, register_model, tracked_flow, tracked_task
from tests import tiny


@tracked_task
def train(run: Any, strength: float) -> dict[str, Any]:
    return tiny.train(run, strength)


@tracked_flow(experiment=tiny.EXPERIMENT, key="{key}")
def retrain(run: Any, key: str, held_out: str, strength: float = 1.0) -> dict[str, Any]:
    model = train(run, strength)
    asked = {"label": tiny.LABEL, "baseline": tiny.CHAMPION, "slices": ["side"], "sandbox": False}
    evaluation = evaluate_model(model, held_out, run=run, **asked)
    decision: dict[str, Any] = gate(evaluation, tiny.POLICY, tiny.MODEL, run=run)
    if decision["passed"]:
        version = register_model(tiny.MODEL, model, decision, run=run)
        _die_if_told_to()
        promote_model(tiny.MODEL, "champion", version, decision, run=run)
    return decision


def _die_if_told_to() -> None:
    if death := os.environ.get("DIE_IN_FLOW"):
        os.kill(os.getpid(), signal.Signals[death])
