"""`penstock models`, the part that answers from the record: where an alias pointed, what led to a version, its card."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli.model_words import authorized_by, find_model, find_version, moved, why_of
from penstock.cli.output import add_row, cell, facts, heading, new_table, print_json, show
from penstock.cli.settings import Settings, common
from penstock.cli.words import one_line, pairs, plural, short, when, who
from penstock.cli.words import version as version_word

if TYPE_CHECKING:
    from rich.console import RenderableType

    from penstock.model.lineage import Lineage


def _moment(_ctx: click.Context, _param: click.Parameter, value: str) -> datetime:
    """Read a moment in ISO 8601; without a zone it is UTC, and a date alone means the end of that day."""
    try:
        found = datetime.fromisoformat(value)
    except ValueError as error:
        expected = "a time such as 2024-03-03, 2024-03-03T14:30 or 2024-03-03T14:30+01:00"
        raise click.BadParameter(f"{value!r} is not {expected}.") from error
    if len(value) <= len("2024-03-03"):
        found = datetime.combine(found, time.max)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


@click.command("as-of")
@click.argument("name")
@click.argument("alias")
@click.argument("time", callback=_moment)
@common
def as_of(settings: Settings, name: str, alias: str, time: datetime) -> None:
    """Say where ALIAS of model NAME pointed at TIME (UTC; a date means the end of that day), by whom, and why."""
    with settings.client() as client:
        find_model(client, name)
        move = client.as_of(name, alias, time)
        reason = "" if settings.json else why_of(client, move.authorization)
    if settings.json:
        print_json(move)
        return
    click.echo(f"models:/{name}@{alias} was {version_word(move.to_version)} on {when(time)} UTC")
    show(
        facts(
            {
                "since": f"{when(move.moved_at)} UTC ({moved(move)})",
                "moved by": who(move.moved_by),
                "allowed by": authorized_by(move.authorization),
                "why": reason,
            }
        )
    )


@click.command()
@click.argument("name")
@click.argument("version")
@common
def lineage(settings: Settings, name: str, version: str) -> None:
    """Show what led to VERSION (3, v3, latest or an alias) of model NAME: run, code, data, policy, people."""
    with settings.client() as client:
        found = client.lineage(find_version(client, name, version))
    if settings.json:
        print_json(found)
    else:
        show(*_drawn(found))


@click.command("trained-on")
@click.argument("digest")
@common
def trained_on(settings: Settings, digest: str) -> None:
    """List the versions that were trained on the data with this DIGEST."""
    with settings.client() as client:
        found = client.versions_trained_on(digest)
    if settings.json:
        print_json(found)
    elif not found:
        click.echo("No version was trained on this data.")
    else:
        table = new_table("version", "run", "registered (UTC)", "state")
        for made in found:
            add_row(table, made.uri, short(made.run_id), when(made.created_at), made.state.value)
        show(table)


@click.command()
@click.argument("name")
@click.argument("version")
@click.option("--html", is_flag=True, help="One self-contained page instead of Markdown.")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="The file to write; else it is printed.")
@common
def card(settings: Settings, name: str, version: str, html: bool, output: str | None) -> None:
    """Write the model card of VERSION (3, v3, latest or an alias) of model NAME, generated from the record."""
    with settings.client() as client:
        found = find_version(client, name, version)
        text = client.model_card(found, html=html)
    if output is not None:
        _write(Path(output), text)
    if settings.json:
        print_json({"version": found, "card": text} if output is None else {"version": found, "file": output})
    elif output is None:
        click.echo(text, nl=False)
    else:
        click.echo(f"Model card of {found.uri}: {output}")


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        unfinished.write_text(text, encoding="utf-8")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _drawn(found: Lineage) -> Iterator[RenderableType]:
    version, run, decision = found.version, found.run.run, found.decision
    yield cell(version.uri, "bold")
    yield facts(
        {
            "aliases": ", ".join(found.aliases),
            "registered": f"{when(version.created_at)} UTC",
            "payload": version.payload_digest,
            "run": f"{run.run_id}, {run.experiment} {run.key.partition}",
            "code": pairs(found.code),
            "params": pairs(found.run.params),
            "authorized by": authorized_by(version.authorization),
            "policy": "" if decision is None else f"{decision.policy_name} ({short(decision.policy_digest)})",
            "loads": _last_check(found),
        }
    )
    data = [(d.role, d.name, d.rows, d.digest) for d in found.run.inputs]
    if found.evaluation is not None:
        held = found.evaluation.dataset
        data.append((held.role, held.name, held.rows, held.digest))
    if data:
        yield heading("Data")
        table = new_table("role", "name", "rows", "digest", numbers=["rows"], prose=["digest"])
        for role, name, rows, digest in data:
            add_row(table, role, name, f"{rows:,}", digest)
        yield table
    if decision is not None:
        yield heading(f"Decision {decision.decision_id}")
        table = new_table("outcome", "reason", prose=["reason"])
        for outcome in decision.outcomes:
            add_row(table, outcome.outcome.value, one_line(outcome.reason))
        yield table
    if found.approvals:
        yield heading("Approvals")
        table = new_table("when (UTC)", "what", "who", "why", prose=["why"])
        for given in found.approvals:
            at = datetime.fromisoformat(given["time"])
            add_row(table, when(at), given["kind"], who(given["actor"]), one_line(given["why"]))
        yield table
    if found.moves:
        yield heading("Moves to it")
        table = new_table("when (UTC)", "alias", "move", "who")
        for move in found.moves:
            add_row(table, when(move.moved_at), move.alias, moved(move), who(move.moved_by))
        yield table


def _last_check(found: Lineage) -> str:
    if not found.checks:
        return "not tried"
    last = found.checks[-1]
    tries = f" ({plural(len(found.checks), 'check')})" if len(found.checks) > 1 else ""
    return (f"yes, seen {when(last.checked_at)} UTC" if last.passed else f"no: {one_line(last.error)}") + tries


COMMANDS = (as_of, lineage, trained_on, card)
