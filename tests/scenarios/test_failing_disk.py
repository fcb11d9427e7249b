"""A disk that refuses its k-th change, or is full from then on: one clear fault, nothing partial, nothing lost.

The changes are writes, syncs, truncations and renames of the database, its log and the artifacts. `make test` takes a
sample of every 25th; `make slow` every third of a store that exists, and every 50th of a first start.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import penstock
from tests.contracts.artifact_store import written
from tests.scenarios.failing_disk import FAULTS, LARGE_BYTES, Told, compiled, url_of, work_on, work_on_full

STEPS = ["opened", "params", "large", "small", "closed"]  # the files by name


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("disk"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    written(tmp_path / "small", os.urandom(9_000))
    written(tmp_path / "large", os.urandom(LARGE_BYTES))
    return tmp_path


def _begun(folder: Path) -> Path:
    """A sound store with a run in it, to be copied."""
    begun = folder / "begun"
    begun.mkdir()
    with penstock.connect(url_of(begun), begun / "artifacts") as client:
        client.open_run("e", "before").close()
    return begun


def _swept(library: Path, folder: Path, fault: str, begun: Path | None, step: int) -> list[Told]:
    """Work on a disk that fails at every `step`-th of the changes that the same work makes on a sound disk."""

    def make(at: int) -> None:
        if begun is not None:
            shutil.copytree(begun, folder / str(at))

    make(0)
    (sound,) = work_on(library, folder, fault, [0])
    assert sound.left == STEPS
    ats = list(range(1, sound.changes + step, step))
    for at in ats:
        make(at)
    told = work_on(library, folder, fault, ats)
    with penstock.connect(url_of(folder / str(ats[-1])), folder / str(ats[-1]) / "artifacts") as client:
        assert list(client.verify()) == []
    return told


def _assert_withstood(told: list[Told]) -> None:
    assert told[0].kind == "transient"  # the first change is one that matters
    for one in told:
        assert one.kind in {"", "transient"}, one
        assert bool(one.kind) == ("closed" not in one.done), one
        assert len(one.error.splitlines()) == bool(one.kind), one
        assert set(one.done) - {"connected"} <= set(one.left) <= set(STEPS), one  # kept, and nothing half
        assert one.again == STEPS, one
        assert one.found == [], one


@pytest.mark.parametrize(("step", "stores"), [(25, 1), pytest.param(3, 2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_disk_that_fails_at_any_change_costs_one_clear_error_and_nothing_else(
    library: Path, folder: Path, fault: str, step: int, stores: int
) -> None:
    told = _swept(library, folder, fault, _begun(folder), step)
    _assert_withstood(told)
    # Of the database, and of the artifacts.
    said = {"bad block": ("disk I/O error", "Input/output error"), "full": ("is full", "No space left on device")}
    assert len({words for words in said[fault] for one in told if words in one.error}) >= stores


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_disk_that_fails_during_the_first_start_leaves_a_store_that_starts_again(
    library: Path, folder: Path, fault: str
) -> None:
    _assert_withstood(_swept(library, folder, fault, None, 50))


@pytest.mark.slow
def test_a_disk_that_is_really_full_costs_one_clear_error_and_nothing_else(folder: Path) -> None:
    told = work_on_full(folder, [kib << 10 for kib in (0, 16, 400, 900, 1400, 2000, 3000, 5000)])
    _assert_withstood(told)
    assert told[-1].kind == ""
    assert {len(one.done) for one in told} >= {0, 6}  # at some places


def test_without_a_compiler_it_is_said_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="install gcc or clang"):
        compiled(tmp_path)
