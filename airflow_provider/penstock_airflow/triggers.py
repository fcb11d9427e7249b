"""Waiting in the triggerer: a question asked again and again, and an alias watched for whoever moves it.

A trigger's row names the connection and holds no field of it: the connection is read where the trigger runs. The store
is asked in a thread, for the triggerer's own loop must not wait for a database.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent

from penstock_airflow.hooks import DEFAULT_CONN_ID
from penstock_airflow.questions import Answer, ask

if TYPE_CHECKING:
    from penstock import Client
    from penstock_airflow.connections import StoreFields

POLL_S = 10.0
_ORCHESTRATOR = "airflow"


class QuestionTrigger(BaseTrigger):  # type: ignore[misc]
    """Fires once, when a question (`penstock_airflow.questions`) has an answer; what is wrong for good, fires too."""

    def __init__(self, conn_id: str, question: str, arguments: Mapping[str, Any], poll_s: float = POLL_S) -> None:
        super().__init__()
        self.conn_id, self.question, self.arguments, self.poll_s = conn_id, question, dict(arguments), poll_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what Airflow stores of this trigger."""
        fields = {"conn_id": self.conn_id, "question": self.question, "arguments": self.arguments}
        return f"{__name__}.QuestionTrigger", {**fields, "poll_s": self.poll_s}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Ask until there is an answer. A store that cannot be reached just now is asked again."""
        from penstock.errors import Terminal, Transient

        while True:
            try:
                answer = await _with_client(self.conn_id, self._ask)
            except Transient as error:
                self.log.warning("%s: %s", self.question, error)
            except Terminal as error:
                yield TriggerEvent({"error": str(error)})
                return
            else:
                if answer is not None:
                    yield TriggerEvent({"answer": dict(answer)})
                    return
            await asyncio.sleep(self.poll_s)

    def _ask(self, client: Client) -> Answer:
        return ask(client, self.question, self.arguments)


class AliasMovedTrigger(BaseEventTrigger):  # type: ignore[misc]
    """Fires for every move of an alias made elsewhere: on the command line, in Prefect, by a rollback.

    For an `AssetWatcher` on `penstock_airflow.assets.model_asset(...)`. Promotions by an Airflow task are left out: its
    own outlet tells of them. Without `poll_s` the store is asked as often as Airflow's configuration says. The store
    remembers how far this watcher has come, so that a move made while the triggerer was down is told of once it is
    back; one whose telling was cut short is told of again.
    """

    def __init__(
        self, model: str, alias: str, conn_id: str = DEFAULT_CONN_ID, poll_s: float | None = None, follower: str = ""
    ) -> None:
        super().__init__()
        self.model, self.alias, self.conn_id, self.poll_s = model, alias, conn_id, poll_s
        self.follower = follower or f"airflow:{model}@{alias}"

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what Airflow stores of this trigger."""
        fields = {"model": self.model, "alias": self.alias, "conn_id": self.conn_id}
        return f"{__name__}.AliasMovedTrigger", {**fields, "poll_s": self.poll_s, "follower": self.follower}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Follow the model's chain of the ledger."""
        from penstock.errors import Transient

        poll_s = _watch_interval_s() if self.poll_s is None else self.poll_s
        while True:
            with suppress(Transient):
                moves, cursor = await _with_client(self.conn_id, self._moves)
                for move in moves:
                    yield TriggerEvent(move)
                await _with_client(self.conn_id, partial(_seen, follower=self.follower, cursor=cursor))
            await asyncio.sleep(poll_s)

    def _moves(self, client: Client) -> tuple[Sequence[Mapping[str, Any]], Mapping[str, int]]:
        events, cursor = client.follow_events(self.follower, model=self.model, kinds=("alias_moved",))
        mine = [event for event in events if event["subject"].get("alias") == self.alias]
        return [_told(event) for event in mine if not _promoted_by_airflow(client, event)], cursor


def _watch_interval_s() -> float:
    from airflow.configuration import conf

    return float(conf.getfloat("penstock", "watch_interval_s", fallback=POLL_S))


def _seen(client: Client, follower: str, cursor: Mapping[str, int]) -> None:
    client.seen_events(follower, cursor)


def _promoted_by_airflow(client: Client, event: Mapping[str, Any]) -> bool:
    """Whether a task of ours made this move: its attempt says where it ran. Rollbacks belong to no run."""
    decision_id = event["subject"].get("decision_id")
    if decision_id is None:
        return False
    steps = client.get_run(client.get_decision(decision_id).run_id).steps
    return any(step.step.name == "promote" and step.host.get("orchestrator") == _ORCHESTRATOR for step in steps)


def _told(event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "event_id": event["id"],
        "model": event["subject"]["model"],
        "alias": event["subject"]["alias"],
        "version": (event["after"] or {}).get("version"),
        "from_version": (event["before"] or {}).get("version"),
        "decision_id": event["subject"].get("decision_id"),
        "why": event["why"],
        "at": event["time"],
    }


async def _with_client(conn_id: str, work: Any) -> Any:
    """Do something with the store in a thread, its connection read here and now."""
    fields = await _fields(conn_id)

    def call() -> Any:
        import penstock

        host = {"orchestrator": _ORCHESTRATOR, "trigger": True}
        with penstock.connect(fields.url, fields.artifacts, host=host, s3=fields.s3) as client:
            return work(client)

    return await asyncio.to_thread(call)


async def _fields(conn_id: str) -> StoreFields:
    from airflow.sdk import BaseHook

    from penstock_airflow.connections import StoreFields

    return StoreFields.of(f"connection {conn_id!r}", await BaseHook.aget_connection(conn_id))
