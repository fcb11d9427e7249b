"""Law L1 under SIGKILL: whatever write a process dies after, running the pipeline again ends in the same state."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import penstock
from penstock.stores.sql.store import SqlStore
from tests import tiny
from tests.postgres_server import PostgresServer
from tests.scenarios.ledgers import state
from tests.tiny_pipeline import retrain

WRITES = (
    "open_run",
    "begin_attempt",
    "end_attempt",
    "end_run",
    "log",
    "add_model",
    "record_evaluation",
    "record_decision",
    "record_version",
    "move_alias",
)


def _counting(on_write: Callable[[str], None]) -> type[SqlStore]:
    """A store that calls `on_write` after each write has been committed, before its caller learns of it."""

    def after(name: str) -> Callable[..., Any]:
        def method(self: SqlStore, *args: Any, **kwargs: Any) -> Any:
            result = getattr(SqlStore, name)(self, *args, **kwargs)
            on_write(name)
            return result

        return method

    return type("CountingStore", (SqlStore,), {name: after(name) for name in WRITES})


def _with_store(url: str, folder: Path, kind: type[SqlStore]) -> penstock.Client:
    from dataclasses import replace

    client = penstock.connect(url, folder / "artifacts", actor="tester")
    return penstock.Client(replace(client.wiring, store=kind(url)))


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny.held_out_file(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, held_out: str) -> tuple[dict[str, Any], list[str]]:
    """The state that a pipeline leaves when nothing goes wrong, and the writes it makes on the way."""
    writes: list[str] = []
    folder = tmp_path_factory.mktemp("calm")
    with _with_store(f"sqlite:///{folder / 'penstock.db'}", folder, _counting(writes.append)) as client:
        retrain(client, "2013-03", held_out)
        return state(client, tiny.EXPERIMENT, tiny.MODEL), writes


def _die_after_write(url: str, folder: Path, held_out: str, number: int) -> int:
    """Run the pipeline in a child that SIGKILLs itself after its `number`th write; return the child's wait status."""
    child = os.fork()
    if child == 0:
        seen = 0

        def count(_name: str) -> None:
            nonlocal seen
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            retrain(_with_store(url, folder, _counting(count)), "2013-03", held_out)
        finally:
            os._exit(99)
    return os.waitpid(child, 0)[1]


@pytest.fixture(params=["sqlite", "postgres"])
def fresh_url(request: pytest.FixtureRequest) -> Iterator[Callable[[Path], str]]:
    """Make a store of its own for every kill, on each database."""
    if request.param == "sqlite":
        yield lambda folder: f"sqlite:///{folder / 'penstock.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    template: str = request.getfixturevalue("postgres_template")
    made: list[str] = []

    def make(_folder: Path) -> str:
        made.append(server.new_database(template))
        return server.url(made[-1])

    yield make
    for name in made:
        server.drop(name)


def test_a_pipeline_killed_after_any_write_ends_the_same_when_run_again(
    tmp_path: Path,
    held_out: str,
    undisturbed: tuple[dict[str, Any], list[str]],
    fresh_url: Callable[[Path], str],
) -> None:
    expected, writes = undisturbed
    assert {"record_evaluation", "record_decision", "record_version", "move_alias"} <= set(writes)
    for number, name in enumerate(writes, start=1):
        folder = tmp_path / f"{number:02d}-{name}"
        folder.mkdir()
        url = fresh_url(folder)
        status = _die_after_write(url, folder, held_out, number)
        assert os.WTERMSIG(status) == signal.SIGKILL, f"write {number} ({name}) was not reached"
        with penstock.connect(url, folder / "artifacts", actor="tester") as client:
            retrain(client, "2013-03", held_out)
            assert state(client, tiny.EXPERIMENT, tiny.MODEL) == expected, f"after a kill at write {number} ({name})"


def test_running_a_finished_pipeline_again_changes_nothing_at_all(tmp_path: Path, held_out: str) -> None:
    with penstock.connect(f"sqlite:///{tmp_path / 'penstock.db'}", actor="tester") as client:
        first = retrain(client, "2013-03", held_out)
        before = state(client, tiny.EXPERIMENT, tiny.MODEL)
        database = (tmp_path / "penstock.db").read_bytes()
        assert retrain(client, "2013-03", held_out) == first
        assert state(client, tiny.EXPERIMENT, tiny.MODEL) == before
        assert (tmp_path / "penstock.db").read_bytes() == database
