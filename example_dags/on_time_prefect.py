"""The retraining pipeline as a Prefect flow: `python -m example_dags.on_time_prefect 2013-02 2013-03`."""

from __future__ import annotations

import sys
from typing import Any

from example_dags.flights import CHAMPION, EXPERIMENT, LABEL, MODEL, POLICY, held_out, train
from penstock_prefect import evaluate_model, gate, promote_model, register_model, tracked_flow, tracked_task


@tracked_task(step="train", retries=1)
def train_model(run: Any, month: str) -> dict[str, Any]:
    """Train on the months up to `month`; done once, however often the flow is retried or launched again."""
    return train(run, month)


@tracked_flow(experiment=EXPERIMENT, key="{month}")
def on_time(run: Any, month: str) -> str:
    """Train, evaluate against the champion, decide, and let the model in if the policy says so."""
    model = train_model(run, month)
    evaluation = evaluate_model(model, held_out(month), label=LABEL, baseline=CHAMPION, slices=["origin"], run=run)
    decision = gate(evaluation, POLICY, MODEL, alias="champion", run=run)
    if decision["passed"]:
        version = register_model(MODEL, model, decision, run=run)
        promote_model(MODEL, "champion", version, decision, run=run)
    return f"{month}: {decision['verdict']}: {decision['reasons']}"


if __name__ == "__main__":
    for month in sys.argv[1:] or ["2013-02", "2013-03"]:
        print(on_time(month))
