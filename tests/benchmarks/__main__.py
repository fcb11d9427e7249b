"""`make bench`: every figure against its floor in the same run, as a ratio.

MLflow is measured too where `--mlflow PYTHON` names the interpreter of an environment that has it, or `--mlflow
install` makes one under `.bench`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import penstock
from tests.benchmarks import artifacts, data, records, registry
from tests.benchmarks.processes import Timing, compare
from tests.benchmarks.task_process import programs

MLFLOW = "mlflow==3.17.2"


def _mlflow_python(given: str | None) -> str | None:
    if given != "install":
        return given
    home = Path(".bench/mlflow")
    python = str(home / "bin" / "python")
    if not home.exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--compile-bytecode", "--python", python, MLFLOW]
        subprocess.run(uv, check=True)
    return python


def _table(title: str, timings: dict[str, Timing]) -> None:
    floor = timings["floor"]
    print(f"\n{title}")
    print(f"{'':12}{'wall s':>9}{'x floor':>9}{'CPU s':>9}{'x floor':>9}   (medians of {floor.repeats})")
    for name, timing in timings.items():
        wall, cpu = timing.wall_s / floor.wall_s, timing.cpu_s / floor.cpu_s
        print(f"{name:12}{timing.wall_s:9.3f}{wall:9.2f}{timing.cpu_s:9.3f}{cpu:9.2f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--mlflow", help="'install', or the python of an environment with MLflow")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name in ("floor", "penstock"):
            penstock.connect(f"sqlite:///{folder / name}.db").close()
        pairs = programs(folder, sys.executable, _mlflow_python(arguments.mlflow))
        _table("A task's own cost in a fresh process (SQLite)", compare(pairs, arguments.repeats))
        with records.databases(folder) as databases:
            print(f"\n{'Records':52}{'':12} floor s   ours s  x floor    goal")
            for title, (goal, measure) in records.MEASURES.items():
                for name, new_url in databases.items():
                    floor, ours = measure(new_url)
                    print(f"{title:52}{name:12}{floor:8.3f}{ours:9.3f}{ours / floor:9.2f}{goal:8.2f}", flush=True)
            registry.print_all(databases)
        for title, timings in (artifacts.measure(folder) | data.measure(folder)).items():
            _table(title, timings)


main()
