"""`penstock runs`: what ran, and everything about one run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.output import add_row, new_table, page_width, print_json, show, word
from penstock.cli.settings import Settings, common
from penstock.cli.words import clean, duration, short, when
from penstock.model.runs import Run

if TYPE_CHECKING:
    from rich.table import Table

FULL_IDS_FROM = 140


@click.group()
def runs() -> None:
    """List runs and look into one."""


@runs.command("list")
@click.argument("experiment", required=False)
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many, newest.")
@common
def list_command(settings: Settings, experiment: str | None, limit: int) -> None:
    """List runs, newest first; of one EXPERIMENT if it is named."""
    with settings.client() as client:
        found = client.list_runs(experiment, limit)
    if settings.json:
        print_json(found)
    elif found:
        show(_table(found, with_experiment=experiment is None))
    else:
        click.echo("No runs yet." if experiment is None else f"No runs of experiment {experiment!r}.")


@runs.command("show")
@click.argument("run")
@common
def show_command(settings: Settings, run: str) -> None:
    """Show all about RUN: an id, its first 6 characters or more, or EXPERIMENT@PARTITION."""
    from penstock.cli.finding import find_run
    from penstock.cli.run_page import draw, page_json, read

    with settings.client() as client:
        page = read(client, find_run(client, run))
    if settings.json:
        print_json(page_json(page))
    else:
        show(*draw(page))


@runs.command("reap")
@common
def reap_command(settings: Settings) -> None:
    """End what nobody works on any more: attempts silent for longer than their lease, runs past their deadline."""
    with settings.client() as client:
        lapsed = client.reap()
    if settings.json:
        print_json(lapsed)
        return
    for found in lapsed:
        ended = "; the run is KILLED" if found.run_ended else ""
        click.echo(clean(f"{found.step.run_id[:12]}  {found.reason}{ended}"))
    if not lapsed:
        click.echo("Nothing to reap: every running attempt has given a sign of life.")


def _table(found: Sequence[Run], *, with_experiment: bool) -> Table:
    columns = ["partition", "run", "experiment", "status", "started (UTC)", "duration", "reason"]
    if not with_experiment:
        columns.remove("experiment")
    if not any(run.reason for run in found):
        columns.remove("reason")
    table = new_table(*columns, numbers=["duration"], prose=["experiment", "reason"])
    whole = page_width() >= FULL_IDS_FROM
    for run in found:
        values: dict[str, Any] = {
            "partition": run.key.partition,
            "run": run.run_id if whole else short(run.run_id),
            "experiment": run.experiment,
            "status": word(run.status.value),
            "started (UTC)": when(run.started_at),
            "duration": duration(run.started_at, run.ended_at),
            "reason": run.reason,
        }
        add_row(table, *(values[name] for name in columns))
    return table
