"""The schema: migrated to, started by many at once, guarded by the database itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import penstock
from penstock.errors import SchemaMismatch, StoreUnavailable
from penstock.stores.sql import schema
from penstock.stores.sql.database import Database
from penstock.stores.sql.dialects import open_database
from penstock.stores.sql.tables import metadata
from penstock.stores.sql.urls import parse_store_url
from tests.migrations.head import catalog_of, statements_of_migrating
from tests.postgres_server import PostgresServer


def _opened(url: str) -> Database:
    database = open_database(parse_store_url(url))
    schema.ensure(database)
    return database


@pytest.mark.filterwarnings("ignore:.*expression-based index:Warning")  # SQLite's are not reflected; plans show it
def test_migrating_leads_to_exactly_the_tables_the_code_uses(empty_url: str) -> None:
    database = _opened(empty_url)
    with database.engine().connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "version_table": schema.TABLE})
        assert compare_metadata(context, metadata) == []
        found = sa.inspect(connection)
        for table in metadata.tables.values():
            checks = {check.name for check in table.constraints if isinstance(check, sa.CheckConstraint)}
            assert {check["name"] for check in found.get_check_constraints(table.name)} == checks
    database.close()


def test_a_store_that_begins_now_is_as_one_that_was_migrated_from_the_first_revision_on(
    request: pytest.FixtureRequest, tmp_path: Path, empty_url: str
) -> None:
    """The script of the schema is what the migrations say (after a new one: `make schema`), and they seed no rows."""
    dialect = parse_store_url(empty_url).dialect
    assert schema.head_script(dialect) == statements_of_migrating(empty_url)
    begun = f"sqlite:///{tmp_path / 'begun.db'}"
    if dialect == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        begun = server.url(server.new_database())
    _opened(begun).close()
    assert catalog_of(begun) == catalog_of(empty_url)


def test_names_are_ordered_by_code_point_whatever_the_locale_of_the_server(empty_postgres_url: str) -> None:
    database = _opened(empty_postgres_url)
    with database.reading() as connection:
        found = connection.exec_driver_sql(
            "SELECT table_name, column_name, collation_name FROM information_schema.columns "
            "WHERE table_schema = 'public' AND character_maximum_length >= 250 AND collation_name IS DISTINCT FROM 'C'"
        ).all()
    database.close()
    assert found == []


def test_the_code_names_the_newest_revision() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == schema.HEAD


def test_sixteen_processes_start_on_a_new_database_at_once(empty_url: str, tmp_path: Path) -> None:
    code = (
        "import sys, penstock; sys.stdin.read(1); penstock.connect(*sys.argv[1:3]).open_run('e', sys.argv[3]).close()"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, empty_url, str(tmp_path / "bytes"), str(i)],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(16)
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("g")
        child.stdin.flush()
    failures = [text for child in children if (text := child.communicate(timeout=120)[1])]
    assert failures == []
    with penstock.connect(empty_url, tmp_path / "bytes") as client:
        assert len(client.list_runs()) == 16


def test_a_newer_schema_says_to_update_and_an_older_one_to_upgrade(empty_url: str, tmp_path: Path) -> None:
    database = _opened(empty_url)
    for revision, advice in (("9999", "newer Penstock"), ("0000", "penstock db upgrade")):
        with database.writing() as connection:
            connection.execute(sa.text("UPDATE penstock_schema SET version_num = :new"), {"new": revision})
        with pytest.raises(SchemaMismatch, match=advice):
            penstock.connect(empty_url, tmp_path / "bytes")
    database.close()


def test_a_store_that_cannot_be_opened_is_one_clear_passing_fault(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="Check that the folder exists"):
        penstock.connect(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder' / 'p.db'}")


def test_the_database_refuses_to_rewrite_the_ledger(empty_url: str, tmp_path: Path) -> None:
    with penstock.connect(empty_url, tmp_path / "bytes") as client:
        client.open_run("e", "p").close()
    database = _opened(empty_url)
    refusals = {
        "UPDATE ledger SET why = 'forged'": "the ledger is append-only",
        "DELETE FROM ledger": "the ledger is append-only",
        "INSERT INTO aliases VALUES ('default', 'm', 'champion', 1, 1, '00000000000000000000000000000000', 0)": (
            "recorded, authorized move"
        ),
    }
    if database.url.dialect == "postgresql":
        refusals["TRUNCATE ledger"] = "the ledger is append-only"
        refusals["TRUNCATE alias_moves"] = "alias moves are append-only"
    for statement, refusal in refusals.items():
        with pytest.raises(sa.exc.IntegrityError, match=refusal), database.writing() as connection:
            connection.exec_driver_sql(statement)
    database.close()


def test_sqlite_runs_durable_with_foreign_keys(client: penstock.Client) -> None:
    from penstock.stores.sql.store import SqlStore

    store = client.wiring.store
    assert isinstance(store, SqlStore)
    with store._database.reading() as connection:
        pragma = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragma == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
