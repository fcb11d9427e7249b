"""A decision for people elsewhere: a short text for a chat message, a part of an HTML page, a JUnit report for CI."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from penstock.model.audit import Actor
from penstock.model.decisions import GateDecision, Outcome, RuleOutcome, blocking_of
from penstock.services.deciding.flips import told_of

_LONGEST = 400
_STYLE = (
    ".decision{font:15px/1.5 system-ui,sans-serif;max-width:75rem;margin:1rem auto;overflow-wrap:break-word}"
    ".decision table{border-collapse:collapse;margin:1rem 0;display:block;overflow-x:auto}"
    ".decision th,.decision td{padding:.35rem .7rem;text-align:left;vertical-align:top;border-bottom:1px solid #8886}"
    ".decision dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}.decision dd{margin:0}"
    ".decision dt{opacity:.7}"
)
_WORDS = {Outcome.PASSED: "passed", Outcome.FAILED: "failed", Outcome.UNDECIDABLE: "undecidable"}


def short_text(decision: GateDecision) -> str:
    """Return a few lines for a chat message: the verdict, on what, and each reason that matters, cut to size."""
    blocking = blocking_of(decision.outcomes)
    head = f"{decision.verdict.value}: {decision.model}@{decision.alias} under policy {decision.policy_name}"
    lines = [f"- {_cut(outcome.reason)}" for outcome in blocking] or [_cut(decision.reasons)]
    by = f" by {Actor(**decision.actor)}" if decision.actor else ""
    return "\n".join([head, *lines, _cut(told_of(decision)), f"(decision {decision.decision_id[:12]}{by})"])


def numbers(outcomes: Sequence[RuleOutcome]) -> Iterator[RuleOutcome]:
    """Yield the outcomes, at any depth, that compared a metric: where the numbers are."""
    for outcome in outcomes:
        if outcome.parts:
            yield from numbers(outcome.parts)
        elif "metric" in outcome.compared:
            yield outcome


def compared_cells(outcome: RuleOutcome) -> dict[str, str]:
    """Return what a metric's outcome compared, in words by column: nothing but what is in the record."""
    seen = outcome.compared
    candidate, baseline = seen.get("candidate", {}), seen.get("baseline")
    difference = "difference " if "factor" in seen else ""
    interval, level = seen.get("interval"), seen.get("level")
    at = f" ({level * 100:.4g} %)" if isinstance(level, int | float) else ""
    return {
        "metric": str(seen["metric"]),
        "slice": ", ".join(f"{name}={value}" for name, value in seen.get("slice", {}).items()) or "all rows",
        "value": _value(candidate),
        "baseline": "–" if baseline is None else _value(baseline),
        "must be": " and ".join(
            f"{difference}{bound['side']} {_number(bound['value'])}" for bound in seen.get("bounds", ())
        )
        or "–",
        "interval": "–" if interval is None else f"{_number(interval['lower'])} to {_number(interval['upper'])}{at}",
        "n": f"{candidate['n']:,}" if isinstance(candidate.get("n"), int) else "–",
        "nearest flip": _flip(outcome),
        "cause": outcome.cause.replace("_", " ") or "–",
    }


