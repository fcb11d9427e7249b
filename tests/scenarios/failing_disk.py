"""A disk that refuses its k-th change: work done on it in a process of its own, and what that process was told.

The disk is `failing_disk.c`, compiled and preloaded. Without a C compiler the tests that need it fail and say so.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import penstock
from penstock.errors import PenstockError, Terminal
from penstock.model.runs import RunStatus

LARGE_BYTES = (2 << 20) + 5  # of a file that is not written in one go
PARAMS = {f"name-{i}": "x" * 500 for i in range(40)}
FAULTS = {"bad block": (errno.EIO, False), "full": (errno.ENOSPC, True)}


@dataclass(frozen=True)
class Told:
    """What a process saw while the disk failed, what it found once the disk was sound, and after it had tried again.

    `done` are the steps that were acknowledged, `left` those whose traces were there, `found` what `verify` said.
    """

    changes: int
    done: list[str]
    error: str
    kind: str
    left: list[str]
    found: list[str]
    again: list[str]


def compiled(folder: Path) -> Path:
    """Compile the disk into `folder`; return the library."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise RuntimeError("a disk that fails needs a C compiler: install gcc or clang")
    library = folder / "failing_disk.so"
    source = Path(__file__).with_suffix(".c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl", "-pthread"], check=True)
    return library


def work_on(library: Path, folder: Path, fault: str, ats: Sequence[int]) -> list[Told]:
    """Work once in each `folder/<at>`, on a disk that fails at the `at`-th change (0: on one that does not)."""
    environment = {**os.environ, "LD_PRELOAD": str(library), "FAILING_FOLDER": f"{folder}/"}
    command = [sys.executable, "-m", "tests.scenarios.failing_disk", str(folder), fault, json.dumps(list(ats))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [Told(**json.loads(line)) for line in done.stdout.splitlines()]


def url_of(folder: Path) -> str:
    """The store's URL in a folder."""
    return f"sqlite:///{folder / 'penstock.db'}"


def work(folder: Path, done: Callable[[str], None]) -> None:
    """Open a run, log into it, store a small and a large file, end it; say each step that was acknowledged."""
    with penstock.connect(url_of(folder), folder / "artifacts") as client:
        done("connected")
        run = client.open_run("e", "p")
        done("opened")
        run.log_params(PARAMS)
        done("params")
        for name in ("small", "large"):
            run.log_artifact(folder.parent / name, name)
            done(name)
        run.close()
        done("closed")


def left_by_work(folder: Path, *, verified: bool = True) -> tuple[list[str], list[str]]:
    """Return which steps of `work` left what they should have left, whole, and what `verify` finds."""
    with penstock.connect(url_of(folder), folder / "artifacts") as client:
        found = [str(finding) for finding in client.verify()] if verified else []
        runs = [run for run in client.list_runs() if run.key.partition == "p"]
        if not runs:
            return [], found
        run = client.get_run(runs[0].run_id)
        left = ["opened"]
        if run.params:
            left.append("params" if run.params == PARAMS else "half of the params")
        for entry in client.wiring.store.list_artifacts(run.run.run_id):
            with tempfile.TemporaryDirectory() as scratch:
                client.wiring.artifacts.fetch(entry.sha256, Path(scratch) / "back")  # raises if it is not whole
            left.append(entry.path)
        return [*left, *(["closed"] if run.run.status is RunStatus.FINISHED else [])], found


def work_on_full(folder: Path, free_bytes: Sequence[int]) -> list[Told]:
    """Work on a real disk of 8 MiB that has only so much left, once for each of `free_bytes`; `folder` holds the files.

    The disk is a tmpfs in a namespace of the child's own. Where the kernel does not allow that, the child says so.
    """
    disk = folder / "disk"
    disk.mkdir()
    mounted = 'mount -t tmpfs -o size=8m tmpfs "$1" && cp "$2/small" "$2/large" "$1" && shift 2 && exec "$@"'
    inner = [sys.executable, "-m", "tests.scenarios.failing_disk", str(disk), "", json.dumps(list(free_bytes))]
    command = ["unshare", "-rm", "sh", "-c", mounted, "sh", str(disk), str(folder), *inner]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [Told(**json.loads(line)) for line in done.stdout.splitlines()]


def _main(folder: Path, fault: str, ats: Sequence[int]) -> None:
    for at in ats:
        here = folder / str(at)
        here.mkdir(exist_ok=True)
        with _failing(fault, at) if fault else _filled(folder, at) as changes:
            done: list[str] = []
            error: BaseException | None = None
            try:
                work(here, done.append)
            except BaseException as raised:
                error = raised
        left, found = left_by_work(here)
        work(here, lambda _step: None)
        again, _ = left_by_work(here, verified=False)
        print(json.dumps(asdict(Told(changes(), done, str(error or ""), _kind(error), left, found, again))))
        if not fault:
            shutil.rmtree(here)


@contextmanager
def _failing(fault: str, at: int) -> Iterator[Callable[[], int]]:
    disk = ctypes.CDLL(None)
    number, lasting = FAULTS[fault]
    disk.fail_disk(ctypes.c_long(at), number, int(lasting))
    yield lambda: counted
    counted = int(disk.changes())
    disk.fail_disk(ctypes.c_long(0), 0, 0)


@contextmanager
def _filled(disk: Path, free_bytes: int) -> Iterator[Callable[[], int]]:
    """Leave only so many bytes on a disk."""
    status = os.statvfs(disk)
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(status.f_bavail * status.f_frsize - free_bytes))
    yield lambda: 0
    ballast.unlink()


def _kind(error: BaseException | None) -> str:
    if error is None or not isinstance(error, PenstockError):
        return "" if error is None else f"not ours: {error!r}"
    return "terminal" if isinstance(error, Terminal) else "transient"


if __name__ == "__main__":
    _main(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]))
