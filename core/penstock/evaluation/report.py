"""One self-contained HTML page about a pipeline's runs: the numbers first, then the plots. It fetches nothing."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from penstock.evaluation import plots
from penstock.evaluation.report_style import CSS
from penstock.model.decisions import Outcome, Verdict
from penstock.model.evaluations import BASELINE, CANDIDATE, Evaluation, Measurement
from penstock.model.stories import RunStory

NONE = "–"
_SIGNS = {Verdict.PASS.value: "✓", Verdict.FAIL.value: "✕", Verdict.INCONCLUSIVE.value: "?"}
_OUTCOME_SIGNS = {Outcome.PASSED: "✓ passed", Outcome.FAILED: "✕ failed", Outcome.UNDECIDABLE: "? undecidable"}


def write_report(stories: Sequence[RunStory], path: Path, *, title: str, metric: str = "roc_auc") -> Path:
    """Write the page about `stories` and return its path; the file appears whole or not at all.

    Runs are shown by logical date where all have one, else by when they started. Everything that comes from data is
    escaped. Missing folders are made.
    """
    by_date = all(story.run.logical_date is not None for story in stories)
    ordered = sorted(stories, key=lambda s: (by_date and s.run.logical_date) or s.run.started_at)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        unfinished.write_text(_page(ordered, title, metric), encoding="utf-8")
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
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width,initial-scale=1">',
            f"<title>{escape(title)}</title><style>{CSS}</style></head><body>",
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
            _value(evaluation.find(metric, CANDIDATE) if evaluation else None),
            _value(evaluation.find(metric, BASELINE) if evaluation else None),
            _verdict(story),
            escape(decision.reasons if decision else story.run.reason or NONE),
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
        _key('<g class="candidate"><circle cx="7" cy="7" r="5.5"/></g>', "candidate, passed")
        + _key('<g class="candidate"><path class="cross" d="M2,2l10,10m0,-10l-10,10"/></g>', "failed")
        + _key('<g class="candidate"><circle class="ring" cx="7" cy="7" r="5"/></g>', "inconclusive")
        + _key('<path class="line champion" d="M0,7H22"/>', "champion on the same rows", 22)
        + _key('<path class="promotion" d="M7,0V14"/>', "promoted")
    )
    return f'<h2>{escape(metric)} by partition</h2><div class="legend">{legend}</div><div class="scroll">{plot}</div>'


def _key(mark: str, text: str, width: int = 14) -> str:
    return f'<span><svg width="{width}" height="14" aria-hidden="true">{mark}</svg>{text}</span>'


def _section(story: RunStory, metric: str, *, opened: bool) -> str:
    evaluation = story.evaluation
    if evaluation is None:
        return ""
    data = evaluation.dataset
    against = f"champion {_champion_before(story)}" if evaluation.baseline else "no baseline"
    found = evaluation.find(metric, CANDIDATE)
    return "".join(
        [
            f"<details{' open' if opened else ''}><summary>{escape(story.run.key.partition)} · {_verdict(story)} · ",
            f"{escape(metric)} {_value(found)}</summary>",
            f'<p class="soft">{data.rows:,} rows of {escape(data.name)}; {escape(against)}; run ',
            f"<code>{escape(story.run.run_id)}</code></p>",
            _outcomes(story),
            _drawn(evaluation.curves),
            f"<h3>Metrics</h3>{_metrics(evaluation)}",
            _slices(evaluation, metric),
            "</details>",
        ]
    )


def _outcomes(story: RunStory) -> str:
    if story.decision is None:
        return ""
    lines = (f"<li>{_OUTCOME_SIGNS[o.outcome]}: {escape(o.reason)}</li>" for o in story.decision.outcomes)
    return f"<h3>Gate: policy {escape(story.decision.policy_name)}</h3><ul>{''.join(lines)}</ul>"


def _drawn(curves: Mapping[str, Any]) -> str:
    roles = [(of, name) for of, name in ((CANDIDATE, "candidate"), (BASELINE, "champion")) if of in curves]
    keys = "".join(_key(f'<path class="line {name}" d="M0,7H22"/>', name, 22) for _, name in roles)
    tables = "".join(_figure(f"Confusion matrix, {name}", _confusion(curves[of])) for of, name in roles)
    figures = _figure("ROC", plots.roc(curves)) + _figure("Calibration", plots.calibration(curves))
    return f'<div class="legend">{keys}</div><div class="plots">{figures}<div>{tables}</div></div>'


def _figure(caption: str, content: str) -> str:
    return f"<figure><figcaption>{escape(caption)}</figcaption>{content}</figure>" if content else ""


def _confusion(curves: Mapping[str, Any]) -> str:
    if "confusion" not in curves:
        return ""
    c = curves["confusion"]
    rows = "".join(
        f'<tr><th>{name}</th><td class="number">{c[no]:,}</td><td class="number">{c[yes]:,}</td></tr>'
        for name, no, yes in (("truly negative", "tn", "fp"), ("truly positive", "fn", "tp"))
    )
    head = '<tr><th></th><th class="number">predicted −</th><th class="number">predicted +</th></tr>'
    return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"


def _metrics(evaluation: Evaluation) -> str:
    names = dict.fromkeys(m.metric for m in evaluation.measurements if not m.slice)
    pairs = ((name, evaluation.find(name, CANDIDATE), evaluation.find(name, BASELINE)) for name in names)
    rows = "".join(f"<tr><td>{escape(name)}</td>{_values(new, old, causes=True)}</tr>" for name, new, old in pairs)
    return _compared("metric", rows)


def _slices(evaluation: Evaluation, metric: str) -> str:
    """Show the chosen metric on every slice, smallest value first: that is where a model is weak."""
    tables = []
    for column in dict.fromkeys(c for m in evaluation.measurements if len(m.slice) == 1 for c in m.slice):
        found = [m for m in evaluation.measurements if m.metric == metric and m.of == CANDIDATE and column in m.slice]
        found.sort(key=lambda m: (m.value is not None, m.value == m.value, m.value))
        rows = "".join(
            f"<tr><td>{escape(m.slice[column])}</td>{_values(m, evaluation.find(metric, BASELINE, m.slice))}"
            f'<td class="number">{m.n:,}</td></tr>'
            for m in found
        )
        tables.append(f"<h3>{escape(metric)} by {escape(column)}</h3>" + _compared(column, rows, "rows"))
    return "".join(tables)


def _compared(first: str, rows: str, last: str = "") -> str:
    names = ("candidate", "champion", "difference", *([last] if last else []))
    head = f"<th>{escape(first)}</th>" + "".join(f'<th class="number">{name}</th>' for name in names)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _values(new: Measurement | None, old: Measurement | None, *, causes: bool = False) -> str:
    difference = NONE
    if new is not None and old is not None and new.value is not None and old.value is not None:
        difference = f"{new.value - old.value:+.4f}"
    cells = (_value(new, cause=causes), _value(old, cause=causes), difference)
    return "".join(f'<td class="number">{cell}</td>' for cell in cells)


def _value(found: Measurement | None, *, cause: bool = False) -> str:
    if found is None:
        return NONE
    why = f' <span class="soft">({escape(found.cause)})</span>' if cause and found.cause else ""
    if found.value is None:
        return f'<span title="{escape(found.cause)}">undefined</span>{why}'
    return (f"{found.value:.4f}" if found.value == found.value else "NaN") + why


def _verdict(story: RunStory) -> str:
    if story.decision is None:
        return f'<span class="verdict NONE">no decision ({escape(story.run.status.value)})</span>'
    verdict = story.decision.verdict.value
    return f'<span class="verdict {verdict}">{_SIGNS[verdict]} {verdict}</span>'


def _champion_before(story: RunStory) -> str:
    baseline = story.evaluation.baseline if story.evaluation else None
    if baseline is None:
        return NONE if story.evaluation is None else "none"
    return "none" if baseline.version is None else f"v{baseline.version}"


def _champion_after(story: RunStory) -> str:
    return f"v{story.moves[-1].to_version}" if story.moves else _champion_before(story)
