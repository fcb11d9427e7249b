"""`verify` while others write: what they have just written is no finding, and what is wrong is found all the same."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import penstock
from penstock.cli import main
from penstock.services.verification import Finding


@pytest.fixture
def busy(client: penstock.Client, monkeypatch: pytest.MonkeyPatch) -> penstock.Client:
    """A store in which a run is opened and ended whenever the runs are about to be read, after the ledger was."""
    client.open_run("e", "before").close()
    store: Any = client.wiring.store
    listed: Callable[..., Any] = store.list_runs
    numbers = count()

    def late(*arguments: Any, **options: Any) -> Any:
        client.open_run("e", f"meanwhile {next(numbers)}").close()
        return listed(*arguments, **options)

    monkeypatch.setattr(store, "list_runs", late)
    return client


def _changed(store_url: str, statement: str) -> None:
    with sqlite3.connect(store_url.removeprefix("sqlite:///")) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(statement)


def test_what_others_write_meanwhile_is_no_finding(busy: penstock.Client) -> None:
    assert list(busy.verify()) == []


def test_what_is_wrong_is_found_once_while_others_write(busy: penstock.Client, store_url: str) -> None:
    run_id = busy.wiring.store.list_runs(None, 100)[-1].run_id
    _changed(store_url, f"UPDATE runs SET status = 'FAILED' WHERE run_id = '{run_id}'")
    problem = "its status is FAILED, but the ledger says FINISHED"
    assert list(busy.verify()) == [Finding("run", run_id, problem)]


def test_findings_are_printed_one_a_line(store_url: str, tmp_path: Path) -> None:
    with penstock.connect(store_url) as client:
        runs = [client.open_run("e", f"{number}") for number in range(3)]
        for run in runs:
            run.close()
    _changed(store_url, "UPDATE runs SET status = 'FAILED'")
    told = CliRunner().invoke(main, ["--url", store_url, "verify"])
    *lines, _, last = told.stdout.splitlines()
    assert sorted(lines) == sorted(
        f"run  {run.run_id}: its status is FAILED, but the ledger says FINISHED" for run in runs
    )
    assert (told.exit_code, last) == (1, "3 findings: the store is not as it was written.")
