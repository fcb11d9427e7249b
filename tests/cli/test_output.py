"""Stories, reports, the ledger, and output that meets pipes, signals and locales."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import penstock
from penstock.cli.stories import print_stories
from penstock.cli.words import duration, series, size
from tests.cli.command_line import (
    ENVIRONMENT,
    EXPERIMENT,
    Run,
    python,
    runner_on,
)

# ----------------------------------------------------------------------------------------- stories and reports


def test_the_story_of_each_run_is_told_with_champions_before_and_after(
    sample: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with penstock.connect(f"sqlite:///{sample / 'penstock.db'}") as client:
        print_stories(client.run_stories(EXPERIMENT))
    text = capsys.readouterr().out
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    assert "…" not in text
    first, second = (next(line.split() for line in lines if line.startswith(month)) for month in ("2024-01", "2024-02"))
    assert (first[2], first[5], first[6]) == ("none", "PASS", "v1")
    assert (second[2], second[5], second[6]) == ("v1", "FAIL", "v1")
    assert "INCONCLUSIVE" in text
    assert "not evaluated; run FAILED: RuntimeError" in " ".join(text.split())


def test_piped_output_has_no_colour_and_nothing_is_cut(cli: Run, sample: Path) -> None:
    arguments = ["runs", "show", f"{EXPERIMENT}@2024-02", "--url", f"sqlite:///{sample / 'penstock.db'}"]
    result = python("-m", "penstock.cli", *arguments)
    assert result.returncode == 0
    assert "\x1b" not in result.stdout
    assert "…" not in result.stdout
    assert not any(line.endswith(" ") for line in result.stdout.splitlines())


def test_a_report_is_a_table_and_a_page(cli: Run, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    result = cli("report", EXPERIMENT, "-o", str(page))
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == f"Report: {page}"
    assert "INCONCLUSIVE" in result.stdout
    assert page.stat().st_size > 1000
    told = json.loads(cli("report", EXPERIMENT, "-o", str(page), "--json").stdout)
    assert told["stories"][0]["run"]["key"]["partition"] == "2024-01"


def test_an_unknown_experiment_has_no_report(cli: Run, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    result = cli("report", "team/on-tme", "-o", str(page))
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"Did you mean {EXPERIMENT!r}?" in result.stderr
    assert not page.exists()


# ---------------------------------------------------------------------------------------------------- ledger


def test_the_ledger_is_listed_and_its_hashes_are_checked(cli: Run) -> None:
    result = cli("ledger")
    assert result.exit_code == 0
    assert "every hash as it should be" in result.stdout
    assert "alias moved" in result.stdout
    kinds = [entry["kind"] for entry in json.loads(cli("ledger", "--model", "on-time", "--json").stdout)]
    live = ["decision_made", "version_registered", "version_checked", "alias_moved"]
    assert kinds == [*live, "decision_made", "decision_made"]
    assert json.loads(cli("ledger", "--model", "nothing", "--json").stdout) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE ledger SET why = 'because' WHERE kind = 'alias_moved'", "entry 4 of model:on-time has been changed"),
        ("UPDATE ledger SET time_ms = time_ms + 1 WHERE kind = 'alias_moved'", "entry 4 of model:on-time has been"),
        ("DELETE FROM ledger WHERE kind = 'version_registered'", "entry 3 of model:on-time stands where entry 2"),
        ("UPDATE ledger SET after = '{' WHERE kind = 'alias_moved'", "after entry 3 of model:on-time) cannot be read"),
        ("UPDATE ledger SET after = 'NaN' WHERE kind = 'alias_moved'", "entry 4 of model:on-time has been changed"),
    ],
)
def test_a_ledger_that_was_tampered_with_is_found_out(own: Path, own_cli: Run, change: str, said: str) -> None:
    with sqlite3.connect(own / "penstock.db") as database:
        guards = database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'ledger'")
        for (guard,) in guards.fetchall():  # who owns the file can take the guards away; the hashes remain
            database.execute(f'DROP TRIGGER "{guard}"')
        database.execute(change)
    result = own_cli("ledger", "--model", "on-time")
    assert result.exit_code == 1
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    as_json = own_cli("ledger", "--model", "on-time", "--json")
    assert as_json.exit_code == 1
    assert len(json.loads(as_json.stdout)) < 5


# ------------------------------------------------------------------------------------------ ends that are not


def start(sample: Path, stdout: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "penstock.cli", "ledger", "--json"]
    url = f"sqlite:///{sample / 'penstock.db'}"
    environment = ENVIRONMENT | {"PENSTOCK_URL": url}
    return subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, env=environment, preexec_fn=hears_ctrl_c)


def hears_ctrl_c() -> None:
    """As in a terminal: tests that run side by side are started deaf to it, and so would be what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_a_reader_that_has_gone_ends_it_quietly_with_141(sample: Path) -> None:
    reader, writer = os.pipe()
    with start(sample, writer) as process:
        os.close(writer)
        os.close(reader)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (141, b"")


def test_ctrl_c_ends_it_with_130_and_no_traceback(sample: Path) -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    with start(sample, writer) as process:
        os.close(writer)
        select.select([reader], [], [], 60)  # it writes, and will wait for us to read more
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    os.close(reader)
    assert (process.returncode, errors) == (130, b"")


def test_a_store_that_cannot_be_reached_exits_4(own: Path) -> None:
    (own / "penstock.db-wal").mkdir()
    result = runner_on(own)("runs", "list")
    assert (result.exit_code, result.stdout) == (4, "")
    assert "cannot be reached" in result.stderr


def test_a_locale_without_arrows_gets_its_tables_all_the_same(sample: Path) -> None:
    command = [sys.executable, "-m", "penstock.cli", "models", "list"]
    environment = ENVIRONMENT | {"PENSTOCK_URL": f"sqlite:///{sample / 'penstock.db'}", "PYTHONIOENCODING": "ascii"}
    result = subprocess.run(command, capture_output=True, check=True, env=environment)
    assert b"on-time" in result.stdout


# ---------------------------------------------------------------------------------------------------- wording


def test_sizes_and_times_are_said_as_people_say_them() -> None:
    start, second = pd.Timestamp("2024-01-01", tz="UTC"), pd.Timedelta(seconds=1)
    assert [duration(start, start + second * n) for n in (0.25, 61, 3 * 3600 + 120)] == [
        "0.2 s",
        "1 min 01 s",
        "3 h 02 min",
    ]
    assert [size(n) for n in (12, 1500, 2_500_000)] == ["12 B", "1.5 kB", "2.5 MB"]
    assert [series(list(parts)) for parts in ("a", "ab", "abc")] == ["a", "a and b", "a, b and c"]
