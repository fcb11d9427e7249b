"""Stores that earlier schema revisions wrote: refused with advice, upgraded, sound, and worked with."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

import penstock
from penstock.cli import main
from penstock.errors import SchemaMismatch
from penstock.stores.sql import schema
from penstock.stores.sql.dialects import open_database
from penstock.stores.sql.store import SqlStore
from penstock.stores.sql.urls import parse_store_url
from tests import tiny
from tests.contracts.comparing import shown
from tests.migrations.earlier import REVISIONS, restored, upgraded
from tests.scenarios.killing import killed_at, reached_in
from tests.tiny_pipeline import retrain


@pytest.fixture(params=REVISIONS)
def earlier(request: pytest.FixtureRequest, empty_url: str, tmp_path: Path) -> str:
    """The URL of a store at an earlier revision, its artifacts in the test's folder; on every database."""
    restored(request.param, empty_url, tmp_path)
    return empty_url


def _penstock(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--url", url, *arguments])


def test_an_earlier_store_is_refused_upgraded_and_worked_with(earlier: str, tmp_path: Path) -> None:
    with pytest.raises(SchemaMismatch, match="penstock db upgrade"):
        penstock.connect(earlier, tmp_path / "artifacts")
    status = _penstock(earlier, "db", "status")
    assert (status.exit_code, "penstock db upgrade" in status.output) == (1, True)
    upgrade = _penstock(earlier, "db", "upgrade")
    assert (upgrade.exit_code, f"→ {schema.HEAD}" in upgrade.output) == (0, True)
    assert _penstock(earlier, "db", "status").exit_code == 0
    assert "already" in _penstock(earlier, "db", "upgrade").output
    with penstock.connect(earlier, tmp_path / "artifacts", actor="tester") as client:
        client.reap()  # whoever worked on the open run then has been gone for long
        assert list(client.verify()) == []
        assert [v.version for v in client.list_versions(tiny.MODEL)] == [2, 1]
        assert [(m.from_version, m.to_version) for m in client.alias_history(tiny.MODEL)] == [(None, 1), (1, 2), (2, 1)]
        (waiting,) = (run for run in client.list_runs() if run.key.partition == "open-run")
        assert client.get_run(waiting.run_id).metrics == {"loss": 0.5}
        assert len(client.load_model(tiny.CHAMPION).predict(tiny.rows()[:3])) == 3
        assert retrain(client, "2013-05", tiny.held_out_file(tmp_path), strength=3.0).passed
        assert [v.version for v in client.list_versions(tiny.MODEL)] == [3, 2, 1]
        assert list(client.verify()) == []


@pytest.fixture
def anew(request: pytest.FixtureRequest, empty_url: str, tmp_path: Path) -> Callable[[], str]:
    """Make one empty database after another, of each kind."""

    def url() -> str:
        if empty_url.startswith("sqlite"):
            return f"sqlite:///{tmp_path / f'{len(list(tmp_path.iterdir()))}.db'}"
        server = request.getfixturevalue("postgres_server")
        return str(server.url(server.new_database()))

    return url


def test_a_store_at_any_revision_in_between_is_refused_and_upgraded_to_the_same(
    anew: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stores of these were never kept: the oldest one, brought there, stands for each."""
    in_between = [f"{number:04}" for number in range(2, int(schema.HEAD))]
    contents = []
    for revision in [*in_between, schema.HEAD]:
        url = anew()
        restored("0001", url, tmp_path)
        with monkeypatch.context() as then:
            then.setattr(schema, "HEAD", revision)
            upgraded(url)
        if revision != schema.HEAD:
            with pytest.raises(SchemaMismatch, match=f"at revision {revision}, this code"):
                penstock.connect(url, tmp_path / "artifacts")
            upgraded(url)
        with closing(SqlStore(url)) as store:
            contents.append((_schema(url), shown(store)))
    assert [content == contents[-1] for content in contents] == [True] * len(contents)


def test_an_upgrade_that_is_killed_in_the_middle_is_made_again(anew: Callable[[], str], tmp_path: Path) -> None:
    calm = anew()
    restored("0001", calm, tmp_path)
    places = [
        (name, time) for name, times in reached_in(partial(upgraded, calm)).items() for time in range(1, times + 1)
    ]
    assert {"migration.taken_over", "migration.revision", "migration.done"} <= {name for name, _ in places}
    for place in places:
        url = anew()
        restored("0001", url, tmp_path)
        killed_at(place, partial(upgraded, url))
        upgraded(url)
        assert _schema(url) == _schema(calm)


def _schema(url: str) -> object:
    database = open_database(parse_store_url(url))
    with database.reading() as connection:
        found = sa.inspect(connection)
        tables = {name: sorted(c["name"] for c in found.get_columns(name)) for name in found.get_table_names()}
        shape = (schema.revision(connection), tables)
    database.close()
    return shape


def test_the_version_table_of_another_user_of_alembic_is_left_alone(empty_url: str, tmp_path: Path) -> None:
    engine = sa.create_engine(empty_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('0001')")
    with penstock.connect(empty_url, tmp_path / "artifacts") as client:
        client.open_run("e", "p").close()
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == "0001"
        assert connection.exec_driver_sql("SELECT version_num FROM penstock_schema").scalar() == schema.HEAD
    engine.dispose()


@pytest.mark.parametrize("table", ["penstock_schema", "alembic_version"])
def test_a_store_from_the_future_says_to_install_a_newer_penstock(
    store_url: str, tmp_path: Path, table: str, make_store: Callable[[], None]
) -> None:
    make_store()
    with sqlite3.connect(tmp_path / "penstock.db") as connection:
        if table == "alembic_version":
            connection.execute("ALTER TABLE penstock_schema RENAME TO alembic_version")
        connection.execute(f"UPDATE {table} SET version_num = '9999'")
    for arguments in (["db", "status"], ["db", "upgrade"], ["runs", "list"]):
        done = _penstock(store_url, *arguments)
        assert done.exit_code in {1, 2}
        assert "newer" in done.output


@pytest.fixture
def make_store(store_url: str) -> Callable[[], None]:
    return lambda: penstock.connect(store_url).close()
