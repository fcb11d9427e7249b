"""`penstock data`: look at data as Penstock sees it, without a store."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.output import add_row, facts, new_table, print_json, show
from penstock.cli.settings import Settings, common
from penstock.cli.words import NOTHING, number, when

if TYPE_CHECKING:
    from penstock.model.data import ColumnProfile, Dataset


@click.group(short_help="Describe data, and find rows that two data sets share.")
def data() -> None:
    """Describe data, and find rows that two data sets share. No store is needed."""


def _roles(command: Any) -> Any:
    command = click.option("--id", "id_", help="The column that identifies a row, and is no part of its content.")(
        command
    )
    return click.option("--time", help="The column that says when a row happened.")(command)


@data.command(short_help="Show what a file or folder holds.")
@click.argument("path")
@_roles
@common
def describe(settings: Settings, path: str, id_: str | None, time: str | None) -> None:
    """Show digest, rows and columns of PATH: a Parquet or CSV file or a folder of Parquet, here or s3://bucket/key.

    PATH is read once, in batches. Up to 4,096 distinct values are counted, more are estimated within 2 %.
    """
    from penstock.client.extras import extra
    from penstock.model.data import DataSource

    with extra("describing data", "eval"):
        from penstock.evaluation.describing import SourceReader
    found = SourceReader().describe(DataSource(path, id=id_, time=time), "train")
    if settings.json:
        print_json({name: value for name, value in found.to_json().items() if name != "role"})
    else:
        show(*_drawn(found))


@data.command(short_help="Count rows of one data set that are in another, too.")
@click.argument("held_out")
@click.argument("train")
@_roles
@common
def overlap(settings: Settings, held_out: str, train: str, id_: str | None, time: str | None) -> None:
    """Count the rows of HELD_OUT that are in TRAIN, too: rows that agree in every column of TRAIN.

    Each is a file or a folder, as in `penstock data describe`. Up to a million different rows are compared one by one;
    of more a sample is, chosen by content, so that the same rows are chosen in both.
    """
    from penstock.client.extras import extra
    from penstock.model.data import DataSource
    from penstock.ports import TrainingRows

    with extra("comparing data", "eval"):
        from penstock.evaluation.describing import RowSummary, SourceReader
        from penstock.evaluation.reading import read_batches
    with tempfile.TemporaryDirectory(prefix="penstock-") as scratch:
        rows = Path(scratch) / "rows"
        trained = SourceReader().describe(DataSource(train, id=id_, time=time), "train", rows)
        source = DataSource(held_out, id=id_, time=time)
        summary = RowSummary(source, [TrainingRows(trained, rows)])
        for batch in read_batches(source):
            summary.update(batch)
    found = summary.result("held-out").overlap
    if settings.json:
        print_json(None if found is None else found.to_json())
    else:
        click.echo(str(found))


def _drawn(found: Dataset) -> list[Any]:
    head = facts(
        {
            "source": found.source,
            "digest": found.digest,
            "rows": f"{found.rows:,}",
            "columns": len(found.schema),
            "times": "" if found.earliest is None else f"{when(found.earliest)} to {when(found.latest)} UTC",
        }
    )
    numbers = ("nulls", "distinct", "minimum", "maximum", "mean")
    table = new_table("column", "type", *numbers, numbers=numbers)
    for name, column in found.profile.items():
        distinct = f"{'' if column.distinct_exact else '~'}{column.distinct:,}"
        bounds = (_shown(column.minimum), _shown(column.maximum))
        add_row(table, name, column.dtype, f"{column.nulls:,}", distinct, *bounds, _mean(column))
    return [head, "", table]


def _mean(column: ColumnProfile) -> str:
    return NOTHING if column.mean is None else _shown(column.mean)


def _shown(value: Any) -> str:
    if value is None:
        return NOTHING
    return number(value) if isinstance(value, float) else str(value)
