"""One evaluation as one self-contained HTML page: the numbers first, then the plots. It fetches nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from penstock.evaluation import charts
from penstock.evaluation.numbers import metrics_table, slice_tables, speed_table, table
from penstock.evaluation.report_style import CSS, PALETTE
from penstock.model.decisions import GateDecision, Outcome, Verdict
from penstock.model.evaluations import BASELINE, CANDIDATE, BaselineRef, Evaluation

# What slices are shown by where nobody says: the first of these that was measured.
_CHOSEN = (
    "roc_auc",
    "accuracy",
    "mean_absolute_error",
    "ndcg",
    "pinball_loss",
    "f1_macro",
)
SIGNS = {Verdict.PASS.value: "✓", Verdict.FAIL.value: "✕", Verdict.INCONCLUSIVE.value: "?"}
_OUTCOMES = {Outcome.PASSED: "✓ passed", Outcome.FAILED: "✕ failed", Outcome.UNDECIDABLE: "? undecidable"}
_MOST_CLASSES = 30


def page(evaluation: Evaluation, title: str, *, metric: str | None = None, decision: GateDecision | None = None) -> str:
    """Return the page; slices are shown by `metric`. Everything that comes from data is escaped."""
    chosen, against = metric or chosen_metric(evaluation), name_of_baseline(evaluation)
    speed = speed_table(evaluation, against)
    return "".join(
        [
            head(title),
            f'<h1>{escape(title)}</h1><p class="soft">{_about(evaluation)}</p>',
            _verdict(decision),
            f"<h2>Metrics</h2>{metrics_table(evaluation, against)}",
            '<p class="soft">Below a value is its 95 % interval, where one can be stated.</p>',
            f"<h2>Speed and memory</h2>{speed}" if speed else "",
            plots_of(evaluation, chosen, against),
            slice_tables(evaluation, chosen, against),
            "</body></html>\n",
        ]
    )


def files_of(evaluation: Evaluation, title: str) -> dict[str, str]:
    """Return the page and each plot of it as files by name, `report.html` and `roc.svg` among them."""
    plots = charts.drawn(evaluation, chosen_metric(evaluation), name_of_baseline(evaluation))
    alone = {f"{name}.svg": _alone(svg, caption) for name, (caption, svg) in plots.items()}
    return {"report.html": page(evaluation, title), **alone}


def head(title: str) -> str:
    """Return how a page begins."""
    return "".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width,initial-scale=1">',
            f"<title>{escape(title)}</title><style>{CSS}</style></head><body>",
        ]
    )


def plots_of(evaluation: Evaluation, metric: str, against: str) -> str:
    """Return all plots with a legend, and the confusion matrices; empty where there is nothing to draw."""
    curves = evaluation.curves
    of = [(model, name) for model, name in ((CANDIDATE, "candidate"), (BASELINE, against)) if model in curves]
    matrices = "".join(figure(f"Confusion matrix, {name}", confusion(curves[model])) for model, name in of)
    drawn = charts.drawn(evaluation, metric, against)
    figures = "".join(figure(*plot) for plot in drawn.values())
    if not (figures or matrices):
        return ""
    classes = {CANDIDATE: "candidate", BASELINE: "champion"}
    keys = "".join(key(f'<path class="line {classes[model]}" d="M0,7H22"/>', name, 22) for model, name in of)
    if any(name.startswith("scores") for name in drawn):
        keys += key('<path class="outline" d="M0,7H22"/>', "negatives", 22)
        keys += key('<rect class="area candidate" y="2" width="22" height="10"/>', "positives", 22)
    return f'<h2>Plots</h2><div class="legend">{keys}</div><div class="plots">{matrices}{figures}</div>'


def confusion(curves: Mapping[str, Any]) -> str:
    """Return a table of rows by true and predicted class; empty without one, or for too many classes to read."""
    if "confusion" in curves:
        c = curves["confusion"]
        rows = [("truly negative", c["tn"], c["fp"]), ("truly positive", c["fn"], c["tp"])]
        return _matrix(["", "predicted −", "predicted +"], rows)
    found = curves.get("confusion_matrix")
    if not found or len(found["classes"]) > _MOST_CLASSES:
        return ""
    rows = [(f"truly {name}", *counts) for name, counts in zip(found["classes"], found["rows"], strict=True)]
    return _matrix(["", *(f"as {name}" for name in found["classes"])], rows)


def figure(caption: str, content: str) -> str:
    """Return a plot or table with its caption; empty where there is none."""
    return f"<figure><figcaption>{escape(caption)}</figcaption>{content}</figure>" if content else ""


def key(mark: str, text: str, width: int = 14) -> str:
    """Return an entry of a legend."""
    return f'<span><svg width="{width}" height="14" aria-hidden="true">{mark}</svg>{escape(text)}</span>'


def outcomes(decision: GateDecision) -> str:
    """Return what each rule of a decision said."""
    return "".join(f"<li>{_OUTCOMES[o.outcome]}: {escape(o.reason)}</li>" for o in decision.outcomes)


def chosen_metric(evaluation: Evaluation) -> str:
    """Return the metric that slices are shown by where nobody says."""
    found = [m.metric for m in evaluation.measurements if m.of == CANDIDATE and not m.slice and m.value is not None]
    return next((name for name in _CHOSEN if name in found), found[0] if found else _CHOSEN[0])


def name_of_baseline(evaluation: Evaluation) -> str:
    """Return what the baseline is called: by its alias, where it was found by one."""
    return (evaluation.baseline.alias if evaluation.baseline else "") or "baseline"


def _about(evaluation: Evaluation) -> str:
    data = evaluation.dataset
    said = [f"{escape(evaluation.task)}, {data.rows:,} rows of {escape(data.name)}"]
    if data.earliest is not None and data.latest is not None:
        said.append(f"from {data.earliest:%Y-%m-%d} to {data.latest:%Y-%m-%d}")
    for of, ref in ((name_of_baseline(evaluation), evaluation.baseline), ("anchor", evaluation.anchor)):
        if ref is not None:
            said.append(f"{escape(of)}: {escape(_named(ref))}")
    said.append(f"evaluation <code>{escape(evaluation.evaluation_id)}</code>")
    return " · ".join(said)


def _named(ref: BaselineRef) -> str:
    return f"{ref.declared} (none yet)" if ref.version is None and ref.alias else ref.declared


def _verdict(decision: GateDecision | None) -> str:
    if decision is None:
        return ""
    verdict = decision.verdict.value
    shown = f'<p><span class="verdict {verdict}">{SIGNS[verdict]} {verdict}</span> under policy '
    return f"{shown}{escape(decision.policy_name)}</p><ul>{outcomes(decision)}</ul>"


def _matrix(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> str:
    """Return a table of counts, each cell as dark as its share of its row."""
    cells = []
    for name, *counts in rows:
        total = sum(counts) or 1
        shaded = [f'<span class="shade" style="--share:{count / total:.3f}">{count:,}</span>' for count in counts]
        cells.append([escape(name), *shaded])
    return table(names, cells, kind="")


def _alone(svg: str, caption: str) -> str:
    """Return a plot as a file of its own, coloured by the reader's own setting, as the page is."""
    opened = svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    start = opened.index(">") + 1
    ground = '<rect width="100%" height="100%" style="fill:var(--ground)"/>'
    return f"{opened[:start]}<title>{escape(caption)}</title><style>{PALETTE}</style>{ground}{opened[start:]}\n"
