"""`penstock gc`: letting go of what nothing keeps, and the policies that say what is kept."""

from __future__ import annotations

import click

from penstock.cli.output import add_row, new_table, print_json, show
from penstock.cli.settings import Settings, common
from penstock.cli.words import NOTHING, one_line, size, when, who
from penstock.model.retention import Collected, RetentionPolicy


@click.group(invoke_without_command=True, short_help="Collect what nothing keeps; set what is kept.")
@click.option("--yes", is_flag=True, help="Do it. Without this nothing is changed.")
@click.option("--deleted", is_flag=True, help="Also what has been deleted: it cannot be restored then.")
@click.option(
    "--grace-hours",
    type=click.FloatRange(min=0),
    default=24,
    show_default=True,
    help="Leave bytes alone that are younger: their record may be about to be written.",
)
@click.pass_context
@common
def gc(settings: Settings, ctx: click.Context, yes: bool, deleted: bool, grace_hours: float) -> None:
    """Show what retention policies let go of, and bytes that no record refers to; with --yes remove them.

    What a version, a decision, an override, a probation or an unfinished run refers to stays, whatever a policy says.
    The row and the ledger of a run stay, too. It may be interrupted at any point and run again.
    """
    if ctx.invoked_subcommand is not None:
        return
    with settings.client() as client:
        found = client.collect(dry_run=not yes, deleted=deleted, grace_s=grace_hours * 3600)
    if settings.json:
        print_json(found)
    else:
        _show(found)


def _show(found: Collected) -> None:
    table = new_table("what", "count", "bytes", numbers=["count", "bytes"])
    held = found.contents
    for what, count in (
        ("runs", found.runs),
        ("logged models", held.models),
        ("artifacts", held.artifacts),
        ("metric points", held.metrics),
    ):
        add_row(table, what, f"{count:,}", NOTHING)
    add_row(table, "blobs that nothing refers to" if found.dry_run else "blobs", f"{found.blobs:,}", found.freed_bytes)
    show(table)
    done = "would be freed" if found.dry_run else "freed"
    click.echo(f"\n{size(found.freed_bytes)} {done}.")
    if found.kept:
        click.echo(f"Kept because something refers to them: {found.kept:,}.")
    for sha256 in found.missing[:20]:
        click.echo(f"missing: {sha256}, which a record refers to; 'penstock verify' says which", err=True)
    if len(found.missing) > 20:
        click.echo(f"missing: {len(found.missing) - 20:,} more", err=True)
    if found.dry_run:
        click.echo("Nothing was changed. Do it with: penstock gc --yes")


@gc.group()
def policy() -> None:
    """Say what is kept: the runs of an experiment, or the models of one name in them. All take --json."""


@policy.command("set")
@click.argument("experiment")
@click.option("--model", default="", help="For the models logged under this name; else for whole runs.")
@click.option("--keep-last", type=click.IntRange(min=0), help="Keep the newest so many.")
@click.option("--keep-days", type=click.FloatRange(min=0), help="Keep what ended within so many days.")
@common
def set_command(
    settings: Settings, experiment: str, model: str, keep_last: int | None, keep_days: float | None
) -> None:
    """Set what of EXPERIMENT is kept; with both options, what either of them keeps."""
    if keep_last is None and keep_days is None:
        raise click.UsageError("Say --keep-last, --keep-days or both.")
    with settings.client() as client:
        made = client.set_retention(experiment, model=model, keep_last=keep_last, keep_days=keep_days)
    if settings.json:
        print_json(made)
    else:
        click.echo(f"Of {_one_line(made)}. 'penstock gc' shows what that lets go of.")


@policy.command("list")
@common
def list_command(settings: Settings) -> None:
    """List the retention policies. What has none is kept."""
    with settings.client() as client:
        found = client.list_retention()
    if settings.json:
        print_json(found)
    elif not found:
        click.echo("There are no retention policies: everything is kept.")
    else:
        table = new_table("experiment", "of", "keeps", "set (UTC)", "by")
        for made in found:
            of = f"models {made.model}" if made.model else "runs"
            add_row(table, made.experiment, of, _keeps(made), when(made.set_at), who(made.actor))
        show(table)


@policy.command("remove")
@click.argument("experiment")
@click.option("--model", default="", help="The policy for the models logged under this name.")
@common
def remove_command(settings: Settings, experiment: str, model: str) -> None:
    """Remove the policy of EXPERIMENT: everything of it is kept again."""
    with settings.client() as client:
        client.remove_retention(experiment, model=model)
    if settings.json:
        print_json({"removed": {"experiment": experiment, "model": model}})
    else:
        click.echo(f"{one_line(experiment)} has no such policy any more: everything is kept.")


def _one_line(made: RetentionPolicy) -> str:
    return f"{one_line(made.subject)} is kept: {_keeps(made)}"


def _keeps(made: RetentionPolicy) -> str:
    last = [] if made.keep_last is None else [f"the newest {made.keep_last:,}"]
    days = [] if made.keep_days is None else [f"{made.keep_days:g} days"]
    return ", ".join([*last, *days])
