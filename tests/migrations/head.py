"""What migrating an empty database comes to: `make schema` writes it down for stores that begin now."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from penstock.stores.sql import schema
from penstock.stores.sql.dialects import open_database
from penstock.stores.sql.urls import PostgresUrl, parse_store_url
from tests.postgres_server import running_server


def statements_of_migrating(url: str) -> list[str]:
    """Migrate an empty database; return the statements that make its schema, and the one that says which it is."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if statement.split()[0] in {"CREATE", "ALTER", "DROP"}:
            sent.append("\n".join(line.rstrip() for line in statement.strip().splitlines()))

    database = open_database(parse_store_url(url))
    sa.event.listen(database.engine(), "before_cursor_execute", note)
    with database.writing() as connection:
        schema.migrate(connection)
    database.close()
    return [*sent, f"INSERT INTO {schema.TABLE} (version_num) VALUES ('{schema.HEAD}')"]


_CATALOG = {
    "sqlite": ("SELECT type, name, tbl_name, sql FROM sqlite_master",),
    "postgresql": (
        "SELECT * FROM information_schema.columns WHERE table_schema = 'public'",
        "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'",
        "SELECT conrelid::regclass, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace::regnamespace"
        " = 'public'::regnamespace",
        "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
        "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
    ),
}


def catalog_of(url: str) -> list[str]:
    """Return everything that a database says of its own schema, and how many rows each table has."""
    database = open_database(parse_store_url(url))
    with database.reading() as connection:
        queries = _CATALOG[database.url.dialect]
        said = [
            " ".join(" ".join(map(str, row)).split()) for query in queries for row in connection.exec_driver_sql(query)
        ]
        for table in sa.inspect(connection).get_table_names():
            said.append(f"{table}: {connection.exec_driver_sql(f'SELECT count(*) FROM {table}').scalar()} rows")
    name = database.url.database if isinstance(database.url, PostgresUrl) else ""
    database.close()
    return sorted(line.replace(name, "") if name else line for line in said)


def main() -> None:
    """Write both scripts."""
    with tempfile.TemporaryDirectory() as scratch, running_server() as server:
        for url in (f"sqlite:///{Path(scratch) / 'penstock.db'}", server.url(server.new_database())):
            schema.write_head_script(parse_store_url(url).dialect, statements_of_migrating(url))


if __name__ == "__main__":
    main()
