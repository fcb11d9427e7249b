"""One self-contained HTML page about a pipeline's runs: the numbers first, then the plots. It fetches nothing."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from html import escape
from pathlib import Path

from penstock.evaluation import plots
from penstock.evaluation.evaluation_page import SIGNS, head, key, outcomes, page, plots_of
from penstock.evaluation.numbers import NONE, metrics_table, slice_tables, value
from penstock.model.decisions import GateDecision, blocking_of
from penstock.model.evaluations import BASELINE, CANDIDATE, Evaluation
from penstock.model.stories import RunStory

CHAMPION = "champion"


def write_report(stories: Sequence[RunStory], path: Path, *, title: str, metric: str = "roc_auc") -> Path:
    """Write the page about `stories` and return its path; the file appears whole or not at all.

    Runs are shown by logical date where all have one, else by when they started. Everything that comes from data is
    escaped. Missing folders are made.
    """
    by_date = all(story.run.logical_date is not None for story in stories)
    ordered = sorted(stories, key=lambda s: (by_date and s.run.logical_date) or s.run.started_at)
    return _written(_page(ordered, title, metric), Path(path))


def write_evaluation_report(
    evaluation: Evaluation, path: Path, *, title: str, metric: str | None = None, decision: GateDecision | None = None
) -> Path:
    """Write the page about one evaluation, as `write_report` does."""
    return _written(page(evaluation, title, metric=metric, decision=decision), Path(path))


def _written(text: str, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        unfinished.write_text(text, encoding="utf-8")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def _page(stories: Sequence[RunStory], title: str, metric: str) -> str:
    promotions = sum(bool(story.moves) for story in stories)
    refusals = sum(story.decision is not None and not story.decision.passed for story in stories)
    count = f"{len(stories)} runs · {promotions} moved the alias · {refusals} refused or inconclusive"
    measured = [story for story in stories if story.evaluation is not None]
    return "".join(
        [
            head(title),
            f'<h1>{escape(title)}</h1><p class="soft">{count}</p>',
            _runs_table(stories, metric),
            _partitions(stories, metric),
            "<h2>Evaluations, newest first</h2>" if measured else "",
            *(_section(story, metric, opened=place == 0) for place, story in enumerate(reversed(measured))),
            "</body></html>\n",
        ]
    )


def _runs_table(stories: Sequence[RunStory], metric: str) -> str:
    numbers = (f"candidate {metric}", f"champion {metric}")
    names = ("partition", "run", "champion before", *numbers, "verdict", "why", "champion after")
    head = "".join(f"<th{_number_class(name, metric)}>{escape(name)}</th>" for name in names)
    rows = []
    for story in stories:
        evaluation, decision = story.evaluation, story.decision
        cells = (
            escape(story.run.key.partition),
            f"<code>{escape(story.run.run_id[:8])}</code>",
            escape(_champion_before(story)),
            value(evaluation.find(metric, CANDIDATE) if evaluation else None),
            value(evaluation.find(metric, BASELINE) if evaluation else None),
            _verdict(story),
            escape(
                "; ".join(filter(None, (_why(decision) if decision else story.run.reason, story.overruled))) or NONE
            ),
            f'<span class="moved">{escape(_champion_after(story))}</span>' if story.moves else _champion_after(story),
        )
        rows.append("<tr>" + "".join(_cell(n, c, metric) for n, c in zip(names, cells, strict=True)) + "</tr>")
    body = "".join(rows)
    return f'<div class="scroll"><table class="runs"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(name: str, content: str, metric: str) -> str:
    kind = ' class="why"' if name == "why" else _number_class(name, metric)
    return f'<td{kind} data-name="{escape(name)}"><span>{content}</span></td>'


def _number_class(name: str, metric: str) -> str:
    return ' class="number"' if name.endswith(f" {metric}") else ""


def _partitions(stories: Sequence[RunStory], metric: str) -> str:
    points = [
        plots.PartitionPoint(
            story.run.key.partition,
            story.evaluation.value(metric, CANDIDATE) if story.evaluation else None,
            story.evaluation.value(metric, BASELINE) if story.evaluation else None,
            story.decision.verdict.value if story.decision else "",
            _champion_after(story) if story.moves else "",
        )
        for story in stories
    ]
    plot = plots.over_partitions(points, metric)
    if not plot:
        return (
            f'<h2>{escape(metric)} by partition</h2><p class="soft">No run has a finite value.</p>' if stories else ""
        )
    legend = (
        key('<g class="candidate"><circle cx="7" cy="7" r="5.5"/></g>', "candidate, passed")
        + key('<g class="candidate"><path class="cross" d="M2,2l10,10m0,-10l-10,10"/></g>', "failed")
        + key('<g class="candidate"><circle class="ring" cx="7" cy="7" r="5"/></g>', "inconclusive")
        + key('<path class="line champion" d="M0,7H22"/>', "champion on the same rows", 22)
        + key('<path class="promotion" d="M7,0V14"/>', "promoted")
    )
    return f'<h2>{escape(metric)} by partition</h2><div class="legend">{legend}</div><div class="scroll">{plot}</div>'


def _section(story: RunStory, metric: str, *, opened: bool) -> str:
    evaluation = story.evaluation
    if evaluation is None:
        return ""
    data = evaluation.dataset
    against = f"champion {_champion_before(story)}" if evaluation.baseline else "no baseline"
    found, decision = evaluation.find(metric, CANDIDATE), story.decision
    return "".join(
        [
            f"<details{' open' if opened else ''}><summary>{escape(story.run.key.partition)} · {_verdict(story)} · ",
            f"{escape(metric)} {value(found)}</summary>",
            f'<p class="soft">{data.rows:,} rows of {escape(data.name)}; {escape(against)}; run ',
            f"<code>{escape(story.run.run_id)}</code></p>",
            f"<h3>Gate: policy {escape(decision.policy_name)}</h3><ul>{outcomes(decision)}</ul>" if decision else "",
            f"<h3>Metrics</h3>{metrics_table(evaluation, CHAMPION)}",
            plots_of(evaluation, metric, CHAMPION),
            slice_tables(evaluation, metric, CHAMPION),
            "</details>",
        ]
    )


def _verdict(story: RunStory) -> str:
    if story.decision is None:
        return f'<span class="verdict NONE">no decision ({escape(story.run.status.value)})</span>'
    verdict = story.decision.verdict.value
    return f'<span class="verdict {verdict}">{SIGNS[verdict]} {verdict}</span>'


def _why(decision: GateDecision) -> str:
    """Return the first of what blocked, and how much more did: all of it is told in the evaluation's own section."""
    first, *others = [outcome.reason for outcome in blocking_of(decision.outcomes)] or [decision.reasons]
    return f"{first}; and {len(others)} more" if others else first


def _champion_before(story: RunStory) -> str:
    baseline = story.evaluation.baseline if story.evaluation else None
    if baseline is None:
        return NONE if story.evaluation is None else "none"
    return "none" if baseline.version is None else f"v{baseline.version}"


def _champion_after(story: RunStory) -> str:
    return story.moved_to or _champion_before(story)
