"""`penstock gate override` and `penstock gate anchor`: what a named person says beside the gate, on record for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from penstock.cli.output import add_row, new_table, print_json, show
from penstock.cli.settings import Settings, common, version_number
from penstock.cli.words import NOTHING, one_line, series, short, version, when, who
from penstock.model.overrides import Override

if TYPE_CHECKING:
    from penstock.client import Client


@click.command()
@click.argument("name")
@click.argument("model")
@click.option(
    "--alias", "aliases", multiple=True, default=("champion",), show_default=True, help="May move; repeatable."
)
@click.option("--reason", required=True, help="Why, in words: it goes on record and stays there.")
@click.option("--expires-hours", type=float, default=24, show_default=True, help="How long it may be used.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@common
def override(
    settings: Settings, name: str, model: str, aliases: tuple[str, ...], reason: str, expires_hours: float, yes: bool
) -> None:
    """Allow MODEL (runs:/<run id>/<name>) to become a version of NAME without a passed gate, once and for a time.

    In the name of PENSTOCK_ACTOR or of who you are logged in as. It allows one registration of exactly these bytes, and
    one move of each alias named; whoever looks at the model afterwards sees that, by whom and why.
    """
    moves = series([f"{name}@{alias}" for alias in aliases])
    with settings.client() as client:
        actor = client.wiring.actor
        if not yes:
            click.echo(f"This lets {model} past the gate, without a passed decision:", err=True)
            click.echo(f"  one registration as a version of {name}, one move of {moves}", err=True)
            click.echo(f"  for {expires_hours:g} hours, in the name of {actor}, because: {one_line(reason)}", err=True)
            click.echo("It goes on record, and is shown wherever the version is. It cannot be taken back.", err=True)
            if settings.json:
                raise click.UsageError("--json does not ask: confirm with --yes.")
            click.confirm("Allow it?", abort=True, err=True)
        made = client.override(name, model, aliases=aliases, reason=reason, expires_hours=expires_hours)
    if settings.json:
        print_json(made)
        return
    click.echo(f"Override {made.override_id}, until {when(made.expires_at)} UTC. Use it with:")
    click.echo(f"  penstock models register {name} {model} --override {short(made.override_id)}")
    for alias in made.aliases:
        click.echo(f"  penstock models promote {name} {alias} VERSION --override {short(made.override_id)}")


@click.command()
@click.option("--model", help="Only this model's.")
@common
def overrides(settings: Settings, model: str | None) -> None:
    """List every override ever given: by whom, why, for what, and what was done under it."""
    with settings.client() as client:
        found = client.list_overrides(model)
        now_ms = client.wiring.store.now_ms()
    if settings.json:
        print_json(found)
    elif not found:
        click.echo("The gate has never been overridden.")
    else:
        table = new_table("override", "model", "by", "given (UTC)", "use", "payload", "reason", prose=["use", "reason"])
        for made in found:
            add_row(
                table,
                short(made.override_id),
                made.model,
                who(made.actor),
                when(made.created_at),
                use_of(made, now_ms),
                short(made.payload_digest),
                one_line(made.reason),
            )
        show(table)


def use_of(made: Override, now_ms: int) -> str:
    """Return what was done under an override, and what may still be."""
    done = [] if made.version is None else [f"registered {version(made.version)}"]
    done += [f"moved {alias}" for alias in made.moved]
    left = len(made.aliases) + 1 - len(done)
    rest = "used up" if not left else "expired" if made.expired(now_ms) else f"until {when(made.expires_at)}"
    return "; ".join([*done, rest])


def overridden_aliases(client: Client) -> set[tuple[str, str]]:
    """Return (model, alias) of each alias that points where it does by an override, or to what one let in."""
    found = set()
    for made in client.list_overrides():
        last = {move.alias: move for move in client.alias_history(made.model)}
        for alias, move in last.items():
            if move.authorization.authorization_id == made.override_id or move.to_version == made.version:
                found.add((made.model, alias))
    return found


@click.group()
def anchor() -> None:
    """Show or set a model's anchor, which keeps small allowed losses from adding up. Both take --json."""


@anchor.command("show")
@click.argument("name")
@common
def show_anchor(settings: Settings, name: str) -> None:
    """Show the anchor of model NAME and every one before it."""
    with settings.client() as client:
        found = client.anchor_history(name)
    if settings.json:
        print_json(found)
    elif not found:
        click.echo(f"Model {name} has no anchor. Set one with: penstock gate anchor set {name} VERSION --reason ...")
    else:
        table = new_table("no.", "version", "set (UTC)", "by", "decision", "reason", numbers=["no."], prose=["reason"])
        for made in found:
            decision = NOTHING if made.decision_id is None else short(made.decision_id)
            row = (made.sequence, version(made.version), when(made.set_at), who(made.actor), decision)
            add_row(table, *row, one_line(made.reason))
        show(table)
        click.echo(f"\nHeld against now: {version(found[-1].version)}.")


@anchor.command("set")
@click.argument("name")
@click.argument("number", metavar="VERSION", callback=version_number)
@click.option("--reason", required=True, help="Why this version, in words: it goes on record.")
@click.option("--decision", help="A decision that showed it, with confidence, to be better than the anchor of now.")
@common
def set_anchor(settings: Settings, name: str, number: int, reason: str, decision: str | None) -> None:
    """Hold later versions of model NAME against VERSION, too: by your word, or by a decision that shows it better."""
    from penstock.cli.finding import find_decision

    with settings.client() as client:
        shown = None if decision is None else {"decision_id": find_decision(client, decision)}
        made = client.set_anchor(name, number, reason=reason, decision=shown)
    if settings.json:
        print_json(made)
    else:
        click.echo(f"The anchor of {name} is {version(made.version)}, by {who(made.actor)}.")
