"""DAG files of the real lane: one that is scheduled on the champion, whoever moves it, and one that waits for ever."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import dag, get_current_context, task

from penstock_airflow.assets import model_asset, move_in
from penstock_airflow.sensors import ModelAliasSensor
from tests import tiny


@task
def deploy() -> list[dict[str, Any]]:
    """Return what each triggering event says."""
    events = get_current_context()["triggering_asset_events"]
    return [move_in(event) for found in events.values() for event in found]


@dag(schedule=[model_asset(tiny.MODEL)], start_date=datetime(2026, 1, 1, tzinfo=UTC))
def deploying() -> None:
    """Deploy the champion."""
    deploy()


@dag(schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC))
def waiting() -> None:
    """Wait in the triggerer for what never happens."""
    ModelAliasSensor(task_id="wait", model="nothing")


deploying()
waiting()
