"""Waiting in the triggerer: a question asked again and again, and an alias watched for whoever moves it.

A trigger's row names the connection and holds no field of it: the connection is read where the trigger runs. The store
is asked in a thread, for the triggerer's own loop must not wait for a database.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent

from penstock_airflow.assets import MODELS
from penstock_airflow.context import installation
from penstock_airflow.hooks import DEFAULT_CONN_ID
from penstock_airflow.questions import Answer, ask

if TYPE_CHECKING:
    from penstock import Client
    from penstock_airflow.connections import StoreFields

POLL_S = 10.0
LONGEST_WAIT_S = 3600.0
"""How long a move may wait for its own task to tell of it, in seconds."""
_ORCHESTRATOR = "airflow"
_MAY_TELL_YET = frozenset(
    ("none", "scheduled", "queued", "running", "restarting", "up_for_retry", "up_for_reschedule", "deferred")
)


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
    """Fires for every move of an alias that no task of this Airflow tells of; of `penstock_airflow.assets.model_asset`.

    The command line, Prefect, rollbacks and another Airflow on the same store make such moves. A task that has the
    alias among its outlets (`PromoteModelOperator`) tells of the move that it made, as it succeeds: its move is left
    out once it has, waited for while it may (an hour at most), and told of here if it failed after all.

    What is guaranteed: each move is told of at least once, with its `generation`. It is told of twice where that is not
    certain (a telling that was cut short, a task whose state nobody knows); a task that somebody has marked a success
    counts as one that has told. Without `poll_s` the store is asked as often as Airflow's configuration says. The store
    remembers how far this Airflow has come (`[penstock] installation`), so that a move made while the triggerer was
    down is told of once it is back; `follower` names another memory.
    """

    def __init__(
        self, model: str, alias: str, conn_id: str = DEFAULT_CONN_ID, poll_s: float | None = None, follower: str = ""
    ) -> None:
        super().__init__()
        self.model, self.alias, self.conn_id, self.poll_s, self.follower = model, alias, conn_id, poll_s, follower

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what Airflow stores of this trigger."""
        fields = {"model": self.model, "alias": self.alias, "conn_id": self.conn_id}
        return f"{__name__}.AliasMovedTrigger", {**fields, "poll_s": self.poll_s, "follower": self.follower}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Follow the model's chain of the ledger."""
        from penstock.errors import Transient

        poll_s = _watch_interval_s() if self.poll_s is None else self.poll_s
        follower = self.follower or ":".join(filter(None, ("airflow", installation(), f"{self.model}@{self.alias}")))
        while True:
            with suppress(Transient):
                moves, cursor = await _with_client(self.conn_id, partial(self._moves, follower=follower))
                for move, host in moves:
                    state = await self._state_of_teller(host)
                    if state in _MAY_TELL_YET and _age_s(move) < LONGEST_WAIT_S:
                        cursor = {**cursor, move["chain"]: move["sequence"] - 1}
                        break
                    if state != "success":
                        yield TriggerEvent(_told(move))
                await _with_client(self.conn_id, partial(_seen, follower=follower, cursor=cursor))
            await asyncio.sleep(poll_s)

    def _moves(self, client: Client, follower: str) -> tuple[Sequence[tuple[Any, Any]], Mapping[str, int]]:
        """Return the moves not seen yet, each with where the attempt ran that made it, and the cursor after them."""
        events, cursor = client.follow_events(follower, model=self.model, kinds=("alias_moved",))
        mine = [event for event in events if event["subject"].get("alias") == self.alias]
        movers = [(event, client.find_mover(event)) for event in mine]
        return [(event, None if mover is None else mover.host) for event, mover in movers], cursor

    async def _state_of_teller(self, host: Mapping[str, Any] | None) -> str | None:
        """Return the state of the task of this Airflow that tells of its own move; None where that is not certain.

        Airflow takes a task's events with its success: what has succeeded has told.
        """
        here = {"orchestrator": _ORCHESTRATOR, "installation": installation()}
        if host is None or not here.items() <= host.items():
            return None
        if f"{MODELS}{self.model}@{self.alias}" not in host.get("outlets", ()):
            return None
        try:
            return await _task_state(host)
        except Exception as error:  # noqa: BLE001 - whatever Airflow answers: what is not certain is told
            self.log.info("Nobody knows whether %s has told of its move: %r", host.get("task_id"), error)
            return None


def _watch_interval_s() -> float:
    from airflow.configuration import conf

    return float(conf.getfloat("penstock", "watch_interval_s", fallback=POLL_S))


def _seen(client: Client, follower: str, cursor: Mapping[str, int]) -> None:
    client.seen_events(follower, cursor)


async def _task_state(host: Mapping[str, Any]) -> str | None:
    """Return the state that Airflow has for a task instance, "none" for one that is to run again; None without one."""
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
    from asgiref.sync import sync_to_async

    index = host["map_index"]
    found = await sync_to_async(RuntimeTaskInstance.get_task_states)(
        dag_id=host["dag_id"], map_index=index, task_ids=[host["task_id"]], run_ids=[host["run_id"]]
    )
    states = found.get(host["run_id"], {})
    shown = host["task_id"] if index < 0 else f"{host['task_id']}_{index}"
    return str(states[shown] or "none").lower() if shown in states else None


def _age_s(move: Mapping[str, Any]) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(move["time"])).total_seconds()


def _told(event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "event_id": event["id"],
        "model": event["subject"]["model"],
        "alias": event["subject"]["alias"],
        "version": (event["after"] or {}).get("version"),
        "from_version": (event["before"] or {}).get("version"),
        "generation": (event["after"] or {}).get("generation"),
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
