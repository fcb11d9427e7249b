"""The command line on a PostgreSQL store: made, looked at, never with its password on the screen."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import penstock
from penstock.cli.app import app
from penstock.stores.sql import schema
from tests.postgres_server import PostgresServer

Run = Callable[..., Result]


@pytest.fixture
def url(empty_postgres_url: str) -> str:
    return empty_postgres_url.replace("postgres@", "postgres:S3CR3T@")  # the server trusts us without it


@pytest.fixture
def cli(url: str, tmp_path: Path) -> Run:
    environment = {"PENSTOCK_URL": url, "PENSTOCK_ARTIFACTS": str(tmp_path / "bytes"), "COLUMNS": "120"}
    return lambda *arguments: CliRunner().invoke(app, arguments, env=environment)


def test_a_store_is_made_by_upgrade_and_not_by_looking(cli: Run, url: str, tmp_path: Path) -> None:
    looked = cli("db", "status")
    assert looked.exit_code == 2
    assert "holds no records of ours" in looked.stderr
    assert f"no schema → {schema.HEAD}" in cli("db", "upgrade").stdout
    assert f"at revision {schema.HEAD} already" in cli("db", "upgrade").stdout
    with penstock.connect(url, tmp_path / "bytes") as client:
        client.open_run("team/kind", "2013-03").close()
    status = json.loads(cli("db", "status", "--json").stdout)
    assert (status["revision"], status["rows"]["runs"]) == (status["needed"], 1)
    assert status["size_bytes"] > 1_000_000
    assert "2013-03" in cli("runs", "list").stdout
    shown = "".join(cli(*command).output for command in (("db", "status"), ("runs", "list"), ("ledger",)))
    assert "S3CR3T" not in looked.output + shown + json.dumps(status)
    assert "postgres:***@" in json.dumps(status)


def test_an_older_schema_is_told_from_a_fitting_one(cli: Run, url: str, postgres_server: PostgresServer) -> None:
    cli("db", "upgrade")
    postgres_server.execute("UPDATE penstock_schema SET version_num = '0000'", url.rpartition("/")[2])
    stale = cli("db", "status")
    assert stale.exit_code == 1
    assert "run: penstock db upgrade" in stale.stdout
    assert cli("runs", "list").exit_code == 2


def test_a_server_that_is_not_there_is_a_passing_fault() -> None:
    arguments = ["--url", "postgresql://me:S3CR3T@127.0.0.1:9/p?connect_timeout=2", "runs", "list"]
    result = CliRunner().invoke(app, arguments, env={"PENSTOCK_URL": None})
    assert result.exit_code == 4
    assert "cannot be reached" in result.stderr
    assert "S3CR3T" not in result.output
