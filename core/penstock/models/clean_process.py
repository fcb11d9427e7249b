"""A model's own process: a new interpreter, never a fork of this one, which would copy its locks and connections.

It is told neither the store's URL nor anybody's keys: it gets a few named variables of the environment only, and finds
the modules that are importable here. The one place where such a process is started and ended.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

# What libraries need to be found and to behave as they do here; everything else may hold a secret.
_KEPT = {
    *("PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP"),
    *("LD_LIBRARY_PATH", "VIRTUAL_ENV", "CUDA_VISIBLE_DEVICES"),
}
_KEPT_PREFIXES = ("LC_", "PYTHON", "OMP_", "OPENBLAS_", "MKL_", "NUMEXPR_", "COVERAGE_")


def environment() -> dict[str, str]:
    """Return the variables such a process gets: no store, no keys, no passwords."""
    kept = {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES)}
    path = dict.fromkeys(entry or str(Path.cwd()) for entry in sys.path)
    return {**kept, "PYTHONPATH": os.pathsep.join(path)}


def start(module: str, arguments: Sequence[str], *, stderr: Any, **more: Any) -> subprocess.Popen[bytes]:
    """Start `python -m module` with `arguments` in a session of its own; it reads nothing and prints to nobody.

    Nothing is imported from the working folder unless it is here. `more` is what else `Popen` takes.
    """
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, *arguments],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        start_new_session=True,
        **more,
    )


def end(process: subprocess.Popen[bytes]) -> None:
    """End the process with all that it may have started, and wait for it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
