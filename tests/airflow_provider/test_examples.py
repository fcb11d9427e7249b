"""The example DAGs, one after the other on real flights: each does what its first lines say.

`on_time_airflow` also runs in `tests/scenarios`, `maintenance_airflow` in `test_dags.py`. The approval is answered as
soon as it is asked for; the waiting itself is in `test_real_lane.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import penstock
from example_dags import flights
from tests import airflow_home
from tests.airflow_home import run_dag

pytestmark = [pytest.mark.airflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A store whose champion was trained through February, by the retraining DAG."""
    folder = tmp_path_factory.mktemp("story")
    flights.DATA = folder / "flights"
    url = f"sqlite:///{folder / 'penstock.db'}"
    with airflow_home.connection(host=url, extra={"artifacts": str(folder / "artifacts")}):
        from example_dags.on_time_airflow import retraining

        outcome = run_dag(retraining, flights.run_date("2013-02"))
        assert set(outcome.states.values()) == {"success"}
        yield url


def test_a_promotion_is_an_asset_event_that_says_version_and_decision(story: str) -> None:
    (event,) = asset_events()
    assert (event["model"], event["alias"], event["version"], event["generation"]) == ("on-time", "champion", 1, 1)
    with penstock.connect(story) as client:
        assert client.get_decision(event["decision_id"]).passed


def test_a_challenger_becomes_champion_when_a_person_says_so(story: str) -> None:
    from example_dags.challenger_airflow import challenger

    def answer(context: Any) -> None:
        with penstock.connect(story, actor="grace") as client:
            (found,) = client.list_approvals(state="pending")
            client.answer_approval(found, True, "reviewed the slices")

    challenger.get_task("approve").on_execute_callback = [answer]
    outcome = run_dag(challenger, flights.run_date("2013-03"))
    assert set(outcome.states.values()) == {"success"}, outcome.states
    assert outcome.returned("gate_champion")["verdict"] == "INCONCLUSIVE"
    assert outcome.returned("approve")["verdict"] == "PASS"
    with penstock.connect(story) as client:
        assert {move.alias: move.to_version for move in client.alias_history("on-time")} == {
            "challenger": 2,
            "champion": 2,
        }
    assert [event["version"] for event in asset_events()] == [1, 2]


def test_parts_make_the_evaluation_of_the_whole(story: str) -> None:
    from example_dags.shards_airflow import shards

    outcome = run_dag(shards, flights.run_date("2013-04"))
    assert set(outcome.states.values()) == {"success"}
    with penstock.connect(story) as client:
        merged = client.get_evaluation(outcome.returned("merge"))
    assert merged.dataset.rows == len(pd.read_parquet(flights.held_out("2013-04")))


def test_the_new_champion_is_deployed_and_scores_the_coming_months(story: str) -> None:
    from example_dags.deployment_airflow import deployment, scoring, serving

    assert run_dag(deployment).returned("deploy")["answers"] == 5
    assert json.loads(serving().read_text())["version"] == 2
    for _ in range(2):
        outcome = run_dag(scoring)
        assert set(outcome.states.values()) == {"success"}
    scores = pd.concat(pd.read_parquet(path) for path in Path(flights.DATA.parent / "scores").rglob("*.parquet"))
    months = [pd.read_parquet(flights.month_file(month)) for month in ("2013-11", "2013-12")]
    assert len(scores) == sum(len(month) for month in months)


def test_a_champion_that_fails_on_fresh_labels_is_taken_back_and_a_good_one_stays(
    story: str,
) -> None:
    from example_dags.fresh_labels_airflow import fresh_labels

    kept = run_dag(fresh_labels, flights.run_date("2013-04"))
    assert (kept.states["keep"], kept.states["roll_back"]) == ("success", "skipped")
    assert (kept.returned("judge")["verdict"], kept.returned("judge")["state"]) == ("PASS", "open")
    # The same month with labels that have nothing to do with the flights.
    rows = pd.read_parquet(flights.held_out("2013-05"))
    rows[flights.LABEL] = rows[flights.LABEL].sample(frac=1.0, random_state=0).to_numpy()
    rows.to_parquet(flights.held_out("2013-05"))
    taken = run_dag(fresh_labels, flights.run_date("2013-05"))
    assert taken.returned("judge") == {"verdict": "FAIL", "state": "failed", "rolled_back_to": 1}
    assert (taken.states["gate"], taken.states["keep"], taken.states["roll_back"]) == ("skipped",) * 3
    assert taken.returned("close_run")["status"] == "FINISHED"
    # What has had no probation is put before the gate.
    left = run_dag(fresh_labels, flights.run_date("2013-06"))
    assert left.returned("judge")["verdict"] is None
    assert left.states["gate"] == "success"
    assert [event["version"] for event in asset_events()] == [1, 2]


def asset_events() -> list[dict[str, Any]]:
    """What Airflow was told of the champion, oldest first."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session

    with create_session() as session:
        found = session.query(AssetEvent).join(AssetModel, AssetEvent.asset_id == AssetModel.id)
        mine = found.filter(AssetModel.uri == "penstock://models/on-time@champion").order_by(AssetEvent.id)
        return [dict(event.extra) for event in mine]
