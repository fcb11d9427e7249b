"""Timing whole processes: wall and CPU seconds of a child, compared in turn so that a noisy machine is noisy to all."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Median wall and CPU seconds of a program over its repeats."""

    wall_s: float
    cpu_s: float
    repeats: int


def run_once(python: str, program: str, *arguments: str) -> tuple[float, float]:
    """Run a program in a fresh process; return its (wall, CPU) seconds."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    before, started = os.times(), time.perf_counter()
    subprocess.run([python, "-c", program, *arguments], check=True, env=environment, capture_output=True)
    wall, after = time.perf_counter() - started, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, cpu


def compare(programs: Mapping[str, tuple[str, str, str]], repeats: int) -> dict[str, Timing]:
    """Run every program `repeats` times, interleaved, after a warm-up; a program gets its URL and a fresh key."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
    for repeat in range(repeats + 1):
        for name, (python, program, url) in programs.items():
            timed = run_once(python, program, url, f"run-{repeat}")
            if repeat > 0:
                taken[name].append(timed)
    return {
        name: Timing(statistics.median(w for w, _ in times), statistics.median(c for _, c in times), repeats)
        for name, times in taken.items()
    }
