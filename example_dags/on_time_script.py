"""The retraining pipeline as a plain Python script: `python -m example_dags.on_time_script 2013-02 2013-03`."""

from __future__ import annotations

import sys

import penstock
from example_dags.flights import CHAMPION, EXPERIMENT, LABEL, MODEL, POLICY, held_out, train


def retrain(client: penstock.Client, month: str) -> str:
    """Train, evaluate against the champion, decide, and let the model in if the policy says so."""
    with client.open_run(EXPERIMENT, key=month) as run:
        model = run.step("train", train, month=month)
        evaluation = client.evaluate(model, held_out(month), label=LABEL, baseline=CHAMPION, slices=["origin"], run=run)
        decision = client.decide(evaluation, POLICY, model=MODEL, alias="champion", run=run)
        if decision.passed:
            version = client.register(MODEL, model, decision, run=run)
            client.promote(MODEL, "champion", version, decision, run=run)
    return f"{month}: {decision.verdict.value}: {decision.reasons}"


if __name__ == "__main__":
    with penstock.connect() as client:
        for month in sys.argv[1:] or ["2013-02", "2013-03"]:
            print(retrain(client, month))
