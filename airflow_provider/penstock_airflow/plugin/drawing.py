"""The page's HTML. Everything that comes from data is escaped; there is no script, and nothing is fetched.

Inside Airflow the page stands in a sandboxed frame, where a click would arrive without the login: what is to be read
there is all on one page, and links are drawn only where the page has a window to itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

from penstock.evaluation.report_style import CSS
from penstock.model.approvals import Approval
from penstock.model.audit import Actor
from penstock.model.decisions import GateDecision
from penstock.model.runs import RunDetails
from penstock.model.stories import RunStory
from penstock.services.explaining import as_html
from penstock_airflow.links import page_path, root
from penstock_airflow.plugin.records import AliasHistory

STYLE = (
    CSS
    + """
a{color:var(--candidate)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem;overflow-wrap:anywhere}
dt{color:var(--soft)}dd{margin:0}
pre{overflow-x:auto;background:var(--panel);padding:.75rem;border-radius:.4rem;font-size:.85rem}
section.decision table{display:block;overflow-x:auto;margin-bottom:1rem}
details section.decision h2{margin-top:.75rem}
table.list td:first-child{min-width:6.5rem;overflow-wrap:anywhere}
@media(max-width:720px){
table.list thead{display:none}table.list,table.list tbody,table.list td{display:block}
table.list tr{display:block;border:1px solid var(--rule);border-radius:.5rem;margin:.6rem 0;padding:.4rem .75rem}
table.list td{border:0;padding:.1rem 0;overflow-wrap:anywhere}
table.list td:empty{display:none}
table.list td::before{content:attr(data-name) " ";color:var(--soft);font-size:.8rem}
dl{grid-template-columns:1fr}dd{margin-bottom:.4rem}}
"""
)


def page(title: str, *parts: str) -> str:
    """Return a whole page."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><h1>{escape(title)}</h1>"
        f"{''.join(parts)}</body></html>\n"
    )


def problem(title: str, said: str) -> str:
    """Return a page that says what is wrong."""
    return page(title, f"<p>{escape(said)}</p>")


def overview(newest: Mapping[str, RunStory], linked: bool) -> str:
    """Draw the DAGs that have tracked runs, each with what its newest came to."""
    rows = [
        (
            _link(dag_id, page_path(dag_id), linked),
            escape(story.run.key.partition),
            _status(story),
            _verdict(story.decision),
            _moved(story),
        )
        for dag_id, story in newest.items()
    ]
    if not rows:
        return page("Penstock", "<p>None of the DAGs that you may read has tracked a run.</p>")
    return page("Penstock", _list(("DAG", "newest partition", "run", "gate", "alias"), rows))


def runs_page(
    title: str, dag_id: str, stories: Sequence[RunStory], histories: Sequence[AliasHistory], linked: bool
) -> str:
    """Draw a DAG's runs, newest first, with the reasons of every decision, and the history of the aliases."""
    if not stories:
        return page(title, "<p>No run is tracked here: no task has opened one.</p>")
    nav = [_link("all DAGs", f"{root()}/", True), _link("report with plots", page_path(dag_id, "report"), True)]
    rows = [
        (
            _link(story.run.key.partition, page_path(dag_id, "runs", story.run.run_id), linked),
            _time(story.run.started_at),
            _status(story),
            _verdict(story.decision),
            _moved(story),
            escape("; ".join(filter(None, (story.run.reason or _reasons(story), story.overruled)))),
        )
        for story in stories
    ]
    return page(
        title,
        f"<p>{' · '.join(nav)}</p>" if linked else "",
        _list(("partition", "started (UTC)", "run", "gate", "alias", "why"), rows),
        *(_history(found) for found in histories),
        "<h2>Decisions</h2>" if any(story.decision for story in stories) else "",
        *(_folded(story, opened=place == 0) for place, story in enumerate(s for s in stories if s.decision)),
    )


