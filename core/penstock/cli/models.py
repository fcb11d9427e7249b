"""`penstock models`: registered models, their versions and aliases, and how they came to be where they are."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import click

from penstock.cli.output import add_row, cell, new_table, print_json, show
from penstock.cli.settings import Settings, common, version_number
from penstock.cli.words import NOTHING, one_line, short, version, when, who
from penstock.errors import NotFound

if TYPE_CHECKING:
    from penstock.client import Client
    from penstock.model.versions import AliasMove, Authorization, RegisteredModel


def _optional_version(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    return None if value is None else version_number(ctx, param, value)


@click.group()
def models() -> None:
    """Look into the registry; register and promote models."""


@models.command("list")
@common
def list_command(settings: Settings) -> None:
    """List the registered models and where their aliases point."""
    with settings.client() as client:
        found = client.list_models()
    if settings.json:
        print_json(found)
    elif not found:
        click.echo("No models are registered yet.")
    else:
        table = new_table("model", "latest", "aliases", "first registered (UTC)")
        for model in found:
            aliases = ", ".join(f"{alias} → {version(to)}" for alias, to in sorted(model.aliases.items()))
            add_row(table, model.name, version(model.latest_version), aliases or NOTHING, when(model.created_at))
        show(table)


@models.command("show")
@click.argument("name")
@common
def show_command(settings: Settings, name: str) -> None:
    """Show the versions of model NAME, newest first, with what authorized each."""
    with settings.client() as client:
        model = _find(client, name)
        versions = client.list_versions(name)
    if settings.json:
        print_json({"model": model, "versions": versions})
        return
    table = new_table("version", "aliases", "registered (UTC)", "run", "authorized by", "payload")
    for found in versions:
        aliases = ", ".join(sorted(alias for alias, to in model.aliases.items() if to == found.version))
        add_row(
            table,
            version(found.version),
            cell(aliases or NOTHING, "bold" if aliases else ""),
            when(found.created_at),
            short(found.run_id),
            _authorized_by(found.authorization),
            short(found.payload_digest),
        )
    show(table)


@models.command()
@click.argument("name")
@common
def history(settings: Settings, name: str) -> None:
    """Show every move of the aliases of model NAME, newest last: who moved it, and why it was allowed."""
    with settings.client() as client:
        _find(client, name)
        moves = client.alias_history(name)
        reasons = [_why(client, move.authorization) for move in moves]
    if settings.json:
        print_json(moves)
    elif not moves:
        click.echo(f"No alias of {name} has been set yet.")
    else:
        table = new_table(
            "when (UTC)", "alias", "move", "gen.", "who", "decision", "why", numbers=["gen."], prose=["why"]
        )
        for move, reason in zip(moves, reasons, strict=True):
            by = move.authorization
            add_row(
                table,
                when(move.moved_at),
                move.alias,
                f"{version(move.from_version)} → {version(move.to_version)}",
                move.generation,
                who(by.actor),
                short(by.decision_id) if by.decision_id else by.kind.value,
                reason,
            )
        show(table)


@models.command()
@click.argument("name")
@click.argument("model")
@click.option("--decision", required=True, help="The passed decision that judged exactly this model.")
@common
def register(settings: Settings, name: str, model: str, decision: str) -> None:
    """Register MODEL (runs:/<run id>/<name>) as the next version of NAME."""
    from penstock.cli.finding import find_decision

    with settings.client() as client:
        made = client.register(name, model, find_decision(client, decision))
    if settings.json:
        print_json(made)
    else:
        click.echo(f"{made.uri} is {model}, {_authorized_by(made.authorization)}")


@models.command()
@click.argument("name")
@click.argument("alias")
@click.argument("version", callback=version_number)
@click.option("--decision", required=True, help="The passed decision that was made for this model and alias.")
@common
def promote(settings: Settings, name: str, alias: str, version: int, decision: str) -> None:
    """Point ALIAS of model NAME to VERSION, if nobody has moved it since the decision was made."""
    from penstock.cli.finding import find_decision

    with settings.client() as client:
        move = client.promote(name, alias, version, find_decision(client, decision))
    if settings.json:
        print_json(move)
    else:
        click.echo(f"models:/{name}@{alias}: {_moved(move)}, {_authorized_by(move.authorization)}")


@models.command()
@click.argument("name")
@click.argument("alias")
@click.option(
    "--to", metavar="VERSION", callback=_optional_version, help="A version that held it; else the one before."
)
@click.option("--reason", required=True, help="Why, in words: it goes on record.")
@click.option("--key", help="An incident's number, say: the same key again changes nothing.")
@common
def rollback(settings: Settings, name: str, alias: str, to: int | None, reason: str, key: str | None) -> None:
    """Take ALIAS of model NAME back to the version it pointed to before. Needs the database only."""
    with settings.client() as client:
        move = client.rollback(name, alias, to=to, reason=reason, key=key)
    if settings.json:
        print_json(move)
    else:
        click.echo(f"models:/{name}@{alias}: {_moved(move)}, by rollback")


def _find(client: Client, name: str) -> RegisteredModel:
    there = {model.name: model for model in client.list_models()}
    if name in there:
        return there[name]
    near = difflib.get_close_matches(name, there, n=1)
    known = ", ".join(sorted(there)[:10])
    hint = f"Did you mean {near[0]!r}?" if near else f"Registered: {known}" if known else "None is registered yet"
    raise NotFound("registered model", name, hint)


def _authorized_by(authorization: Authorization) -> str:
    if authorization.decision_id is None:
        return f"{authorization.kind.value} by {who(authorization.actor)}"
    return f"PASS, decision {short(authorization.decision_id)}"


def _why(client: Client, authorization: Authorization) -> str:
    from penstock.cli.judgements import why

    if authorization.decision_id is None:
        return one_line(authorization.reason)
    return why(client.get_decision(authorization.decision_id))


def _moved(move: AliasMove) -> str:
    return f"{version(move.from_version)} → {version(move.to_version)}"
