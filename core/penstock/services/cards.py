"""A model card from the record: what a version is, what it was trained and measured on, and why it was let in.

Everything in it comes from the store; nothing is asked of the network or of the model's bytes. What data or people
wrote is escaped: it cannot become markup, links or scripts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Any

from penstock.model.audit import Actor
from penstock.model.evaluations import BASELINE, CANDIDATE, BaselineRef, Evaluation, Measurement
from penstock.model.lineage import Lineage
from penstock.model.runs import split_value

NONE = "–"
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+!|~&$])")
_CSS = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:0 auto;"
    "padding:1.5rem 1rem 4rem}h1{font-size:1.5rem;overflow-wrap:anywhere}h2{font-size:1.15rem;margin:2rem 0 .5rem}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.35rem .6rem;"
    "border-bottom:1px solid #8886;overflow-wrap:anywhere}th{font-size:.9rem}.scroll{overflow-x:auto}"
    "blockquote{margin:.5rem 0;padding-left:1rem;border-left:3px solid #8886;white-space:pre-wrap}"
)
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


@dataclass(frozen=True)
class Section:
    """A part of a card: text that people wrote, or a table."""

    title: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    text: str = ""


def card(lineage: Lineage, *, html: bool = False) -> str:
    """Return the model card of a version: Markdown, or one self-contained page of HTML that fetches nothing."""
    title = f"{lineage.version.model} v{lineage.version.version}"
    sections = [section for section in _sections(lineage) if section.rows or section.text]
    return _html(title, sections) if html else _markdown(title, sections)


def _sections(of: Lineage) -> Iterator[Section]:
    version, run, model = of.version, of.run.run, of.model
    yield Section("Description", text=of.notes.description)
    facts = {
        "Model": version.uri,
        "State": version.state.value,
        "Aliases": ", ".join(of.aliases),
        "Registered": _time(version.created_at),
        "Kind": f"{model.facts.get('estimator', '')} ({model.flavor} {model.facts.get('flavor_version', '')})",
        "Size": f"{model.size_bytes:,} bytes in {len(model.files)} files",
        "Payload": f"sha256 {version.payload_digest}",
        **{f"Tag {name}": value for name, value in of.notes.tags.items()},
    }
    yield _facts("This version", facts)
    code = of.code
    yield _facts(
        "How it was trained",
        {
            "Run": f"{run.run_id} ({run.key})",
            "Experiment": run.experiment,
            "Data interval": _time(run.logical_date),
            "Started": _time(run.started_at),
            "Code": " ".join(f"{name}={_plain(value)}" for name, value in sorted(code.items())),
            **{f"Param {name}": value for name, value in sorted(of.run.params.items())},
        },
    )
    data = [(found.role, found.name, f"{found.rows:,}", found.digest) for found in of.run.inputs]
    if of.evaluation is not None:
        held = of.evaluation.dataset
        data.append((held.role, held.name, f"{held.rows:,}", held.digest))
    yield Section("Data", ("role", "name", "rows", "digest"), tuple(data))
    yield Section("What it takes", ("column", "type", "required"), tuple(_signature(model.facts.get("signature"))))
    if of.evaluation is not None:
        against = of.evaluation.baseline
        named = NONE if against is None else _against(against)
        yield Section(f"Measured, against {named}", ("metric", "this", "baseline", "rows"), _measured(of.evaluation))
        yield Section("Measured by slice", ("slice", "metric", "this", "baseline", "rows"), _sliced(of.evaluation))
    yield from _let_in(of)
    yield Section(
        "Seen to load and predict",
        ("when", "outcome", "on", "where"),
        tuple((_time(c.checked_at), c.error or "passed", _rows_of(c.facts), _where(c.facts)) for c in of.checks),
    )
    yield Section(
        "Where it has been",
        ("when", "alias", "instead of", "by", "why"),
        tuple(
            (_time(m.moved_at), m.alias, _version(m.from_version), str(Actor(**m.moved_by)), m.authorization.reason)
            for m in of.moves
        ),
    )


def _against(baseline: BaselineRef) -> str:
    where = "nothing yet" if baseline.version is None and baseline.alias else _version(baseline.version)
    return f"{baseline.declared} ({where})" if baseline.alias else baseline.declared


def _let_in(of: Lineage) -> Iterator[Section]:
    by, decision = of.version.authorization, of.decision
    yield _facts(
        "Why it was let in",
        {
            "Authorized by": f"{by.kind.value} {by.decision_id or by.authorization_id}",
            "Actor": str(Actor(**by.actor)) if by.actor else "",
            "Reason": by.reason,
            "Policy": "" if decision is None else f"{decision.policy_name}, sha256 {decision.policy_digest}",
        },
    )
    if decision is not None:
        outcomes = tuple((o.outcome.value, _plain(o.rule), o.reason) for o in decision.outcomes)
        yield Section("Rules", ("outcome", "rule", "reason"), outcomes)
    approvals = tuple((a["time"], a["kind"], str(Actor(**a["actor"])), str(a["why"])) for a in of.approvals)
    yield Section("Approvals", ("when", "what", "who", "why"), approvals)


def _facts(title: str, facts: Mapping[str, str]) -> Section:
    return Section(title, ("", ""), tuple((name, value) for name, value in facts.items() if value))


def _measured(evaluation: Evaluation) -> tuple[tuple[str, ...], ...]:
    overall = [m for m in evaluation.measurements if m.of == CANDIDATE and not m.slice]
    return tuple((m.metric, _value(m), _value(evaluation.find(m.metric, BASELINE)), f"{m.n:,}") for m in overall)


def _sliced(evaluation: Evaluation) -> tuple[tuple[str, ...], ...]:
    sliced = [m for m in evaluation.measurements if m.of == CANDIDATE and m.slice]
    return tuple(
        (
            ", ".join(f"{column}={value}" for column, value in m.slice.items()),
            m.metric,
            _value(m),
            _value(evaluation.find(m.metric, BASELINE, m.slice)),
            f"{m.n:,}",
        )
        for m in sliced
    )


def _signature(block: Any) -> Iterator[tuple[str, ...]]:
    try:
        columns = json.loads(block["inputs"])
        for place, column in enumerate(columns):
            yield str(column.get("name", place)), str(column["type"]), str(column.get("required", True)).lower()
    except (TypeError, KeyError, ValueError, AttributeError):
        return


def _value(found: Measurement | None) -> str:
    if found is None:
        return NONE
    if found.value is None:
        return f"undefined ({found.cause})"
    kind, value = split_value(found.value)
    return kind.value if value is None else f"{value:.6g}"


def _rows_of(facts: Mapping[str, Any]) -> str:
    return f"{facts['rows']} rows of {facts['rows_from']}" if "rows" in facts else NONE


def _where(facts: Mapping[str, Any]) -> str:
    packages = {"python": facts.get("python"), **facts.get("packages", {})}
    return ", ".join(f"{name} {version}" for name, version in packages.items() if version) or NONE


def _version(number: int | None) -> str:
    return "nothing" if number is None else f"v{number}"


def _time(time: datetime | None) -> str:
    return "" if time is None else f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)


def _markdown(title: str, sections: Sequence[Section]) -> str:
    lines = [f"# {_escaped(title)}", ""]
    for section in sections:
        lines += [f"## {_escaped(section.title)}", ""]
        if section.text:
            lines += [f"> {_escaped(line)}" for line in section.text.splitlines()] + [""]
        if section.rows:
            rows = (section.columns, tuple("---" for _ in section.columns))
            lines += [f"| {' | '.join(row)} |" for row in rows]
            lines += [f"| {' | '.join(_escaped(cell) or NONE for cell in row)} |" for row in section.rows] + [""]
    return "\n".join(lines)


def _escaped(text: str) -> str:
    """Return text on one line in which nothing is markup."""
    return _MARKDOWN.sub(r"\\\1", _printable(" ".join(text.split())))


def _html(title: str, sections: Sequence[Section]) -> str:
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">',
        f"<title>{_safe(title)}</title><style>{_CSS}</style></head><body><h1>{_safe(title)}</h1>",
    ]
    for section in sections:
        parts.append(f"<h2>{_safe(section.title)}</h2>")
        if section.text:
            parts.append(f"<blockquote>{_safe(section.text)}</blockquote>")
        if section.rows:
            head = "".join(f'<th scope="col">{_safe(name)}</th>' for name in section.columns)
            head = f"<thead><tr>{head}</tr></thead>" if any(section.columns) else ""
            body = "".join(f"<tr>{''.join(f'<td>{_safe(cell)}</td>' for cell in row)}</tr>" for row in section.rows)
            parts.append(f'<div class="scroll"><table>{head}<tbody>{body}</tbody></table></div>')
    return "".join([*parts, "</body></html>\n"])


def _safe(text: str) -> str:
    return escape(_printable(text, keep="\n\t"))


def _printable(text: str, keep: str = "") -> str:
    """Return text without characters that steer a terminal or turn the direction of writing: they are written out."""
    return "".join(c if c.isprintable() or c in keep else repr(c)[1:-1] for c in text)
