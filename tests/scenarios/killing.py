"""SIGKILL at a named place: what is reached is counted, and a child ends itself at its n-th time there."""

from __future__ import annotations

import ast
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import penstock
from penstock import failpoints

Place = tuple[str, int]  # a failpoint, and which of the times it is reached


def names_in_source() -> set[str]:
    """Return the name of every failpoint there is, read from the source."""
    found: set[str] = set()
    for path in Path(penstock.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "failpoint":
                (name,) = node.args
                assert isinstance(name, ast.Constant), f"{path}: a failpoint's name is a literal"
                found.add(str(name.value))
    return found


def reached_in(work: Callable[[], object]) -> Counter[str]:
    """Do the work, undisturbed; return how often each failpoint was reached.

    By threads that are there already it may be reached for a client that another test has left open.
    """
    reached: Counter[str] = Counter()
    lock, others = threading.Lock(), set(threading.enumerate()) - {threading.current_thread()}

    def count(name: str) -> None:
        if threading.current_thread() not in others:
            with lock:
                reached[name] += 1

    failpoints.arm(count)
    try:
        work()
    finally:
        failpoints.arm(None)
    return reached


def killed_at(place: Place, work: Callable[[], object]) -> None:
    """Do the work in a child that SIGKILLs itself at `place`; it is an error if that is never reached."""
    child = os.fork()
    if child == 0:
        seen: Counter[str] = Counter()
        lock = threading.Lock()

        def die(name: str) -> None:
            with lock:
                seen[name] += 1
                if (name, seen[name]) == place:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            failpoints.arm(die)
            work()
        finally:
            os._exit(99)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status), f"{place} was not reached: exit code {os.waitstatus_to_exitcode(status)}"
    assert os.WTERMSIG(status) == signal.SIGKILL
