"""Usage: help, the store a command works on, the database itself."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner

import penstock
from penstock.cli.app import app
from penstock.stores.sql import schema
from tests.cli.command_line import (
    EXPERIMENT,
    Run,
    commands,
    python,
    runner_on,
)

# ------------------------------------------------------------------------------------------------------- usage


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_every_command_has_help(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*path, "--help"])
    assert result.exit_code == 0
    assert result.output.startswith("Usage: ")
    assert len(result.output.split("\n\n")[1].strip()) > 10


@pytest.mark.parametrize("path", list(commands(leaves=True)), ids=" ".join)
def test_every_command_takes_json(path: tuple[str, ...]) -> None:
    assert "--json" in CliRunner().invoke(app, [*path, "--help"]).output


def test_help_loads_neither_the_database_nor_the_drawing_nor_the_measuring_libraries() -> None:
    code = (
        "import sys, penstock.cli\n"
        "sys.argv = ['penstock', 'runs', 'show', '--help']\n"
        "try:\n    penstock.cli.main()\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "print(sorted({'sqlalchemy', 'alembic', 'rich', 'pandas', 'numpy', 'yaml', 'sklearn'} & set(sys.modules)))\n"
    )
    assert python("-c", code).stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("runs", "list", "--nonsense"),
        ("runs", "list", "--limit", "nan"),
        ("runs", "list", "--limit", "0"),
        ("models", "promote", "on-time", "champion", "1.5", "--decision", "abcdef"),
        ("models", "promote", "on-time", "champion", "0", "--decision", "abcdef"),
        ("runs", "show", "abc"),
        ("runs", "show", "a" * 32 + "\n"),
        ("gate", "check", "no-such-file.yaml"),
        ("ledger", "--model", "on-time", "--experiment", EXPERIMENT),
        ("--url", "oracle://me:secret@host/db", "runs", "list"),
    ],
)
def test_wrong_usage_exits_2_and_says_so_on_stderr(cli: Run, arguments: tuple[str, ...]) -> None:
    result = cli(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr
    assert "secret" not in result.stderr


def test_no_arguments_at_all_show_the_usage_and_exit_2() -> None:
    result = python("-m", "penstock.cli")
    assert result.returncode == 2
    assert "Usage: penstock" in result.stderr
    assert python("-m", "penstock.cli", "--version").stdout == f"penstock, version {penstock.__version__}\n"


# --------------------------------------------------------------------------------------------- which store


@pytest.mark.parametrize("arguments", [("runs", "list"), ("models", "list"), ("db", "status"), ("ledger",)])
def test_a_missing_store_is_said_and_not_created(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result = python("-m", "penstock.cli", *arguments, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("penstock: store 'sqlite:///penstock.db' does not exist. No store was named")
    assert "--url or PENSTOCK_URL" in result.stderr
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_the_environment_names_wrongly_is_traced_to_it(tmp_path: Path) -> None:
    result = runner_on(tmp_path)("runs", "list")
    assert result.exit_code == 2
    assert "PENSTOCK_URL says so" in result.stderr


def test_another_programs_database_is_not_made_a_store(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "penstock.db") as other:
        other.execute("CREATE TABLE theirs (x)")
    result = runner_on(tmp_path)("runs", "list")
    assert result.exit_code == 2
    assert "holds no records of ours" in result.stderr
    with sqlite3.connect(tmp_path / "penstock.db") as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]


def test_the_store_may_be_named_before_and_after_the_command(sample: Path) -> None:
    url = f"sqlite:///{sample / 'penstock.db'}"
    before = CliRunner().invoke(app, ["--url", url, "runs", "list"], env={"PENSTOCK_URL": None})
    after = CliRunner().invoke(app, ["runs", "list", "--url", url], env={"PENSTOCK_URL": "sqlite:////nowhere/x.db"})
    assert before.exit_code == after.exit_code == 0
    assert before.stdout == after.stdout


def test_db_upgrade_makes_a_store_and_says_when_there_was_nothing_to_do(tmp_path: Path) -> None:
    cli = runner_on(tmp_path)
    assert f"no schema → {schema.HEAD}" in cli("db", "upgrade").stdout
    assert f"at revision {schema.HEAD} already" in cli("db", "upgrade").stdout
    assert cli("runs", "list").stdout == "No runs yet.\n"
    assert cli("models", "list").stdout == "No models are registered yet.\n"
    assert json.loads(cli("runs", "list", "--json").stdout) == []


def test_db_status_counts_rows_and_tells_an_older_schema_from_a_fitting_one(own: Path, own_cli: Run) -> None:
    status = json.loads(own_cli("db", "status", "--json").stdout)
    assert status["revision"] == status["needed"]
    assert status["rows"]["runs"] == 5
    assert "up to date" in own_cli("db", "status").stdout
    with sqlite3.connect(own / "penstock.db") as database:
        database.execute("UPDATE penstock_schema SET version_num = '0000'")
    stale = own_cli("db", "status")
    assert stale.exit_code == 1
    assert "run: penstock db upgrade" in stale.stdout
    refused = own_cli("runs", "list")
    assert refused.exit_code == 2
    assert "Run: penstock db upgrade" in refused.stderr
