"""Bringing a database to the schema this code needs.

An empty one gets it as it is now, from a script of what migrating leads to: `make schema` writes it, and a test
compares the two. Alembic is loaded only when there is something to migrate.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from penstock.errors import SchemaMismatch
from penstock.failpoints import failpoint
from penstock.stores.sql.database import Database

HEAD = "0008"
TABLE = "penstock_schema"
"""Holds the revision: a name of our own, so that another user of Alembic in the same database is not in the way."""

# Stores up to revision 0004 may keep it under the name that every user of Alembic has; ours then has tables of ours.
_FORMER = "alembic_version"
_OF_OURS = "ledger_heads"

_MIGRATIONS = Path(__file__).parent / "migrations"
_NEXT = "\n-- next\n"


def revision(connection: sa.Connection) -> str | None:
    """Return the schema revision of a database, or None for one without a schema of ours."""
    table = _table(connection)
    if table is None:
        return None
    number: sa.ColumnClause[str] = sa.column("version_num")
    return connection.scalar(sa.select(number).select_from(sa.table(table)))


def _table(connection: sa.Connection) -> str | None:
    there = sa.inspect(connection).has_table
    if there(TABLE):
        return TABLE
    return _FORMER if there(_OF_OURS) and there(_FORMER) else None


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
    """Bring the schema to `HEAD`, in one transaction under the migration lock; nothing happens if it is there.

    An empty database gets it from the script; any other is migrated.
    """
    with database.writing() as connection:
        database.lock_for_migration(connection)
        failpoint("migration.locked")
        found = revision(connection)
        if found == HEAD:
            return
        if found is not None and found > HEAD:
            raise _mismatch(database, found)
        if found is None:
            database.run_script(connection, head_script(database.url.dialect))
            failpoint("migration.created")
            return
        if _table(connection) == _FORMER:
            connection.exec_driver_sql(f"ALTER TABLE {_FORMER} RENAME TO {TABLE}")
            failpoint("migration.taken_over")
        migrate(connection)


def head_script(dialect: str) -> Sequence[str]:
    """Return the statements that make the schema of `HEAD` in an empty database, its revision included."""
    return (_MIGRATIONS / f"head_{dialect}.sql").read_text(encoding="utf-8").split(_NEXT)


def write_head_script(dialect: str, statements: Sequence[str]) -> None:
    """Replace the script that `head_script` reads."""
    (_MIGRATIONS / f"head_{dialect}.sql").write_text(_NEXT.join(statements), encoding="utf-8")


def _mismatch(database: Database, found: str) -> SchemaMismatch:
    older = found < HEAD
    hint = "Run: penstock db upgrade" if older else "Install a newer Penstock: this one is older than the store"
    return SchemaMismatch(str(database.url), found, HEAD, hint)


def migrate(connection: sa.Connection) -> None:
    """Run every migration that the database has not seen, in the caller's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes.update(connection=connection, version_table=TABLE, on_version_apply=_applied)
    command.upgrade(config, HEAD)
    failpoint("migration.done")


def _applied(**_: object) -> None:
    failpoint("migration.revision")
