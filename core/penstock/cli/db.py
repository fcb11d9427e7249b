"""`penstock db`: the database itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from penstock.cli.output import add_row, cell, facts, new_table, print_json, show
from penstock.cli.settings import Settings, common
from penstock.cli.words import size


@click.group()
def db() -> None:
    """Look at the database's schema and size; bring it up to date."""


@db.command()
@common
def status(settings: Settings) -> int:
    """Show the schema's revision and what the tables hold. Exit code 1 if this code needs another revision."""
    from penstock.stores.sql import schema
    from penstock.stores.sql.dialects import open_database

    url = settings.existing_store()
    database = open_database(url)
    try:
        with database.reading() as connection:
            found = schema.revision(connection)
            rows = _rows(connection)
            bytes_used = database.size_bytes(connection)
    finally:
        database.close()
    fits = found == schema.HEAD
    if settings.json:
        print_json(
            {"store": str(url), "revision": found, "needed": schema.HEAD, "size_bytes": bytes_used, "rows": rows}
        )
        return 0 if fits else 1
    advice = "up to date" if fits else f"this code needs {schema.HEAD}"
    if not fits:
        older = found is not None and found < schema.HEAD
        advice += "; run: penstock db upgrade" if older else "; install a newer Penstock"
    table = new_table("table", "rows", numbers=["rows"])
    for name, count in rows.items():
        add_row(table, name, f"{count:,}")
    revision = cell(f"{found} ({advice})", "" if fits else "red")
    show(facts({"store": url, "revision": revision, "size": size(bytes_used)}), cell(""), table)
    return 0 if fits else 1


@db.command()
@common
def upgrade(settings: Settings) -> None:
    """Bring the schema to the revision this code needs; creates the store where there is none."""
    from penstock.stores.sql import schema
    from penstock.stores.sql.dialects import open_database

    url = settings.store_url()
    database = open_database(url)
    try:
        with database.reading() as connection:
            before = schema.revision(connection)
        schema.upgrade(database)
    finally:
        database.close()
    if settings.json:
        print_json({"store": str(url), "before": before, "revision": schema.HEAD})
    elif before == schema.HEAD:
        click.echo(f"{url} is at revision {before} already.")
    else:
        click.echo(f"{url}: {before or 'no schema'} → {schema.HEAD}")


@db.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@common
def anchor(settings: Settings, file: Path | None) -> None:
    """Write to FILE where every chain of the ledger ends now (to stdout without FILE).

    Keep it where the database's owner cannot change it: 'penstock verify --anchor FILE' then finds a rewritten history.
    """
    with settings.client() as client:
        text = json.dumps(client.anchor(), indent=1) + "\n"
    if file is None:
        click.echo(text, nl=False)
    else:
        file.write_text(text)
        click.echo(f"Anchored {text.count('hash')} chains in {file}", err=True)


def _rows(connection: Any) -> dict[str, int]:
    import sqlalchemy as sa

    from penstock.stores.sql.tables import metadata

    there = set(sa.inspect(connection).get_table_names())
    count = sa.select(sa.func.count())
    tables = [table for table in metadata.sorted_tables if table.name in there]
    return {table.name: int(connection.scalar(count.select_from(table))) for table in tables}