def run_page(dag_id: str, details: RunDetails, story: RunStory, linked: bool) -> str:
    """Draw one run: what it logged, its steps, and its decision."""
    run = details.run
    nav = _link(dag_id, page_path(dag_id), True)
    facts = {
        "status": run.status.value,
        "reason": run.reason,
        "experiment": run.experiment,
        "key": str(run.key),
        "started (UTC)": _time(run.started_at),
        "ended (UTC)": _time(run.ended_at),
        "run id": run.run_id,
    }
    steps = [
        (
            escape(str(step.step)),
            escape(step.state.value),
            str(step.attempt),
            _time(step.started_at),
            _time(step.ended_at),
            escape(step.error),
        )
        for step in details.steps
    ]
    numbers = [(escape(name), f"{value:.6g}") for name, value in sorted(details.metrics.items())]
    params = [(escape(name), escape(value)) for name, value in sorted(details.params.items())]
    return page(
        f"Run {run.key.partition}",
        f"<p>{nav}</p>" if linked else "",
        _facts(facts),
        "<h2>Steps</h2>" + _list(("step", "state", "attempt", "started", "ended", "error"), steps) if steps else "",
        "<h2>Metrics</h2>" + _list(("metric", "value"), numbers) if numbers else "",
        "<h2>Params</h2>" + _list(("param", "value"), params) if params else "",
        "" if story.decision is None else as_html(story.decision),
    )


def decision_page(dag_id: str, decision: GateDecision, approval: Approval | None, linked: bool) -> str:
    """Draw one decision: the rules, the numbers, and what a person said."""
    nav = _link("run", page_path(dag_id, "runs", decision.run_id), True)
    return page(
        f"Decision {decision.decision_id[:12]}",
        f"<p>{_link(dag_id, page_path(dag_id), True)} · {nav}</p>" if linked else "",
        as_html(decision),
        "" if approval is None else _answered(approval),
    )


def _answered(approval: Approval) -> str:
    request, answer = approval.request, approval.answer
    facts = {"asked of": request.role, "state": approval.state.value, "lapsed": approval.lapsed}
    if answer is not None:
        facts |= {"by": str(Actor(**answer.actor)), "reason": answer.reason, "at (UTC)": _time(answer.answered_at)}
    return "<h2>Approval</h2>" + _facts(facts)


def _history(found: AliasHistory) -> str:
    head = f"<h2>{escape(found.model)}@{escape(found.alias)}, newest first</h2>"
    rows = [
        (
            _time(move.moved_at),
            f"{_version(move.from_version)} → {_version(move.to_version)}",
            escape(move.authorization.kind.value),
            escape(str(Actor(**move.moved_by)) if move.moved_by else ""),
            escape(move.authorization.reason),
        )
        for move in found.moves
    ]
    columns = ("moved (UTC)", "from → to", "under", "by", "reason")
    return head + (_list(columns, rows) if rows else "<p>It has never pointed to a version.</p>")


def _folded(story: RunStory, *, opened: bool) -> str:
    if story.decision is None:
        return ""
    summary = f"{escape(story.run.key.partition)} {_verdict(story.decision)}"
    return f"<details{' open' if opened else ''}><summary>{summary}</summary>{as_html(story.decision)}</details>"


def _status(story: RunStory) -> str:
    return escape(story.run.status.value)


def _verdict(decision: GateDecision | None) -> str:
    word = "NONE" if decision is None else decision.verdict.value
    return f'<span class="verdict {word}">{"not decided" if decision is None else word}</span>'


def _reasons(story: RunStory) -> str:
    return "" if story.decision is None else story.decision.reasons


def _moved(story: RunStory) -> str:
    return ", ".join(
        f'<span class="moved">{escape(move.alias)}: {_version(move.from_version)} → {_version(move.to_version)}</span>'
        for move in story.moves
    )


def _version(number: int | None) -> str:
    return "none" if number is None else f"version {number}"


def _time(time: datetime | None) -> str:
    return "" if time is None else f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _link(text: str, path: str, linked: bool) -> str:
    return f'<a href="{escape(path)}">{escape(text)}</a>' if linked else escape(text)


def _facts(facts: Mapping[str, Any]) -> str:
    return "<dl>" + "".join(f"<dt>{k}</dt><dd>{escape(str(v))}</dd>" for k, v in facts.items() if v) + "</dl>"


def _list(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Draw a table of cells that are HTML already; on a phone each row is a card."""
    head = "".join(f"<th>{column}</th>" for column in columns)
    body = "".join(
        "<tr>" + "".join(f'<td data-name="{c}">{cell}</td>' for c, cell in zip(columns, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table class="list"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
