"""`penstock evaluate`: measure a model, with a baseline on the same rows in the same pass."""

from __future__ import annotations

import sys

import click

from penstock.cli.output import print_json, show
from penstock.cli.settings import Settings, common


@click.command(short_help="Measure a model, and a baseline on the same rows.")
@click.argument("model")
@click.argument("held_out")
@click.option("--label", required=True, help="The column to predict.")
@click.option("--baseline", help="What to compare with, e.g. models:/on-time@champion.")
@click.option("--slice", "slices", multiple=True, metavar="COLUMN", help="Measure by this column, too; repeatable.")
@click.option("--task", default="auto", show_default=True, help="binary, or auto to tell from the label.")
@common
def evaluate(
    settings: Settings,
    model: str,
    held_out: str,
    label: str,
    baseline: str | None,
    slices: tuple[str, ...],
    task: str,
) -> None:
    """Measure MODEL (runs:/<run id>/<name> or models:/...) on HELD_OUT, a Parquet or CSV file or a folder of Parquet.

    The same model on the same data with the same baseline is measured once: asking again shows what is on record.
    """
    from penstock.cli.judgements import draw_evaluation

    progress = _count_rows if sys.stderr.isatty() and not settings.json else None
    try:
        with settings.client() as client:
            evaluation = client.evaluate(
                model, held_out, label=label, task=task, baseline=baseline, slices=slices, progress=progress
            )
    finally:
        if progress is not None:
            click.echo("\r\x1b[K", nl=False, err=True)
    if settings.json:
        print_json(evaluation)
    else:
        show(*draw_evaluation(evaluation))


def _count_rows(rows: int) -> None:
    click.echo(f"\r{rows:,} rows", nl=False, err=True)
