"""Housekeeping of a store as two Airflow DAGs: end what died, and check that everything is as it was written.

Every quarter of an hour `penstock_reaping` ends attempts that have been silent for longer than their lease and runs
past their deadline, and probations whose time is over. Once a day `penstock_maintenance` checks the store against its
own ledger and reads every byte of every version; anything found fails the task, and so alerts whoever is told of
failures. Only then does it let go of what no retention policy keeps and nothing refers to.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import dag, task

from penstock_airflow.hooks import PenstockHook

ALONE: dict[str, Any] = {
    "start_date": datetime(2026, 1, 1, tzinfo=UTC),
    "catchup": False,
    "max_active_runs": 1,
    "default_args": {"retries": 2, "retry_delay": timedelta(minutes=1)},
    "doc_md": __doc__,
}


@task
def reap() -> int:
    """End what nobody works on any more; return how much it was."""
    with PenstockHook().get_conn() as client:
        lapsed = client.reap()
        client.settle_probations()
    for found in lapsed:
        print(f"run {found.step.run_id}: {found.reason}{'; it is KILLED' if found.run_ended else ''}")
    return len(lapsed)


@task
def verify() -> None:
    """Fail with what is not as it was written."""
    with PenstockHook().get_conn() as client:
        findings = [str(finding) for finding in client.verify()]
    if findings:
        raise ValueError(f"{len(findings)} findings: {'; '.join(findings[:20])}")


@task
def collect() -> str:
    """Delete what nothing keeps; return what it was."""
    with PenstockHook().get_conn() as client:
        gone = client.collect(dry_run=False)
    return f"{gone.runs} runs, {gone.blobs} blobs, {gone.freed_bytes} bytes"


@dag(schedule="*/15 * * * *", **ALONE)
def penstock_reaping() -> None:
    """End what nobody works on any more."""
    reap()


@dag(schedule="@daily", **ALONE)
def penstock_maintenance() -> None:
    """Verify, and then collect."""
    verify() >> collect()


reaping, maintenance = penstock_reaping(), penstock_maintenance()
