"""The schema: migrated to, started by many at once, guarded by the database itself."""

from __future__ import annotations

import sqlite3
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
from penstock.stores.sql.tables import metadata


def test_migrating_leads_to_exactly_the_tables_the_code_uses(client: penstock.Client, tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'penstock.db'}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_the_code_names_the_newest_revision() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == schema.HEAD


def test_sixteen_processes_start_on_a_new_database_at_once(tmp_path: Path) -> None:
    code = "import sys, penstock; sys.stdin.read(1); penstock.connect(sys.argv[1]).open_run('e', sys.argv[2]).close()"
    url = f"sqlite:///{tmp_path / 'new.db'}"
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, url, str(i)], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for i in range(16)
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("g")
        child.stdin.flush()
    failures = [text for child in children if (text := child.communicate(timeout=120)[1])]
    assert failures == []
    with penstock.connect(url) as client:
        assert len(client.list_runs()) == 16


def test_a_newer_schema_says_to_update_and_an_older_one_to_upgrade(client: penstock.Client, store_url: str) -> None:
    path = store_url.removeprefix("sqlite:///")
    for revision, advice in (("9999", "newer Penstock"), ("0000", "penstock db upgrade")):
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        with pytest.raises(SchemaMismatch, match=advice):
            penstock.connect(store_url)


def test_a_store_that_cannot_be_opened_is_one_clear_passing_fault(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="Check that the folder exists"):
        penstock.connect(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder' / 'p.db'}")


def test_the_database_refuses_to_rewrite_the_ledger(client: penstock.Client, store_url: str) -> None:
    client.open_run("e", "p").close()
    with sqlite3.connect(store_url.removeprefix("sqlite:///")) as connection:
        for statement in ("UPDATE ledger SET why = 'forged'", "DELETE FROM ledger"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)
        with pytest.raises(sqlite3.IntegrityError, match="recorded, authorized move"):
            connection.execute(
                "INSERT INTO aliases VALUES ('default', 'm', 'champion', 1, 1, '00000000000000000000000000000000', 0)"
            )


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
