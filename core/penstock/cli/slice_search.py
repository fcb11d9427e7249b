"""What a search for the worst slices found, drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from penstock.cli.output import add_row, cell, new_table
from penstock.cli.words import NOTHING, number, plural

if TYPE_CHECKING:
    from rich.console import RenderableType

_MOST_ROWS = 10


def draw_slice_search(found: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Yield the worst slices of `model_facts["slice_search"]`, and how many were looked at."""
    looked = f"worst slices by {found['metric']}: {found['harmed']} harmed of {plural(found['searched'], 'slice')}"
    small = f", {found['too_small']} with fewer than {found['min_rows']} rows" if found["too_small"] else ""
    yield cell(f"{looked}{small}")
    compared = found["compared_with"]
    columns = ["slice", "rows", found["metric"], "95 %", compared, "difference", "p, adjusted"]
    table = new_table(*columns, "harmed", numbers=columns[1:])
    for one in found["slices"][:_MOST_ROWS]:
        name = ", ".join(f"{column}={value}" for column, value in one["slice"].items())
        bounds = NOTHING if one["interval"] is None else " to ".join(number(bound) for bound in one["interval"])
        values = [_shown(one["value"]), bounds, _shown(one["reference"]), _shown(one["difference"], "+.4g")]
        add_row(table, name, f"{one['rows']:,}", *values, f"{one['adjusted']:.2g}", "yes" if one["harmed"] else "")
    yield table
    for cut in found["not_searched"]:
        yield cell(f"not searched, too many values: {' and '.join(cut)}")


def _shown(value: float | None, form: str = "") -> str:
    if value is None:
        return NOTHING
    return f"{value:{form}}" if form else number(value)
