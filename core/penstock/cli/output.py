"""Printing: plain JSON, or tables that are drawn for the terminal at hand and left whole where there is none."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.words import clean
from penstock.model.decisions import GateDecision
from penstock.model.evaluations import Evaluation, Measurement
from penstock.model.runs import split_value

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

WIDE = 10_000
PROSE_WIDTH = 72
NARROW = 80

_STYLES = {
    "PASS": "bold green",
    "FAIL": "bold red",
    "INCONCLUSIVE": "bold yellow",
    "passed": "green",
    "failed": "red",
    "undecidable": "yellow",
    "FINISHED": "green",
    "DONE": "green",
    "FAILED": "red",
    "KILLED": "red",
    "RUNNING": "cyan",
    "SUPERSEDED": "dim",
}


def plain(value: Any) -> Any:
    """Return a value of the model as plain JSON: times in ISO 8601, non-finite numbers by their kind."""
    if isinstance(value, GateDecision | Evaluation | Measurement):
        data = plain(value.to_json())
        created = getattr(value, "created_at", None)
        return data if created is None else {**data, "created_at": plain(created)}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, float):
        kind, finite = split_value(value)
        return kind.value if finite is None else finite
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    return value


def brief(value: Evaluation | GateDecision | None) -> Any:
    """Return a judgement as plain JSON without its bulk: no points of plots, no second copy of the evaluation."""
    if value is None:
        return None
    return {name: item for name, item in plain(value).items() if name not in {"curves", "inputs"}}


def print_json(value: Any) -> None:
    """Print a value of the model as JSON."""
    click.echo(json_text(value, indent=2))


def json_text(value: Any, indent: int | None = None) -> str:
    """Return a value of the model as JSON, in ASCII so that any locale can print it."""
    return json.dumps(plain(value), indent=indent, allow_nan=False)


def page_width() -> int:
    """Return the width to draw for: the terminal's, `COLUMNS`, or no limit where the output goes into a pipe."""
    asked = os.environ.get("COLUMNS", "")
    if asked.isascii() and asked.isdigit() and int(asked) > 0:
        return int(asked)
    if sys.stdout.isatty():
        return os.get_terminal_size(sys.stdout.fileno()).columns or 80
    return WIDE


def new_console() -> Console:
    """Return a console on stdout: without colour and as wide as need be where stdout is not a terminal."""
    from rich.console import Console

    return Console(file=sys.stdout, width=page_width(), highlight=False, markup=False, emoji=False)


def show(*parts: RenderableType) -> None:
    """Print tables and lines to stdout."""
    console = new_console()
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    text = captured.get()
    if not console.is_terminal:
        text = "\n".join(line.rstrip() for line in text.split("\n"))
    click.echo(text, nl=False, color=console.is_terminal)


def cell(value: object, style: str = "") -> Text:
    """Return a table's cell, taken literally."""
    from rich.text import Text

    return Text(clean(value), style=style)


def word(value: str) -> Text:
    """Return a verdict, an outcome or a state: coloured, and always in words."""
    return cell(value, _STYLES.get(value, ""))


def heading(text: str) -> Text:
    """Return a heading with an empty line before it."""
    return cell(f"\n{text}", "bold")


def new_table(*columns: str, numbers: Sequence[str] = (), prose: Sequence[str] = (), width: int = 0) -> Table:
    """Return a table without borders, for a page of `width` (0: that of stdout).

    Nothing is cut short. Where the page is too narrow `prose` is wrapped, and on a very narrow one everything is.
    """
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    width = width or page_width()
    for name in columns:
        table.add_column(
            name,
            justify="right" if name in numbers else "left",
            overflow="fold",
            no_wrap=name not in prose and width >= NARROW,
            max_width=PROSE_WIDTH if name in prose and width >= WIDE else None,
        )
    return table


def add_row(table: Table, *values: object) -> None:
    """Add a row; what is not a text yet is taken literally."""
    from rich.text import Text

    table.add_row(*(value if isinstance(value, Text) else cell(value) for value in values))


def fits(rows: Sequence[Mapping[str, str]]) -> bool:
    """Whether a table of these rows, names as its head, fits the page without folding a cell."""
    widths = (max(len(name), *(len(row[name]) for row in rows)) + 1 for name in rows[0])
    return sum(widths) <= page_width()


def facts(rows: Mapping[str, object]) -> Table:
    """Return names and values in two columns, without what is empty."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold", max_width=PROSE_WIDTH * 2 if page_width() >= WIDE else None)
    for name, value in rows.items():
        if value != "" and value is not None:
            table.add_row(name, value if isinstance(value, Text) else cell(value))
    return table
