"""Mutation testing of the deciding modules: `python -m tests.mutation`, or `make mutants`. Takes an hour or more.

Each mutant is imported in a forked child in place of the module, and the tests that decide run against it until one
fails: then it is killed. A mutant that hangs counts as killed. `known.txt` lists mutants that change nothing anybody
could see, each with its reason; they are not counted. With `--record FILE` every verdict is written down as it falls,
and a run of the same code and tests that was interrupted goes on where it was. Exits with 1 below the share that the
house promises.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.abc
import importlib.util
import os
import resource
import signal
import sys
import time
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import Phase, settings

from penstock.services import deciding
from tests.core import gate_samples, test_decision_records, test_truth_table
from tests.core.gates import statistical_samples
from tests.mutation.mutants import Mutant, mutants_of

assert gate_samples
assert statistical_samples
assert test_decision_records

HOME = Path(deciding.__file__).parent
CORE = Path(test_truth_table.__file__).parent
PACKAGE = "penstock.services.deciding"
# In the order of how soon they notice. Those of the engine, of the documents and of simulated years take longest and
# decide nothing that these do not.
TESTS = [
    CORE / "test_decision_records.py",
    *(CORE / "gates" / f"test_{name}.py" for name in ("what_is_told", "demands", "explaining", "statistical_gates")),
    CORE / "test_deciding.py",
]
FLIPPING = [CORE / "gates" / "test_flips.py", CORE / "gates" / "test_explaining.py"]
KNOWN = Path(__file__).with_name("known.txt")
OPTIONS = ["-x", "-q", "--noconftest", "--import-mode=importlib", "--assert=plain", "-o", "addopts="]
OPTIONS += ["-p", "no:cacheprovider", "-p", "no:timeout"]
PROMISED = 0.95
# These tests take some 15 seconds of CPU; waiting on a busy machine is no sign of a mutant that hangs.
CPU_S, WALL_S = 90, 1200


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports a mutant in place of its module."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != self._mutant.module:
            return None
        return importlib.util.spec_from_file_location(name, self._mutant.path, loader=self)

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._mutant.source, str(self._mutant.path), "exec"), module.__dict__)


def _fresh(name: str) -> bool:
    """Whether a module must be imported anew, for it is mutated or has kept what is."""
    return name.startswith((PACKAGE, "tests.core", "tests.truth_table"))


def _run_the_truth_table() -> None:
    """Call the test that kills three mutants of four row by row, without pytest: half the time of a run."""
    table = importlib.import_module("tests.core.test_truth_table")
    for check in (
        table.test_the_gate_says_what_the_truth_table_says,
        table.test_a_row_replayed_from_its_stored_record_is_identical,
    ):
        for row in table.ROWS:
            check(row)


def survives(mutant: Mutant) -> bool:
    """Whether no test notices the mutant."""
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        signal.alarm(WALL_S)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
        code = 1
        try:
            for name in list(filter(_fresh, sys.modules)):
                del sys.modules[name]
            sys.meta_path.insert(0, _Finder(mutant))
            # One counterexample is enough: nobody reads it, so it is neither shrunk nor kept.
            once = [Phase.explicit, Phase.generate]
            settings.register_profile("mutation", max_examples=15, deadline=None, phases=once, database=None)
            settings.load_profile("mutation")
            if mutant.path.stem == "flips":
                code = int(pytest.main([*OPTIONS, *map(str, FLIPPING)]))  # no verdict asks for a flip
            else:
                _run_the_truth_table()
                code = int(pytest.main([*OPTIONS, *map(str, TESTS)]))
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0


class Record:
    """The verdicts so far, one a line, in a file that outlives the run (or only in memory)."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        written = path.read_text(encoding="utf-8").splitlines() if path and path.exists() else []
        self._verdicts = {mutant: verdict for verdict, _, mutant in (line.partition("  ") for line in written)}

    def survived(self, mutant: Mutant) -> bool:
        """Whether the mutant survived: as written down, else as it is seen now."""
        name = str(mutant)
        if name not in self._verdicts:
            self._verdicts[name] = "survived" if survives(mutant) else "killed"
            if self._path:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(f"{self._verdicts[name]}  {name}\n")
        return self._verdicts[name] == "survived"


def main() -> int:
    """Try every mutant and print the survivors and the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", help="names of modules (default: all of deciding)")
    parser.add_argument("--every", type=int, default=1, help="only every n-th mutant")
    parser.add_argument("--record", type=Path, help="a file of verdicts to go on from and to add to")
    arguments = parser.parse_args()
    record = Record(arguments.record)
    known = {line.partition("  #")[0].strip() for line in KNOWN.read_text(encoding="utf-8").splitlines()}
    names = arguments.modules or sorted(path.stem for path in HOME.glob("*.py") if path.stem != "__init__")
    killed = survived = 0
    started = time.monotonic()
    for name in names:
        found = list(mutants_of(f"{PACKAGE}.{name}", HOME / f"{name}.py"))[:: arguments.every]
        before = (killed, survived)
        for mutant in found:
            if f"{name}: {mutant.change}" in known:
                continue
            if record.survived(mutant):
                survived += 1
                print(f"survived  {name}: {mutant.change}  # line {mutant.line}", flush=True)
            else:
                killed += 1
        print(f"{name:14}{killed - before[0]:5} killed{survived - before[1]:5} survived", flush=True)
    share = killed / max(killed + survived, 1)
    print(f"{killed} of {killed + survived} mutants killed: {share:.1%}, in {time.monotonic() - started:.0f} s")
    return 0 if share >= PROMISED else 1


if __name__ == "__main__":
    sys.exit(main())
