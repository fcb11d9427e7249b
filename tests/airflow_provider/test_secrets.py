"""Secrets in every field of a connection, every operator run, failed and killed: none of them is found anywhere."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from penstock.stores.sql.urls import PostgresUrl, parse_store_url
from penstock_airflow.decorators import PenstockDecoratedOperator
from penstock_airflow.environment import run_environment
from penstock_airflow.operators import CloseRunOperator, LogOperator, OpenRunOperator, RollbackModelOperator
from tests import airflow_home, tiny
from tests.airflow_home import START, run_dag
from tests.airflow_provider.leaks import files_holding, objects_of, rows_of, shapes_of
from tests.airflow_provider.pipelines import retraining
from tests.s3_servers import BUCKET, KEY, REGION, SECRET, S3Server, new_prefix

pytestmark = pytest.mark.airflow


@pytest.fixture(autouse=True)
def _own_signal_handler() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_no_secret_leaves_the_connection(
    postgres_url: str,
    rclone: S3Server,
    held_out: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The database trusts whoever comes from this machine, so that any password will do; the bucket checks its keys."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PENSTOCK_CACHE", "0")
    # Made here: Airflow keeps the source of this very file in its database.
    canary = f"S3CR3T/{uuid.uuid4().hex}"
    parsed = parse_store_url(postgres_url)
    assert isinstance(parsed, PostgresUrl)
    keys = {
        "s3_access_key_id": KEY,
        "s3_secret_access_key": SECRET,
        "s3_endpoint": rclone.endpoint,
        "s3_region": REGION,
    }
    artifacts = f"s3://{BUCKET}/{new_prefix()}"
    fields: dict[str, Any] = {
        "host": parsed.host,
        "port": parsed.port,
        "schema": parsed.database,
        "login": parsed.user,
        "password": canary,
        "extra": {"artifacts": artifacts, **keys},
    }
    with airflow_home.connection(**fields):
        assert run_dag(retraining("canary", held_out)).state == "success"
        assert run_dag(retraining("canary_fails", held_out, strength=0, key="failing")).state == "failed"
        assert run_dag(_everything_else()).states == {
            "open_run": "success",
            "log": "success",
            "environment": "success",
            "killed": "failed",
            "roll_back": "failed",
            "close_run": "success",
        }
    with airflow_home.connection(
        **{**fields, "extra": {"artifacts": artifacts, **keys, "s3_secret_access_key": canary}}
    ):
        assert run_dag(retraining("canary_refused", held_out, key="refused")).state == "failed"
    with airflow_home.connection(**{**fields, "port": 9}):
        assert run_dag(retraining("canary_unreachable", held_out)).state == "failed"
    with airflow_home.connection(**{**fields, "extra": {"secret_key": canary}}):
        assert run_dag(retraining("canary_extra", held_out)).state == "failed"
    with airflow_home.connection(host=f"postgresql://me:{canary}@db/x"):
        assert run_dag(retraining("canary_url", held_out)).state == "failed"
    out, err = capfd.readouterr()
    assert "unsupported connection option" in out + err
    shapes = [shape for secret in (canary, SECRET) for shape in shapes_of(secret)]
    assert not [shape for shape in shapes if shape in out + err]
    assert (airflow_home.HOME / "airflow.db").is_file()
    assert files_holding([tmp_path, airflow_home.HOME], shapes) == []
    stored = [*rows_of(postgres_url), *objects_of(rclone)]
    assert [place for place, text in stored for shape in shapes if shape in text] == []
    assert not [name for name, value in os.environ.items() if any(s in value for s in shapes)]


def _everything_else() -> DAG:
    def killed(run: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with DAG("canary_rest", schedule=None, start_date=START) as dag:
        opened = OpenRunOperator(
            task_id="open_run", experiment=tiny.EXPERIMENT, key="rest", run_tags={"long": "x" * 5000}
        )
        log = LogOperator(
            task_id="log", run=opened.output, metrics={"m": 1}, artifacts={"a.json": {"b": 1}}, run_params={"c": 2}
        )
        environment = LogOperator(task_id="environment", run=opened.output, run_params=run_environment(opened))
        kill = PenstockDecoratedOperator(task_id="killed", python_callable=killed, op_args=[opened.output])
        roll_back = RollbackModelOperator(task_id="roll_back", name="nothing", alias="champion", reason="r")
        close = CloseRunOperator(task_id="close_run", run=opened.output).as_teardown(setups=opened)
        opened >> [log, environment, kill, roll_back] >> close
    return dag
