"""`penstock ledger`: who did what, when and why, with every entry's hash computed again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.output import json_text, page_width
from penstock.cli.settings import Settings, common
from penstock.cli.words import clean, indented, one_line, pairs, plural, when, who
from penstock.model.audit import GENESIS, AuditEvent, ChainId, flaw_in

if TYPE_CHECKING:
    from penstock.client import Client

TEXT_WIDTH = 100


class BadEntry(Exception):
    """An entry that is not what was written, or not where it was written."""


@click.command(short_help="List who did what and why; check every hash.")
@click.option("--experiment", help="Only this experiment's chain: its runs and evaluations.")
@click.option("--model", help="Only this model's chain: its decisions, versions and alias moves.")
@common
def ledger(settings: Settings, experiment: str | None, model: str | None) -> int:
    """List the ledger's entries and check their chains. Exit code 1 at the first entry that has been tampered with."""
    count, bad = 0, ""
    with settings.client() as client:
        write = _write_json if settings.json else _Writer()
        if settings.json:
            click.echo("[", nl=False)
        try:
            for entry in checked(client, experiment, model):
                write(entry, count)
                count += 1
        except BadEntry as error:
            bad = str(error)
        if settings.json:
            click.echo("\n]" if count else "]")
    if bad:
        click.echo(f"penstock: {one_line(bad)}", err=True)
        return 1
    if not settings.json:
        click.echo(f"\n{plural(count, 'entry').replace('entrys', 'entries')}, every hash as it should be.")
    return 0


def checked(client: Client, experiment: str | None, model: str | None) -> Iterator[AuditEvent]:
    """Yield entries after checking each against its own content and the entry before; `BadEntry` at the first bad."""
    chain, sequence, previous = None, 0, GENESIS
    entries = client.read_ledger(experiment=experiment, model=model)
    while True:
        try:
            entry = next(entries)
        except StopIteration:
            return
        except ValueError as error:
            after = f"after entry {sequence} of {chain}" if chain else "the first"
            raise BadEntry(f"a ledger entry ({after}) cannot be read: {error}") from error
        if entry.chain != chain:
            chain, sequence, previous = entry.chain, 0, GENESIS
        flaw = flaw_in(entry, sequence + 1, previous)
        if flaw:
            raise BadEntry(f"ledger entry {entry.sequence} of {chain} {flaw}")
        sequence, previous = entry.sequence, entry.hash
        yield entry


def _write_json(entry: AuditEvent, place: int) -> None:
    click.echo(f"{',' if place else ''}\n  {json_text(entry)}", nl=False)


class _Writer:
    """Prints entries as they come, under their chain's name; a ledger may be longer than memory."""

    def __init__(self) -> None:
        self._chain: ChainId | None = None
        self._why = ""
        self._width = min(page_width(), TEXT_WIDTH)

    def __call__(self, entry: AuditEvent, place: int) -> None:
        if entry.chain != self._chain:
            self._chain = entry.chain
            click.secho(f"{chr(10) if place else ''}{clean(entry.chain)}", bold=True)
        kind = entry.kind.replace("_", " ")
        click.echo(f"{entry.sequence:4}  {when(entry.time)} UTC  {kind:<20}  {clean(who(entry.actor))}")
        self._detail(pairs(entry.subject))
        self._detail(_change(entry))
        if entry.why:
            self._detail("why: as above" if entry.why == self._why else f"why: {entry.why}")
        self._why = entry.why

    def _detail(self, text: str) -> None:
        if text:
            click.echo(indented(one_line(text), self._width, " " * 6))


def _change(entry: AuditEvent) -> str:
    before, after = _side(entry.before), _side(entry.after)
    return f"{before} → {after}" if before and after else after or before


def _side(value: Any) -> str:
    if isinstance(value, dict):
        return pairs({name: item for name, item in value.items() if not isinstance(item, dict)})
    return "" if value is None else str(value)
