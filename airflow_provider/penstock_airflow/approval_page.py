"""What a person is shown who is to approve a model: everything that a yes holds for, as Markdown.

Everything that comes from data is escaped: a model's or a file's name can neither format the page nor link out of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.model.approvals import Approval


def subject_of(found: Approval) -> str:
    """Return the one line that lists show."""
    request = found.request
    return f"Approve {request.model} for @{request.alias}, as {request.role}?"


def body_of(found: Approval) -> str:
    """Return the page's body."""
    return "\n".join(_lines(found))


def _lines(found: Approval) -> Iterator[str]:
    request = found.request
    binds: Mapping[str, Any] = request.binds
    data, measured, compared = binds["data"], binds["measured"], binds["compared_with"]
    if request.summary:
        yield f"**What holds already:** {_md(request.summary)}\n"
    yield from _table(("metric", "candidate", "baseline"), _numbers(measured["candidate"], measured["baseline"]))
    facts = {
        "model": f"{request.model}@{request.alias}, generation {request.generation}",
        "champion now": _version(binds["champion"]["version"]),
        "compared with": "nothing" if compared is None else _version(compared["version"]),
        "candidate": f"payload sha256 {binds['candidate']['payload_digest']}",
        "data": f"{data['name']}: {data['rows']:,} rows, digest {data['digest']}",
        "policy": f"{binds['policy']['name']}, sha256 {binds['policy']['digest']}",
        "anchor": "" if binds["anchor"] is None else _version(binds["anchor"]),
        "made by": ", ".join(str(author.get("subject")) for author in request.authors),
        "four eyes": "none of them may approve" if request.four_eyes else "",
        "answer until": "" if request.expires_at is None else f"{request.expires_at:%Y-%m-%d %H:%M:%S} UTC",
    }
    yield ""
    yield from _table(("this", "is"), ((name, value) for name, value in facts.items() if value))
    yield f"\nA yes holds for exactly this (sha256 {request.digest}) and lapses if any of it moves."


def _numbers(candidate: Mapping[str, Any], baseline: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for metric, value in candidate.items():
        yield metric, _number(value), _number(baseline.get(metric, "–"))


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(_md(cell) for cell in row) + " |"


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, int | float) else str(value if value is not None else "undefined")


def _version(number: Any) -> str:
    return "none yet" if number is None else f"version {number}"


def _md(text: str) -> str:
    """Return text that Markdown shows as it is."""
    line = " ".join("".join(c for c in text if c.isprintable() or c.isspace()).split())
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&]|:(?=//)|(?<=www)\.)", r"\\\1", line)
