"""What people read about an evaluation and a decision: in the log, and as a Prefect artifact."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from penstock.model.decisions import GateDecision, Outcome, RuleOutcome
from penstock.model.evaluations import BASELINE, CANDIDATE, Evaluation

_MARKS = {Outcome.PASSED: "✅", Outcome.FAILED: "❌", Outcome.UNDECIDABLE: "❔"}


def evaluation_line(evaluation: Evaluation) -> str:
    """Say in one line what was measured, on what, and against what."""
    against = ""
    if evaluation.baseline is not None:
        version = evaluation.baseline.version
        found = f"version {version}" if version is not None else evaluation.baseline.payload_digest[:12] or "none yet"
        against = f" against {evaluation.baseline.declared} ({found})"
    numbers = ", ".join(_numbers(evaluation)) or "no number is defined"
    return f"measured on {evaluation.dataset.rows} rows of {evaluation.dataset.name!r}{against}: {numbers}"


def _numbers(evaluation: Evaluation) -> Iterator[str]:
    for measured in evaluation.measurements:
        if measured.of == CANDIDATE and not measured.slice and measured.value is not None:
            before = evaluation.value(measured.metric, BASELINE)
            yield f"{measured.metric} {measured.value:.4g}" + ("" if before is None else f" (was {before:.4g})")


def decision_line(decision: GateDecision) -> str:
    """Say in one line what the gate answered, and why."""
    return f"gate for {decision.model}@{decision.alias}: {decision.verdict.value}: {decision.reasons}"


def decision_key(decision: GateDecision) -> str:
    """Return the key of a decision's artifact: one series for each model and alias."""
    return re.sub(r"[^a-z0-9]+", "-", f"gate-{decision.model}-{decision.alias}".lower()).strip("-")


def decision_markdown(decision: GateDecision) -> str:
    """Render a decision with every rule's outcome and what it was bound to."""
    baseline = "none" if decision.baseline_version is None else f"version {decision.baseline_version}"
    return "\n".join(
        [
            f"# {decision.verdict.value}: {decision.model}@{decision.alias}",
            "",
            *_outcomes(decision.outcomes, indent=""),
            "",
            f"- decision `{decision.decision_id}` in run `{decision.run_id}`",
            f"- evaluation `{decision.evaluation_id}`, baseline {baseline}",
            f"- policy {html.escape(decision.policy_name)} `{decision.policy_digest[:12]}`, "
            f"data `{decision.data_digest[:12]}`, model `{decision.payload_digest[:12]}`",
        ]
    )


def _outcomes(outcomes: tuple[RuleOutcome, ...], indent: str) -> Iterator[str]:
    for outcome in outcomes:
        reason = html.escape(" ".join(outcome.reason.split()))
        yield f"{indent}- {_MARKS[outcome.outcome]} **{outcome.outcome.value}**: {reason}"
        yield from _outcomes(outcome.parts, indent + "    ")
