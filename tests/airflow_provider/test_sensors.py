"""Sensors and triggers: what they wait for, what they return, and what of the connection they keep (nothing)."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, BaseHook, Connection, task

import penstock
from penstock.errors import InvalidValue
from penstock_airflow.assets import model_asset, move_in
from penstock_airflow.compat import AirflowFailException
from penstock_airflow.operators import PromoteModelOperator
from penstock_airflow.sensors import (
    ApprovalSensor,
    DecisionSensor,
    ModelAliasSensor,
    ModelVersionSensor,
)
from penstock_airflow.triggers import AliasMovedTrigger, QuestionTrigger
from tests import airflow_home
from tests.airflow_home import START
from tests.airflow_provider.pipelines import context
from tests.contracts import samples
from tests.contracts.samples import ALIAS, MODEL

SECRET = "canary-password-never-to-be-stored"


def sensing(sensor: Callable[[], Any], dag_id: str) -> DAG:
    with DAG(dag_id, schedule=None, start_date=START) as dag:
        sensor()
    return dag


def in_a_while(url: str, work: Callable[[penstock.Client], Any], after_s: float = 1.0) -> threading.Thread:
    def later() -> None:
        time.sleep(after_s)
        with penstock.connect(url) as client:
            work(client)

    thread = threading.Thread(target=later)
    thread.start()
    return thread


def released(client: penstock.Client) -> Any:
    return samples.released(client.wiring.store, "a")


@pytest.mark.airflow
def test_a_sensor_waits_for_a_promotion_in_the_triggerer_and_returns_it(store: str) -> None:
    dag = sensing(lambda: ModelAliasSensor(task_id="wait", model=MODEL, alias=ALIAS, poke_interval=0.2), "sensing")
    promoting = in_a_while(store, released, 3.0)
    outcome = airflow_home.run_dag(dag)
    promoting.join()
    assert outcome.states == {"wait": "success"}
    assert outcome.returned("wait") == {"model": MODEL, "alias": ALIAS, "version": 1, "generation": 1}


def test_what_is_there_already_is_returned_at_once(store: str) -> None:
    with penstock.connect(store) as client:
        judgement, _, _ = released(client)
    alias = ModelAliasSensor(task_id="a", model=MODEL, alias=ALIAS).execute(context("a"))
    assert (alias["version"], alias["generation"]) == (1, 1)
    version = ModelVersionSensor(task_id="v", model=MODEL).execute(context("v"))
    assert version["version"] == 1
    run_id = judgement.model.run_id
    decided = DecisionSensor(task_id="d", run={"run_id": run_id}, verdict="PASS").execute(context("d"))
    assert decided == judgement.decision.ref


@pytest.mark.parametrize(
    "sensor",
    [
        lambda: ModelAliasSensor(task_id="s", model=MODEL, alias=ALIAS, after_generation={"generation": 1}),
        lambda: ModelVersionSensor(task_id="s", model=MODEL, after_version="1"),
        lambda: DecisionSensor(task_id="s", run="0" * 32),
    ],
)
def test_a_sensor_that_must_wait_defers_and_leaves_no_field_of_its_connection(
    store_url: str, sensor: Callable[[], Any]
) -> None:
    try:
        from airflow.sdk.exceptions import TaskDeferred
    except ImportError:  # Airflow 3.1
        from airflow.exceptions import TaskDeferred

    with penstock.connect(store_url) as client:
        released(client)
    extra = {"s3_secret_access_key": SECRET, "s3_access_key_id": "key"}
    with airflow_home.connection(host=store_url, extra=extra), pytest.raises(TaskDeferred) as deferred:
        sensor().execute(context("s"))
    path, kwargs = deferred.value.trigger.serialize()
    assert path == "penstock_airflow.triggers.QuestionTrigger"
    row = json.dumps(kwargs)
    assert SECRET not in row
    assert store_url not in row
    assert QuestionTrigger(**json.loads(row)).serialize() == (path, kwargs)


def test_a_sensor_that_does_not_defer_pokes(store: str) -> None:
    sensor = ModelAliasSensor(task_id="s", model=MODEL, alias=ALIAS, deferrable=False)
    assert sensor.poke(context("s")) is False
    with penstock.connect(store) as client:
        released(client)
    assert sensor.poke(context("s")).xcom_value["version"] == 1


@pytest.mark.parametrize(
    "sensor",
    [
        lambda: ModelAliasSensor(task_id="s", model=MODEL, after_generation="soon"),
        lambda: ModelVersionSensor(task_id="s", model=MODEL, after_version=True),
        lambda: DecisionSensor(task_id="s", run={"path": "/etc/passwd"}),
        lambda: ApprovalSensor(task_id="s", request=["a"]),
    ],
)
def test_what_cannot_be_waited_for_fails_at_once(store: str, sensor: Callable[[], Any]) -> None:
    with pytest.raises(AirflowFailException, match="expected"):
        sensor().execute(context("s"))


def connected(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    async def found(conn_id: str) -> Connection:
        return Connection(conn_id=conn_id, conn_type="penstock", host=url)

    monkeypatch.setattr(BaseHook, "aget_connection", found)


def test_a_trigger_outlives_a_store_that_is_away_and_says_what_is_wrong_for_good(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected(monkeypatch, store_url)
    with penstock.connect(store_url):
        pass

    async def first(trigger: QuestionTrigger) -> Any:
        async for event in trigger.run():
            return event.payload
        return None

    wrong = QuestionTrigger("c", "no_such_question", {}, 0.1)
    assert "one of alias_moved" in asyncio.run(first(wrong))["error"]
    missing = QuestionTrigger("c", "approval_answered", {"request": "0" * 32}, 0.1)
    assert "does not exist" in asyncio.run(first(missing))["error"]


def test_a_watched_alias_tells_of_moves_made_elsewhere_once_and_of_those_made_while_it_was_away(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected(monkeypatch, store_url)

    async def told(count: int) -> list[Any]:
        payloads: list[Any] = []
        trigger = AliasMovedTrigger(MODEL, ALIAS, "c", 0.1)

        async def collect() -> None:
            async for event in trigger.run():
                payloads.append(event.payload)

        watching = asyncio.create_task(collect())
        deadline = time.monotonic() + 20
        while len(payloads) < count and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
        watching.cancel()
        return payloads

    with penstock.connect(store_url) as client:
        store = client.wiring.store
        assert asyncio.run(told(0)) == []
        samples.released(store, "a")
        (first,) = asyncio.run(told(1))
        assert (first["model"], first["alias"], first["version"], first["from_version"]) == (MODEL, ALIAS, 1, None)
        samples.released(store, "b", generation=1)
        (second,) = asyncio.run(told(1))
        assert (second["version"], second["from_version"]) == (2, 1)
        assert asyncio.run(told(0)) == []


def promoting(dag_id: str, judgement: Any, version: int, kind: Any = PromoteModelOperator) -> DAG:
    with DAG(dag_id, schedule=None, start_date=START) as dag:
        kind(
            task_id="promote",
            run={"run_id": judgement.model.run_id},
            step="promote_champion",
            name=MODEL,
            alias=ALIAS,
            version=version,
            decision=judgement.decision.decision_id,
            accept_from=["pipeline"],
        )
    return dag


class DiesAfterTheMove(PromoteModelOperator):
    def act(self, client: Any, context: Any) -> Any:
        super().act(client, context)
        raise MemoryError("the alias has moved, and the task is dead")


@pytest.mark.airflow
def test_a_watcher_leaves_out_what_a_task_of_this_airflow_has_told_and_tells_of_all_else(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def watching() -> list[Any]:
        told: list[Any] = []

        async def collect() -> None:
            async for event in AliasMovedTrigger(MODEL, ALIAS, poll_s=0.1).run():
                told.append(event.payload)

        async def for_a_while() -> None:
            with suppress(TimeoutError):
                await asyncio.wait_for(collect(), 3)

        asyncio.run(for_a_while())
        return told

    with DAG("watching", schedule=None, start_date=START) as dag:
        task(watching)()
    with penstock.connect(store) as client:
        records = client.wiring.store
        assert client.follow_events(f"airflow:{MODEL}@{ALIAS}")[0] == []
        judged = [samples.judged(records, name, generation=n) for n, name in enumerate("abcd")]
        numbers = [samples.registered(records, judgement).version for judgement in judged]
        told_itself = airflow_home.run_dag(promoting("promoting", judged[0], numbers[0]))
        died = airflow_home.run_dag(promoting("dying", judged[1], numbers[1], DiesAfterTheMove))
        assert (told_itself.state, died.state) == ("success", "failed")
        with monkeypatch.context() as elsewhere:
            elsewhere.setenv("AIRFLOW__PENSTOCK__INSTALLATION", "another Airflow")
            airflow_home.run_dag(promoting("promoting_elsewhere", judged[2], numbers[2]))
        client.promote(MODEL, ALIAS, numbers[3], judged[3].decision.decision_id)
    told = airflow_home.run_dag(dag).returned("watching")
    assert [(move["generation"], move["version"]) for move in told] == [(2, 2), (3, 3), (4, 4)]
    assert airflow_home.run_dag(dag).returned("watching") == []


def test_a_move_waits_while_its_task_may_tell_of_it_and_airflows_on_one_store_each_hear_of_it(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    states: dict[str, str | None] = {}

    async def state(host: Any) -> str | None:
        return states[host["task_id"]]

    # What Airflow says of a task is asked for real above; here it changes under the watcher's eyes.
    monkeypatch.setattr("penstock_airflow.triggers._task_state", state)

    def told(seconds: float = 1.5) -> list[int]:
        generations: list[int] = []

        async def collect() -> None:
            async for event in AliasMovedTrigger(MODEL, ALIAS, poll_s=0.1).run():
                generations.append(event.payload["generation"])

        async def for_a_while() -> None:
            with suppress(TimeoutError):
                await asyncio.wait_for(collect(), seconds)

        asyncio.run(for_a_while())
        return generations

    def of(name: str) -> None:
        monkeypatch.setenv("AIRFLOW__PENSTOCK__INSTALLATION", name)

    with penstock.connect(store) as client:
        records = client.wiring.store
        for name in ("staging", "production"):
            of(name)
            assert told() == []
        judged = [samples.judged(records, name, generation=n) for n, name in enumerate("ab")]
        numbers = [samples.registered(records, judgement).version for judgement in judged]
        promoting("production", judged[0], numbers[0]).get_task("promote").execute(context("promote"))
        client.promote(MODEL, ALIAS, numbers[1], judged[1].decision.decision_id)
        for states["promote"], expected in (("running", []), ("failed", [1, 2])):
            assert told() == expected
        of("staging")
        states["promote"] = "success"
        assert told() == [1, 2]


def test_an_event_of_a_model_says_the_same_whoever_tells_of_it() -> None:
    move = {"model": "m", "alias": "champion", "version": 2, "generation": 3}
    for extra in (move, {"from_trigger": True, "payload": move}):
        assert move_in(SimpleNamespace(extra=extra)) == move
    assert move_in(SimpleNamespace(extra=None)) == {}


def test_a_model_is_an_asset_by_its_alias() -> None:
    asset = model_asset("on-time", "champion")
    assert (asset.uri, asset.name) == ("penstock://models/on-time@champion", "on-time@champion")
    (watcher,) = asset.watchers
    path, fields = watcher.trigger.serialize()
    assert path == "penstock_airflow.triggers.AliasMovedTrigger"
    assert (fields["model"], fields["conn_id"]) == ("on-time", "penstock_default")
    for bad in ("../x", "a b", "", None):
        with pytest.raises(InvalidValue, match="model name"):
            model_asset(bad)  # type: ignore[arg-type]
