"""Evaluation in parts: one mapped task for each airport's flights, merged into the numbers of one pass over all rows.

The champion is measured; how the rows are split changes nothing but the time it takes. A part that is missing is an
error, never a smaller evaluation.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, task

from example_dags import flights
from penstock_airflow.operators import (
    CloseRunOperator,
    EvaluateModelOperator,
    MergeEvaluationsOperator,
    OpenRunOperator,
)

ORIGINS = ("EWR", "JFK", "LGA")
HELD_OUT = "{{ trained_through(ds) }}"


def shard(month: str, origin: str) -> str:
    """Return the path of one airport's flights of the month after `month`."""
    whole = flights.month_file(flights.month_after(month))
    return str(whole.with_name(f"{whole.stem}-{origin}.parquet"))


@task
def split(month: str) -> None:
    """Write one file for each airport; a part that is there whole is replaced by the same."""
    import pandas as pd

    rows = pd.read_parquet(flights.held_out(month))
    for origin in ORIGINS:
        rows[rows["origin"] == origin].to_parquet(shard(month, origin))


@dag(
    schedule="@monthly",
    start_date=datetime(2013, 4, 1, tzinfo=UTC),
    end_date=datetime(2014, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    user_defined_macros={"trained_through": flights.trained_through, "shard": shard},
    doc_md=__doc__,
)
def on_time_shards() -> None:
    """Measure the champion on the newest month, airport by airport."""
    opened = OpenRunOperator(task_id="open_run", experiment=f"{flights.EXPERIMENT}/shards", key=HELD_OUT)
    run = opened.output
    parts = EvaluateModelOperator.partial(
        task_id="evaluate",
        run=run,
        model=flights.CHAMPION,
        accept_from=flights.TRAINED_BY,
        label=flights.LABEL,
        part=True,
    ).expand(held_out=[f"{{{{ shard(trained_through(ds), '{origin}') }}}}" for origin in ORIGINS])
    merge = MergeEvaluationsOperator(task_id="merge", run=run, parts=parts.output)
    opened >> split(HELD_OUT) >> parts
    merge >> CloseRunOperator(task_id="close_run", run=run).as_teardown(setups=opened)


shards = on_time_shards()
