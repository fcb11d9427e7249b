"""A DAG file of the real lane whose training waits until `@FOLDER@` says go on: there is time to kill it."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import dag, get_current_context, task

from penstock_airflow.operators import CloseRunOperator, OpenRunOperator

FOLDER = Path("@FOLDER@")


@task.penstock
def train(run: Any, name: str) -> dict[str, int]:
    """Say which process this is, wait, and log which try it was that went on."""
    number = get_current_context()["ti"].try_number
    run.log_metrics({"begun": float(number)})
    scratch = FOLDER / f"{name}.partial-{number}"
    scratch.write_text(str(os.getpid()))
    scratch.rename(FOLDER / f"{name}-{number}")
    deadline = time.monotonic() + 150
    while not (FOLDER / f"{name}.go").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    run.log_metrics({"gone_on": float(number)})
    return {"try": number}


@dag(
    schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), default_args={"retries": 2, "retry_delay": timedelta(0)}
)
def dying() -> None:
    """Open, train, close."""
    opened = OpenRunOperator(task_id="open_run", experiment="tests/dying", key="{{ run_id }}")
    trained = train(opened.output, name="{{ run_id }}")
    trained >> CloseRunOperator(task_id="close_run", run=opened.output).as_teardown(setups=opened)


dying()
