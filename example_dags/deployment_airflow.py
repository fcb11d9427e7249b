"""Deployment and batch scoring on promotion: these DAGs run whenever `on-time@champion` moves, whoever moved it.

A promotion in a DAG is an asset event; a move made on the command line, in Prefect or by a rollback is told of by the
asset's watcher. Both DAGs ask the store which version that is now, and never believe an event alone.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import dag, get_current_context, task

from example_dags import flights
from penstock_airflow.assets import model_asset, move_in
from penstock_airflow.hooks import PenstockHook
from penstock_airflow.operators import BatchScoreOperator, CloseRunOperator, OpenRunOperator

CHAMPION = model_asset(flights.MODEL)
DEFAULTS = {"retries": 2, "retry_delay": timedelta(minutes=1)}
# The newest month whose flights are scheduled: what is to be scored as soon as there is a new champion.
MONTHS = ("2013-11", "2013-12")


def serving() -> Path:
    """Return the file that a server would read to know which version to serve."""
    return flights.DATA.parent / "serving.json"


@task
def deploy() -> dict[str, Any]:
    """Load the champion, let it answer for a few rows, and only then name it in the serving file."""
    import pandas as pd

    events = get_current_context().get("triggering_asset_events") or {}
    told = [move_in(event) for found in events.values() for event in found]
    with PenstockHook().get_conn() as client:
        live = client.alias_history(flights.MODEL)[-1]
        model = client.load_model(f"models:/{live.model}/{live.to_version}", trusted_types=flights.TRUSTED_TYPES)
        rows = pd.read_parquet(flights.month_file("2013-12")).drop(columns=flights.LABEL).head(5)
        answers = len(model.predict(rows))
    scratch = serving().with_suffix(".partial")
    scratch.write_text(json.dumps({"model": live.model, "version": live.to_version, "generation": live.generation}))
    scratch.replace(serving())
    return {"version": live.to_version, "answers": answers, "events": told}


@dag(schedule=[CHAMPION], start_date=datetime(2013, 4, 1, tzinfo=UTC), default_args=DEFAULTS, doc_md=__doc__)
def on_time_deployment() -> None:
    """Deploy whichever version is the champion now."""
    deploy()


@dag(schedule=[CHAMPION], start_date=datetime(2013, 4, 1, tzinfo=UTC), default_args=DEFAULTS, doc_md=__doc__)
def on_time_scoring() -> None:
    """Score the coming months with the new champion; a partition is replaced as a whole."""
    opened = OpenRunOperator(task_id="open_run", experiment=f"{flights.EXPERIMENT}/scoring")
    run = opened.output
    score = BatchScoreOperator.partial(
        task_id="score",
        run=run,
        model=flights.CHAMPION,
        accept_from=flights.TRAINED_BY,
        to=str(flights.DATA.parent / "scores"),
        keep=["dest"],
    ).expand_kwargs([{"partition": month, "rows": str(flights.DATA / f"{month}.parquet")} for month in MONTHS])
    score >> CloseRunOperator(task_id="close_run", run=run).as_teardown(setups=opened)


deployment = on_time_deployment()
scoring = on_time_scoring()
