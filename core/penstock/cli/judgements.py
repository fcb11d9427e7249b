"""Evaluations and decisions, drawn: numbers side by side, and every rule with its outcome and reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from penstock.cli.output import add_row, cell, facts, fits, heading, new_table, page_width, word
from penstock.cli.policy_words import stored_rule_in_words
from penstock.cli.slice_search import draw_slice_search
from penstock.cli.words import NOTHING, indented, number, one_line, plural, short, version, when, who
from penstock.model.decisions import GateDecision, RuleOutcome, blocking_of
from penstock.model.evaluations import BASELINE, CANDIDATE, Evaluation, Measurement
from penstock.services.deciding.flips import told_of
from penstock.services.explaining import compared_cells, numbers

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from penstock.services.policy_diff import PolicyDiff

SLICE_METRIC = "roc_auc"
COMPOUND = {"every_slice", "any_of", "all_of"}
_TIED = "\N{NO-BREAK SPACE}"


def baseline_name(evaluation: Evaluation) -> str:
    """Return what the candidate was compared with, in a word or two; empty where nothing was asked for."""
    baseline = evaluation.baseline
    if baseline is None:
        return ""
    name = baseline.alias or baseline.declared
    return f"{name} {version(baseline.version)}" if baseline.alias else name


def draw_evaluation(evaluation: Evaluation) -> Iterator[RenderableType]:
    """Yield an evaluation: candidate and baseline side by side, over all rows and by slice."""
    data, baseline = evaluation.dataset, evaluation.baseline
    yield heading(f"Evaluation {evaluation.evaluation_id}")
    compared = baseline_name(evaluation)
    if baseline is not None and baseline.alias and baseline.version is None:
        compared = f"nothing: {baseline.declared} did not point anywhere yet"
    yield facts(
        {
            "data": f"{data.name}: {data.rows:,} rows, digest {short(data.digest)}",
            "task": evaluation.task,
            "compared with": compared,
            "at": f"{when(evaluation.created_at)} UTC",
        }
    )
    yield cell("")
    yield _numbers(evaluation)
    if any(m.slice for m in evaluation.measurements):
        yield cell("")
        yield _slices(evaluation)
    if found := evaluation.model_facts.get("slice_search"):
        yield cell("")
        yield from draw_slice_search(found)


def draw_decision(decision: GateDecision, *, parts: bool = False) -> Iterator[RenderableType]:
    """Yield a decision: what it binds, and each rule's outcome and reason; with `parts`, inner rules' too."""
    yield heading(f"Decision {decision.decision_id}")
    yield facts(
        {
            "verdict": word(decision.verdict.value),
            "may move": f"{decision.model}@{decision.alias}" if decision.passed else "nothing: the gate did not open",
            "policy": f"{decision.policy_name} (digest {short(decision.policy_digest)})",
            "by": f"{who(decision.actor)}, {when(decision.created_at)} UTC",
        }
    )
    yield cell("")
    yield _outcomes(decision, parts=parts)


def draw_dry_run(decision: GateDecision) -> Iterator[RenderableType]:
    """Yield what a dry run answered, and that it was one."""
    yield heading("Dry run: nothing was decided, and nothing may move")
    look = decision.inputs["context"]["look"]
    yield facts(
        {
            "verdict": word(decision.verdict.value),
            "policy": f"{decision.policy_name} (digest {short(decision.policy_digest)})",
            "on record": f"as look {look['number']} of {decision.model}, {_nth_on_rows(look['held_out_number'])}",
        }
    )
    yield cell("")
    yield _outcomes(decision, parts=False)


def draw_numbers(decision: GateDecision) -> Iterator[RenderableType]:
    """Yield every number a decision compared, with its bound, interval and nearest flip."""
    rows = [{"outcome": outcome.outcome.value, **compared_cells(outcome)} for outcome in numbers(decision.outcomes)]
    if not rows:
        return
    yield heading("What was compared")
    if fits(rows):
        table = new_table(*rows[0], numbers=["value", "baseline", "n"])
        for cells in rows:
            outcome, *others = cells.values()
            add_row(table, word(outcome), *others)
        yield table
    else:
        for cells in rows:
            yield _stacked(cells)
    look = decision.inputs.get("context", {}).get("look")
    if look is not None:
        yield cell(f"\nLook {look['number']} of {decision.model}, {_nth_on_rows(look['held_out_number'])}.")


def draw_diff(found: PolicyDiff) -> Iterator[RenderableType]:
    """Yield which past decisions would have come out differently, and why."""
    count = plural(found.decisions, "past decision")
    if not found.decisions:
        yield cell(f"No past decision was made under a policy named {found.old!r}: --any-policy takes all there are.")
    elif not found.flips:
        yield cell(f"{count}: every verdict stays as it is.")
    else:
        yield cell(f"{count}: {plural(len(found.flips), 'verdict')} would change.", "bold")
        yield cell("")
        table = new_table(
            "decision", "run", "model", "decided (UTC)", "old", "new", "why the new one", prose=["why the new one"]
        )
        for flip in found.flips:
            ids = (short(flip.decision_id), short(flip.run_id), flip.model, when(flip.decided_at))
            add_row(table, *ids, word(flip.before.value), word(flip.after.value), one_line(flip.why))
        yield table
    for decision_id, problem in found.unreadable.items():
        yield cell(f"decision {short(decision_id)} cannot be replayed: {problem}", "red")


def draw_flip(decision: GateDecision) -> Iterator[RenderableType]:
    """Yield the smallest change that would turn the verdict."""
    yield heading("The nearest flip")
    yield cell(told_of(decision))


def _stacked(cells: Mapping[str, str]) -> RenderableType:
    """Return one compared number as a paragraph: for a page too narrow for a table of them."""
    outcome, metric, where, *_ = cells.values()
    others = [f"{name} {value}".replace(" ", _TIED) for name, value in list(cells.items())[3:] if value != NOTHING]
    text = indented("; ".join(others), page_width(), "  ").replace(_TIED, " ")
    return word(outcome).append_text(cell(f" {metric} on {where}\n{text}", "none"))


def _nth_on_rows(number: int) -> str:
    return "the first at these rows" if number == 1 else f"number {number} at these rows: reused"


def draw_bindings(decision: GateDecision) -> Iterator[RenderableType]:
    """Yield what a decision holds for, and nothing else."""
    yield heading("It holds for exactly this")
    yield facts(
        {
            "model": f"{decision.model}@{decision.alias}, the alias at generation {decision.alias_generation}",
            "artifact": f"payload sha256 {decision.payload_digest}",
            "data": f"digest {decision.data_digest}",
            "policy": f"sha256 {decision.policy_digest}",
            "baseline": "there was none" if decision.no_baseline else version(decision.baseline_version),
            "evaluation": decision.evaluation_id,
            "run": decision.run_id,
            "decided with": decision.code_version,
        }
    )


def why(decision: GateDecision) -> str:
    """Return why a decision says what it says: a line for each rule that blocked, or how narrowly all held."""
    blocking = [outcome.reason for outcome in blocking_of(decision.outcomes)]
    if len(blocking) > 1:
        return "\n".join(f"- {one_line(reason)}" for reason in blocking)
    alone = f"; there was no {decision.alias} to compare with" if decision.passed and decision.no_baseline else ""
    return one_line(decision.reasons) + alone


def _numbers(evaluation: Evaluation) -> Table:
    overall = [m for m in evaluation.measurements if not m.slice]
    against = any(m.of == BASELINE for m in overall)
    columns = ["metric", "candidate", *([baseline_name(evaluation), "difference"] if against else []), "note"]
    if not any(m.cause for m in overall):
        columns.remove("note")
    table = new_table(*columns, numbers=columns[1:4] if against else columns[1:2], prose=["note"])
    for metric in dict.fromkeys(m.metric for m in overall):
        ours, theirs = evaluation.find(metric, CANDIDATE), evaluation.find(metric, BASELINE)
        row = [metric, _value(ours), *([_value(theirs), _difference(ours, theirs)] if against else [])]
        causes = dict.fromkeys(m.cause for m in (ours, theirs) if m is not None and m.cause)
        add_row(table, *row, *([", ".join(causes)] if "note" in columns else []))
    return table


def _slices(evaluation: Evaluation) -> Table:
    sliced = [m for m in evaluation.measurements if m.slice]
    metric = SLICE_METRIC if any(m.metric == SLICE_METRIC for m in sliced) else sliced[0].metric
    against = any(m.of == BASELINE for m in sliced)
    columns = ["slice", "rows", metric, *([baseline_name(evaluation), "difference"] if against else [])]
    table = new_table(*columns, numbers=columns[1:])
    for ours in sliced:
        if ours.metric == metric and ours.of == CANDIDATE:
            theirs = evaluation.find(metric, BASELINE, ours.slice)
            name = ", ".join(f"{column}={value}" for column, value in ours.slice.items())
            row = [name, f"{ours.n:,}", _value(ours)]
            add_row(table, *row, *([_value(theirs), _difference(ours, theirs)] if against else []))
    return table


def _value(measurement: Measurement | None) -> str:
    if measurement is None:
        return NOTHING
    return "undefined" if measurement.value is None else number(measurement.value)


def _difference(ours: Measurement | None, theirs: Measurement | None) -> str:
    if ours is None or theirs is None or ours.value is None or theirs.value is None:
        return NOTHING
    return f"{ours.value - theirs.value:+.4g}"


def _outcomes(decision: GateDecision, *, parts: bool) -> Table:
    table = new_table("outcome", "rule", "reason", prose=["rule", "reason"])
    for outcome in decision.outcomes:
        _add_outcome(table, outcome, parts=parts)
    return table


def _add_outcome(table: Table, outcome: RuleOutcome, *, parts: bool, depth: int = 0) -> None:
    inner: Sequence[RuleOutcome] = outcome.parts if parts and COMPOUND & outcome.rule.keys() else ()
    # A rule made of others repeats their reasons in its own; where they are listed below it, its summary will do.
    reason = outcome.reason.partition(": ")[0] if inner else outcome.reason
    indent = "  " * depth
    add_row(table, word(outcome.outcome.value), indent + stored_rule_in_words(outcome.rule), one_line(reason))
    for part in inner:
        _add_outcome(table, part, parts=parts, depth=depth + 1)
