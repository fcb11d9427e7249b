"""SQLite under many processes, and on a disk that takes no more: nothing lost, nothing partial, clear words."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import penstock
from penstock.artifacts.local import LocalArtifacts
from penstock.errors import StoreUnavailable
from penstock.failpoints import arm
from tests.contracts.artifact_store import sha256_of, written

PAGE_BYTES = 4096
PROCESSES, WRITES = 16, 1000

WRITER = """
import sys, penstock
with penstock.connect(sys.argv[1], "unused") as client:
    run = client.join_run(sys.argv[2], step="write", map_index=int(sys.argv[3]))
    for number in range(int(sys.argv[4])):
        run.log_metric(f"writer {sys.argv[3]}", number, step=number)
    run.close()
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_sixteen_processes_write_a_thousand_times_each_and_nothing_is_lost(store_url: str) -> None:
    with penstock.connect(store_url) as client:
        run = client.open_run("e", "p")
        command = [sys.executable, "-c", WRITER, store_url, run.run_id]
        children = [
            subprocess.Popen([*command, str(number), str(WRITES)], stderr=subprocess.PIPE, text=True)
            for number in range(PROCESSES)
        ]
        assert [child.communicate()[1] for child in children] == [""] * PROCESSES
        assert [child.returncode for child in children] == [0] * PROCESSES
        for number in range(PROCESSES):
            points = client.wiring.store.list_metric_points(run.run_id, f"writer {number}")
            assert list(points.values) == [float(each) for each in range(WRITES)]
        assert list(client.verify()) == []


def _waits(url: str, run_id: str, number: int, seconds: float) -> list[float]:
    """Write one metric at a time, each in a transaction of 20 ms or more; return how long each of them took."""
    taken: list[float] = []
    with penstock.connect(url, "unused") as client:
        run = client.join_run(run_id, step="write", map_index=number)
        arm(lambda name: time.sleep(0.02) if name == "transaction.before_commit" else None)
        now = time.monotonic()
        until = now + seconds
        while now < until:
            run.log_metric("loss", 0.5, step=len(taken))
            taken.append(time.monotonic() - now)
            now = time.monotonic()
        arm(None)
        run.close()
    return taken


def test_of_many_writers_that_come_back_at_once_none_starves(memory: Path) -> None:
    """As SQLite waits by itself, one of twelve waits for as long as the others write, and is refused in the end."""
    url, seconds = f"sqlite:///{memory}/penstock.db", 6.0
    with penstock.connect(url, "unused") as client:
        run_id = client.open_run("e", "p").run_id
    reading, writing = os.pipe()
    children = []
    for number in range(12):
        child = os.fork()
        if child == 0:
            told = '"it died"'
            try:
                waits = _waits(url, run_id, number, seconds)
                told = json.dumps([len(waits), max(waits)])
            except BaseException as error:
                told = json.dumps(repr(error))
            finally:
                os.write(writing, f"{told}\n".encode())
                os._exit(0)
        children.append(child)
    os.close(writing)
    with os.fdopen(reading) as said:
        answers = [json.loads(line) for line in said]
    for child in children:
        os.waitpid(child, 0)
    assert all(isinstance(each, list) for each in answers), answers
    assert len(answers) == len(children)
    fair = len(children) * seconds / sum(written for written, _ in answers)  # one turn each
    assert max(wait for _, wait in answers) < 18 * fair, answers  # by itself 23 to 26: until the others are done


def _in_child(limit_bytes: int, work: Callable[[], object]) -> str:
    """Work in a child whose files may not grow beyond a limit; return what it was told (empty: it succeeded)."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        told = "it died"
        try:
            os.close(reading)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
            try:
                work()
                told = ""
            except StoreUnavailable as error:
                told = str(error)
            except BaseException as error:
                told = f"unexpected: {error!r}"
        finally:
            os.write(writing, told.encode()[:4000])
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said:
        text = said.read()
    os.waitpid(child, 0)
    return text


def test_a_disk_that_takes_no_more_pages_is_one_clear_fault_and_the_next_command_works(tmp_path: Path) -> None:
    told = []
    for pages in (0, 3, 9, 20, 10_000):
        folder = tmp_path / str(pages)
        folder.mkdir()
        url = f"sqlite:///{folder / 'penstock.db'}"
        with penstock.connect(url, folder / "artifacts") as client:
            client.open_run("e", "before").close()

        def work(url: str = url, folder: Path = folder) -> None:
            with penstock.connect(url, folder / "artifacts") as client, client.open_run("e", "p") as run:
                run.log_params({f"name-{i}": "x" * 500 for i in range(40)})

        wal = pages * PAGE_BYTES + 32  # of the log that every transaction is written to first
        told.append(_in_child(wal, work))
        with penstock.connect(url, folder / "artifacts") as client:
            left = {run.key.partition: client.get_run(run.run_id) for run in client.list_runs()}
            assert "p" not in left or len(left["p"].params) in {0, 40}
            assert list(client.verify()) == []
            work(url, folder)
            assert client.get_run(client.open_run("e", "p").run_id).run.status.value in {"RUNNING", "FINISHED"}
    assert told[0]
    assert not told[-1]
    assert not any(text.startswith(("unexpected", "it died")) for text in told), told
    assert all("Check that the folder exists, is writable and has space" in text for text in told if text)


def test_a_disk_that_takes_no_more_bytes_leaves_no_half_of_an_artifact(tmp_path: Path) -> None:
    content = os.urandom(3 << 20)
    for name, size in (("small", 50_000), ("large", len(content))):
        file = written(tmp_path / name, content[:size])
        store = LocalArtifacts(tmp_path / "artifacts")
        for limit in range(0, size, max(1, size // 7)):
            told = _in_child(limit, partial(store.put_file, file))
            assert "File too large" in told
            assert str(store.root) in told
            assert [path for path in store.root.rglob("*") if path.is_file()] == []
            assert list(store.list_objects()) == []
        assert store.put_file(file) == (sha256_of(content[:size]), size)
        next(store.root.rglob(sha256_of(content[:size]))).unlink()