def as_html(decision: GateDecision, *, styled: bool = False) -> str:
    """Return a decision as a part of an HTML page: everything in it is escaped, and there is no script.

    `styled` brings a few rules of style along, for a page that has none of its own for tables.
    """
    rows = [_row("th", ("outcome", "rule", "reason"))]
    rows += [_row("td", (o.outcome.value, next(iter(o.rule), ""), o.reason)) for o in decision.outcomes]
    shown = [{"outcome": outcome.outcome.value, **compared_cells(outcome)} for outcome in numbers(decision.outcomes)]
    measured = [_row("th", tuple(shown[0])), *(_row("td", tuple(cells.values())) for cells in shown)] if shown else []
    facts = {
        "model": f"{decision.model}@{decision.alias}, generation {decision.alias_generation}",
        "policy": f"{decision.policy_name} (sha256 {decision.policy_digest})",
        "candidate": f"payload sha256 {decision.payload_digest}",
        "data": f"digest {decision.data_digest}",
        "baseline": "there was none" if decision.no_baseline else f"version {decision.baseline_version}",
        "by": str(Actor(**decision.actor)) if decision.actor else "",
        "decided with": decision.code_version,
    }
    parts = [
        f'<section class="decision" id="decision-{html.escape(decision.decision_id)}">',
        f"<style>{_STYLE}</style>" if styled else "",
        f"<h2>{decision.verdict.value}: {html.escape(decision.model)}@{html.escape(decision.alias)}</h2>",
        f"<p>{html.escape(decision.reasons)}</p>",
        f"<p>{html.escape(told_of(decision))}</p>",
        "<table>" + "".join(rows) + "</table>",
        "<table>" + "".join(measured) + "</table>" if measured else "",
        "<dl>" + "".join(f"<dt>{name}</dt><dd>{html.escape(value)}</dd>" for name, value in facts.items()) + "</dl>",
        f"<details><summary>policy</summary><pre>{html.escape(decision.policy_text)}</pre></details>",
        "</section>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def as_junit(decision: GateDecision) -> str:
    """Return a decision as a JUnit XML report: a test case for each rule, failed as `failure`, undecided as `error`."""
    outcomes = decision.outcomes
    failed = sum(outcome.outcome is Outcome.FAILED for outcome in outcomes)
    undecided = sum(outcome.outcome is Outcome.UNDECIDABLE for outcome in outcomes)
    counts = {"tests": str(len(outcomes)), "failures": str(failed), "errors": str(undecided)}
    name = f"{decision.policy_name}: {decision.model}@{decision.alias}"
    suites = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(suites, "testsuite", {"name": _xml(name), **counts})
    properties = ElementTree.SubElement(suite, "properties")
    for key in ("decision_id", "run_id", "evaluation_id", "policy_digest", "payload_digest", "data_digest"):
        ElementTree.SubElement(properties, "property", {"name": key, "value": _xml(getattr(decision, key))})
    ElementTree.SubElement(properties, "property", {"name": "verdict", "value": decision.verdict.value})
    for place, outcome in enumerate(outcomes, 1):
        attributes = {"classname": _xml(f"gate.{decision.policy_name}"), "name": _xml(_title(place, outcome.rule))}
        case = ElementTree.SubElement(suite, "testcase", attributes)
        if outcome.outcome is not Outcome.PASSED:
            kind = "failure" if outcome.outcome is Outcome.FAILED else "error"
            said = {"message": _xml(outcome.reason), "type": _xml(outcome.cause or _WORDS[outcome.outcome])}
            ElementTree.SubElement(case, kind, said).text = _xml(outcome.reason)
        else:
            ElementTree.SubElement(case, "system-out").text = _xml(outcome.reason)
    ElementTree.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def _title(place: int, rule: Mapping[str, Any]) -> str:
    keyword = next(iter(rule), "rule")
    body = rule.get(keyword)
    about = body.get("metric") or body.get("by") or body.get("role") if isinstance(body, Mapping) else ""
    return f"{place}. {keyword}" + (f" {about}" if about else "")


def _flip(outcome: RuleOutcome) -> str:
    distance = outcome.compared.get("distance")
    if not isinstance(distance, int | float):
        return "–"
    return f"{'holds' if outcome.outcome is Outcome.PASSED else 'misses'} by {abs(distance):.4g}"


def _value(seen: Mapping[str, Any]) -> str:
    value = seen.get("value")
    return str(seen.get("kind", "missing")) if value is None else _number(value)


def _number(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, int | float) else str(value)


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 4].rstrip() + " ..."


def _row(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def _xml(text: object) -> str:
    """Return text that XML can hold: what it forbids, even escaped, is written out."""
    return "".join(c if c in "\t\n" or c.isprintable() else repr(c)[1:-1] for c in str(text))
