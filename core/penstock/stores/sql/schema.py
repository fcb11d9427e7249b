"""Bringing a database to the schema this code needs. Alembic is loaded only when there is something to migrate."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from penstock.errors import SchemaMismatch
from penstock.stores.sql.database import Database

HEAD = "0001"


def revision(connection: sa.Connection) -> str | None:
    """Return the schema revision of a database, or None for one without a schema."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    row = connection.exec_driver_sql("SELECT version_num FROM alembic_version").first()
    return None if row is None else str(row[0])


def ensure(database: Database) -> None:
    """Create the schema in an empty database; `SchemaMismatch` for one at another revision.

    Any number of processes may start at once: the first to get the migration lock creates the schema, in one
    transaction, and the others find it done.
    """
    with database.reading() as connection:
        found = revision(connection)
    if found == HEAD:
        return
    if found is not None:
        raise _mismatch(database, found)
    upgrade(database)


def upgrade(database: Database) -> None:
    """Bring the schema to `HEAD`, in one transaction under the migration lock; nothing happens if it is there."""
    with database.writing() as connection:
        database.lock_for_migration(connection)
        found = revision(connection)
        if found == HEAD:
            return
        if found is not None and found > HEAD:
            raise _mismatch(database, found)
        _run_migrations(connection)


def _mismatch(database: Database, found: str) -> SchemaMismatch:
    older = found < HEAD
    hint = "Run: penstock db upgrade" if older else "Install a newer Penstock: this one is older than the store"
    return SchemaMismatch(str(database.url), found, HEAD, hint)


def _run_migrations(connection: sa.Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)
