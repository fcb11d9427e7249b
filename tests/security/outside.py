"""What a process opens outside the folders it was given: seen by the interpreter itself, whatever the code says.

An audit hook cannot be taken away again, so there is one for the process, which notes only while it is told to.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Events whose first argument is a path, and whose second may be one.
_ONE = {"open", "os.listdir", "os.scandir", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.chmod", "os.utime"}
_ONE |= {"shutil.rmtree", "sqlite3.connect"}
_TWO = {"os.rename", "os.link", "os.symlink", "shutil.copyfile", "shutil.move"}

# Where the code and the data of the libraries lie, and what the system offers to everybody.
_CODE = tuple({sys.prefix, sys.base_prefix, str(Path(__file__).parents[2])})
_SYSTEM = ("/dev/null", "/dev/urandom", "/proc/stat", "/proc/cpuinfo", "/proc/meminfo", "/sys/", "/usr/", "/etc/ssl/")

_noting: list[str] | None = None


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if _noting is None or (event not in _ONE and event not in _TWO):
        return
    for path in arguments[: 2 if event in _TWO else 1]:
        if isinstance(path, str | bytes | os.PathLike):
            _noting.append(os.path.realpath(os.fsdecode(path)))


sys.addaudithook(_note)


@contextmanager
def touched() -> Iterator[list[str]]:
    """Collect the real paths that are opened, listed, made, moved or removed in the block."""
    global _noting
    paths: list[str] = []
    _noting = paths
    try:
        yield paths
    finally:
        _noting = None


def outside(paths: list[str], *roots: Path) -> list[str]:
    """Return those that are neither below `roots` nor the interpreter's own."""
    allowed = tuple(os.path.realpath(root) for root in roots)
    return [
        path
        for path in paths
        if not any(path == root or path.startswith(f"{root}/") for root in (*allowed, *_CODE))
        and not path.startswith(_SYSTEM)
    ]
