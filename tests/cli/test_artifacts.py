"""`penstock artifacts sweep`: what interrupted uploads left is removed once it is old, and never an object."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

import penstock
from tests.cli.command_line import Run, runner_on
from tests.contracts.artifact_store import written

HOUR_S = 3600.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with one object, and what two uploads left behind: half an hour and two days ago."""
    with penstock.connect(f"sqlite:///{tmp_path / 'penstock.db'}") as client, client.open_run("e", "p") as run:
        run.log_artifact(written(tmp_path / "file", b"content"), "file")
    (tmp_path / "artifacts" / "incoming").mkdir()
    for name, age_s in (("incoming-new", HOUR_S / 2), ("incoming-old", 48 * HOUR_S)):
        left = written(tmp_path / "artifacts" / "incoming" / name, b"cont")
        os.utime(left, (time.time() - age_s,) * 2)
    return tmp_path


@pytest.fixture
def cli(folder: Path) -> Run:
    return runner_on(folder)


def _left(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "artifacts").rglob("*") if path.is_file())


def test_sweeping_removes_what_is_older_than_a_day_and_says_so(cli: Run, folder: Path) -> None:
    before = _left(folder)
    result = cli("artifacts", "sweep")
    old = folder / "artifacts" / "incoming" / "incoming-old"
    assert result.stdout == f"{old}\n1 interrupted upload removed from {folder / 'artifacts'}.\n"
    assert set(before) - set(_left(folder)) == {"incoming-old"}
    assert json.loads(cli("artifacts", "sweep", "--json").stdout) == []


def test_an_age_may_be_given_and_what_is_none_is_refused(cli: Run, folder: Path) -> None:
    assert len(json.loads(cli("artifacts", "sweep", "--older-than", "20m", "--json").stdout)) == 2
    assert len(_left(folder)) == 1
    for given in ("", "1", "h", "-1h", "1.5h", "1w", "1234567d"):
        refused = cli("artifacts", "sweep", "--older-than", given)
        assert (refused.exit_code, "is not an age" in refused.stderr) == (2, True)
