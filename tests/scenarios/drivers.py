"""The pipeline of `example_dags` on real flights, driven by a script, by Airflow and by Prefect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import penstock
from example_dags import flights
from tests import airflow_home

Driver = Callable[[str, Path, str], None]


def script(url: str, artifacts: Path, month: str) -> None:
    """Run one month as a plain Python script does."""
    from example_dags.on_time_script import retrain

    with penstock.connect(url, artifacts) as client:
        retrain(client, month)


def airflow(url: str, artifacts: Path, month: str) -> None:
    """Run one month as a DAG run through Airflow's task runner."""
    from example_dags.on_time_airflow import retraining

    with airflow_home.connection(host=url, extra={"artifacts": str(artifacts)}):
        outcome = airflow_home.run_dag(retraining, flights.run_date(month))
    assert outcome.state == "success", outcome.states


def prefect(url: str, artifacts: Path, month: str) -> None:
    """Run one month as a flow run against a Prefect server."""
    from example_dags.on_time_prefect import on_time

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PENSTOCK_URL", url)
        environment.setenv("PENSTOCK_ARTIFACTS", str(artifacts))
        on_time(month)


DRIVERS: dict[str, Driver] = {"script": script, "airflow": airflow, "prefect": prefect}
