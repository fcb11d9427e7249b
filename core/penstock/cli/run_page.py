"""All about one run: read from the store in one go, and drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.cli.judgements import draw_decision, draw_evaluation
from penstock.cli.output import add_row, brief, cell, facts, heading, new_table, plain, word
from penstock.cli.overriding import use_of
from penstock.cli.words import duration, number, one_line, pairs, short, size, when, who
from penstock.client import Client
from penstock.model.approvals import Approval
from penstock.model.decisions import GateDecision
from penstock.model.evaluations import Evaluation
from penstock.model.overrides import Override
from penstock.model.runs import RunDetails, StepSummary
from penstock.model.versions import LoggedModel

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

DEFAULT_MODEL = "model"


@dataclass(frozen=True)
class RunPage:
    """A run with its models, evaluations and decisions."""

    details: RunDetails
    models: tuple[LoggedModel, ...]
    evaluations: tuple[Evaluation, ...]
    decisions: tuple[GateDecision, ...]
    approvals: tuple[Approval, ...]
    overrides: tuple[Override, ...]
    now_ms: int


def read(client: Client, run_id: str) -> RunPage:
    """Read what there is about a run; its models are those that were evaluated and the one named `model`."""
    details = client.get_run(run_id)
    store = client.wiring.store
    evaluations = tuple(store.list_evaluations(run_id))
    models = {e.model_id: store.get_model(e.model_id) for e in evaluations}
    newest = store.find_model(run_id, DEFAULT_MODEL)
    if newest is not None:
        models.setdefault(newest.model_id, newest)
    approvals, overrides = client.list_approvals(run=run_id), client.list_overrides()
    return RunPage(
        details,
        tuple(models.values()),
        evaluations,
        tuple(store.list_decisions(run_id)),
        tuple(approvals),
        tuple(made for made in overrides if made.run_id == run_id),
        store.now_ms(),
    )


def page_json(page: RunPage) -> dict[str, Any]:
    """Return the page as plain JSON; `gate explain --json` has a decision with everything it was computed from."""
    return {
        **plain(page.details),
        "models": plain(page.models),
        "evaluations": [brief(evaluation) for evaluation in page.evaluations],
        "decisions": [brief(decision) for decision in page.decisions],
        "approvals": [approval.ref for approval in page.approvals],
        "overrides": plain(page.overrides),
    }


def draw(page: RunPage) -> Iterator[RenderableType]:
    """Yield the page's parts."""
    details, run = page.details, page.details.run
    yield cell(f"{run.experiment} · {run.name or run.key.partition}", "bold")
    yield facts(
        {
            "run": run.run_id,
            "key": run.key,
            "status": word(run.status.value),
            "reason": run.reason,
            "started": f"{when(run.started_at)} UTC",
            "duration": duration(run.started_at, run.ended_at) if run.ended_at else "",
            "logical date": f"{when(run.logical_date)} UTC" if run.logical_date else "",
            "parent run": run.parent_run_id,
            "source": pairs(run.source),
        }
    )
    if details.steps:
        yield heading("Steps")
        yield _steps(details.steps)
    for title, values in (
        ("Params", dict(details.params)),
        ("Metrics", {name: number(value) for name, value in details.metrics.items()}),
        ("Tags", dict(details.tags)),
    ):
        if values:
            yield heading(title)
            yield facts(dict(sorted(values.items())))
    if details.inputs:
        yield heading("Inputs")
        table = new_table("name", "role", "rows", "digest", "source", numbers=["rows"], prose=["source"])
        for data in details.inputs:
            add_row(table, data.name, data.role, f"{data.rows:,}", short(data.digest), data.source)
        yield table
    if page.models:
        yield heading("Models")
        yield _models(page.models)
    for evaluation in page.evaluations:
        yield from draw_evaluation(evaluation)
    for decision in page.decisions:
        yield from draw_decision(decision)
    if page.approvals:
        yield heading("Approvals")
        yield _approvals(page.approvals)
    if page.overrides:
        yield heading("Overrides: let past the gate by a person")
        yield _overrides(page.overrides, page.now_ms)


def _steps(steps: Sequence[StepSummary]) -> Table:
    errors = any(step.error for step in steps)
    columns = ["step", "state", "attempt", "started (UTC)", "duration", "where", *(["error"] if errors else [])]
    table = new_table(*columns, numbers=["attempt", "duration"], prose=["where", "error"])
    for step in steps:
        row: list[object] = [
            step.step,
            word(step.state.value),
            step.attempt,
            when(step.started_at),
            duration(step.started_at, step.ended_at),
            _where(step.host),
        ]
        add_row(table, *row, *([step.error] if errors else []))
    return table


def _approvals(approvals: Sequence[Approval]) -> Table:
    table = new_table("request", "role", "state", "answer", prose=["answer"])
    for approval in approvals:
        answer = approval.answer
        said = approval.lapsed if answer is None else f"{who(answer.actor)}: {one_line(answer.reason)}"
        add_row(table, short(approval.request.request_id), approval.request.role, word(approval.state.value), said)
    return table


def _overrides(overrides: Sequence[Override], now_ms: int) -> Table:
    table = new_table("override", "model", "by", "use", "reason", prose=["use", "reason"])
    for made in overrides:
        row = (short(made.override_id), made.model, who(made.actor), use_of(made, now_ms), one_line(made.reason))
        add_row(table, *row)
    return table


def _where(host: Mapping[str, Any]) -> str:
    """The machine, and an orchestrator's coordinates where one ran the step."""
    rest = {name: value for name, value in host.items() if name not in {"host", "pid"}}
    return ", ".join(part for part in (str(host.get("host", "")), pairs(rest)) if part)


def _models(models: Sequence[LoggedModel]) -> Table:
    table = new_table("model", "flavor", "size", "payload", numbers=["size"])
    for model in models:
        add_row(table, model.uri, model.flavor, size(model.size_bytes), short(model.payload_digest))
    return table
