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
@click.option("--anchor", help="A version to measure, too; by default the one set for the baseline's model.")
@click.option("--sandbox/--no-sandbox", help="Let models predict in processes of their own.")
@click.option("--time-limit", type=float, metavar="SECONDS", help="How long they may predict there, 600 by default.")
@click.option(
    "--determinism", is_flag=True, help="Ask twice about the first rows; refuse a model that answers otherwise."
)
@click.option("--latency", is_flag=True, help="Measure how fast the models answer, and their memory.")
@click.option(
    "--search-slices", metavar="COLUMNS", default="", help="Search columns a,b,c and their pairs for the worst slices."
)
@click.option("--plots", is_flag=True, help="Keep a page and every plot among the run's files.")
@click.option("--expect-digest", metavar="DIGEST", help="The digest that the held-out rows must have.")
@click.option("--bootstrap", type=int, default=200, show_default=True, help="Replicates for bounds; 0 for none.")
@common
def evaluate(
    settings: Settings,
    model: str,
    held_out: str,
    label: str,
    baseline: str | None,
    slices: tuple[str, ...],
    task: str,
    bootstrap: int,
    anchor: str | None,
    sandbox: bool,
    time_limit: float | None,
    determinism: bool,
    latency: bool,
    search_slices: str,
    plots: bool,
    expect_digest: str | None,
) -> None:
    """Measure MODEL (runs:/<run id>/<name> or models:/...) on HELD_OUT, a Parquet or CSV file or a folder of Parquet.

    The same model on the same data with the same baseline is measured once: asking again shows what is on record.
    """
    from penstock.cli.judgements import draw_evaluation
    from penstock.ports.sandbox import Limits

    progress = _count_rows if sys.stderr.isatty() and not settings.json else None
    try:
        with settings.client() as client:
            evaluation = client.evaluate(
                model,
                held_out,
                label=label,
                task=task,
                baseline=baseline,
                slices=slices,
                bootstrap=bootstrap,
                anchor=anchor or True,
                sandbox=sandbox if time_limit is None else Limits(time_s=time_limit),
                determinism=determinism,
                latency=latency,
                search_slices=[name.strip() for name in search_slices.split(",") if name.strip()],
                plots=plots,
                expect_digest=expect_digest,
                progress=progress,
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
