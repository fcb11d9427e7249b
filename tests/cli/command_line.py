"""A sample store's story, and running the command line on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
from click.testing import CliRunner, Result
from sklearn.linear_model import LogisticRegression

import penstock
from penstock.cli.app import app
from penstock.services.active_run import ActiveRun

EXPERIMENT = "team/on-time"
CHAMPION = "models:/on-time@champion"
POLICY = """\
name: on-time
when_no_baseline: pass
rules:
  - held_out: {min_rows: 100, not_training_data: true}
  - at_least: {metric: roc_auc, value: 0.7}
  - no_worse_than: {baseline: champion, metric: roc_auc, margin: 0.01}
  - every_slice: {by: origin, min_rows: 50, rule: {at_least: {metric: roc_auc, value: 0.6}}}
"""
SOURCE = Path(penstock.__file__).parents[1]
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("PENSTOCK_")} | {"PYTHONPATH": str(SOURCE)}
Run = Callable[..., Result]


def rows_of(seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    signal_, noise = random.normal(size=600), random.normal(size=600)
    late = signal_ + random.normal(size=600) > 0
    return pd.DataFrame({"late": late, "signal": signal_, "noise": noise, "origin": np.resize(["EWR", "JFK"], 600)})


def train(run: ActiveRun, seed: int, column: str) -> Any:
    rows = rows_of(seed)
    model = LogisticRegression().fit(rows[[column]], rows["late"])
    run.log_metrics({"train_rows": len(rows)})
    run.log_input(rows, role="train", label="late", name="rows")
    return run.log_model(model, "model", input_example=rows[[column]].head(3))


def runner_on(folder: Path) -> Run:
    def run(*arguments: str, columns: int | None = None, **environment: str) -> Result:
        url = f"sqlite:///{folder / 'penstock.db'}"
        env = {"PENSTOCK_URL": url, "COLUMNS": None if columns is None else str(columns), **environment}
        return CliRunner().invoke(app, list(arguments), env=env)

    return run


def one_run(cli: Run, partition: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cli("runs", "show", f"{EXPERIMENT}@{partition}", "--json").stdout)
    return found


def decision_of(cli: Run, partition: str) -> str:
    return str(one_run(cli, partition)["decisions"][0]["decision_id"])


def commands(
    group: click.Command = app, path: tuple[str, ...] = (), *, leaves: bool = False
) -> Iterator[tuple[str, ...]]:
    """Every command by its path; with `leaves` only those that do something themselves."""
    if not (leaves and isinstance(group, click.Group)):
        yield path
    if isinstance(group, click.Group):
        for name, command in group.commands.items():
            yield from commands(command, (*path, name), leaves=leaves)


def python(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT, **options)
