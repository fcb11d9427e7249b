"""From real rows to a verdict with confidence: what the engine stores is what the gate decides from, and replays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import penstock
from penstock.model.custom_metrics import FunctionMetric
from penstock.model.decisions import Outcome, Verdict
from penstock.services.deciding import flip_of, replay
from tests import tiny

RULES = [
    {"at_least": {"metric": "roc_auc", "value": 0.8}},
    {"at_least": {"metric": "recall", "value": 0.5}},
    {"at_most": {"metric": "log_loss", "value": 1}},
    {"no_worse_than": {"baseline": "champion", "metric": "accuracy", "margin": 0.1}},
    {"no_worse_than": {"baseline": "champion", "metric": "roc_auc", "margin_percent": 10}},
    {"no_worse_than": {"baseline": "champion", "metric": "f1", "margin": 0.1}},
    {"better_than": {"baseline": "champion", "metric": "log_loss", "by": 0}},
    {"every_slice": {"by": "side", "min_rows": 20, "rule": {"at_least": {"metric": "accuracy", "value": 0.5}}}},
]
SKEWED = "Hall, and Cantelli on the side of the long tail"  # a few of 190 losses are huge
WEAK = {"name": "weak", "rules": [{"at_least": {"metric": "accuracy", "value": 0.1, "confidence": 0.95}}]}
METHODS = ["logit DeLong", "Clopper-Pearson", SKEWED, "Tango score", "paired DeLong", "paired bootstrap t", "paired t"]


def test_a_better_model_passes_with_confidence_on_the_statistics_the_engine_stored(tmp_path: Path) -> None:
    held_out = penstock.DataSource(tiny.held_out_file(tmp_path), label=tiny.LABEL)
    policy = {"name": "sure", "confidence": 0.95, "budget": {"alpha": 0.2, "looks": 3}, "rules": RULES}
    with penstock.connect(f"sqlite:///{tmp_path / 'p.db'}", artifacts=str(tmp_path / "artifacts")) as client:
        with client.open_run(tiny.EXPERIMENT, "weak") as run:
            weak = tiny.train(run, strength=0.001)
            evaluation = client.evaluate(weak, held_out, task="binary")
            decision = client.decide(evaluation, policy=WEAK, model=tiny.MODEL, alias="champion")
            version = client.register(tiny.MODEL, weak, decision)
            client.promote(tiny.MODEL, "champion", version, decision)
        with client.open_run(tiny.EXPERIMENT, "strong") as run:
            strong = tiny.train(run)
            evaluation = client.evaluate(
                strong, held_out, task="binary", baseline=tiny.CHAMPION, slices=["side"], step="measure"
            )
            decision = client.decide(evaluation, policy=policy, model=tiny.MODEL, alias="champion")

    assert decision.verdict is Verdict.PASS, decision.reasons
    assert [o.compared["method"] for o in decision.outcomes if "method" in o.compared] == METHODS
    assert all(o.compared["confidence"] == 0.95 for o in decision.outcomes if "method" in o.compared)
    assert decision.outcomes[-1].compared["alpha"] == 0.2 / 3
    assert {part.outcome for part in decision.outcomes[7].parts} == {Outcome.PASSED}
    assert replay(decision) == (decision.verdict, decision.outcomes)
    assert flip_of(decision) is not None


def share_wrong(y_true: Any, y_pred: Any, weights: Any) -> float:
    """A metric of one's own."""
    return float((y_true != y_pred).mean())


def test_a_policy_names_a_metric_of_ones_own_by_declaring_it(tmp_path: Path) -> None:
    held_out = penstock.DataSource(tiny.held_out_file(tmp_path), label=tiny.LABEL)
    own = FunctionMetric("share_wrong", share_wrong, 0, 1, "lower")
    rules = [
        {"at_most": {"metric": "share_wrong", "value": 0.5}},
        {"every_slice": {"by": "side", "min_rows": 20, "rule": {"at_most": {"metric": "share_wrong", "value": 0.5}}}},
        {"no_worse_than": {"baseline": "champion", "metric": "share_wrong", "margin": 0.1}},
    ]

    def decided(shape: dict[str, Any], measured: Any = None, **more: Any) -> Any:
        policy = {"name": "own", "when_no_baseline": "pass", "metrics": {"share_wrong": shape}, "rules": rules, **more}
        return client.decide(measured or evaluation, policy=policy, model=tiny.MODEL)

    with penstock.connect(f"sqlite:///{tmp_path / 'p.db'}", artifacts=str(tmp_path / "artifacts")) as client:
        with client.open_run(tiny.EXPERIMENT, "own") as run:
            model = tiny.train(run)
            evaluation = client.evaluate(
                model, held_out, task="binary", baseline=tiny.CHAMPION, slices=["side"], metrics=[own]
            )
            undrawn = client.evaluate(
                model, held_out, task="binary", slices=["side"], metrics=[own], bootstrap=0, step="undrawn"
            )
        sound = decided({"better": "lower", "min": 0, "max": 1})
        turned = decided({"better": "higher"})
        narrow = decided({"better": "lower", "min": 0.4, "max": 0.6})
        sure = decided({"better": "lower"}, confidence=0.95)
        blind = decided({"better": "lower"}, undrawn, confidence=0.95)

    assert sound.verdict is Verdict.PASS, sound.reasons
    assert replay(sound) == (sound.verdict, sound.outcomes)
    assert flip_of(sound) is not None
    assert (turned.verdict, {o.cause for o in turned.outcomes[:1]}) == (Verdict.INCONCLUSIVE, {"declared_otherwise"})
    assert (narrow.verdict, narrow.outcomes[0].cause) == (Verdict.INCONCLUSIVE, "out_of_range")
    assert sure.verdict is Verdict.PASS, sure.reasons
    assert sure.outcomes[0].compared["method"] == "bootstrap t"
    assert (blind.verdict, blind.outcomes[0].cause) == (Verdict.INCONCLUSIVE, "no_evidence")
