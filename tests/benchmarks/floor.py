"""The floor of the records' benchmarks: SQLAlchemy Core alone, writing the same rows into the same tables.

The same indexes, the same durability (SQLite: WAL, `synchronous=FULL`; PostgreSQL: its own commits), in as few
transactions as the work has steps. It decides nothing: no run is looked for, nobody is fenced, no chain is guarded
against a fork. So it can do with fewer statements than any store that keeps promises.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import time
from typing import Any

import sqlalchemy as sa

from penstock.stores.sql import tables as t

EXPERIMENT = "bench/floor"
_PRAGMAS = ("busy_timeout=120000", "foreign_keys=ON", "synchronous=FULL", "journal_mode=WAL")
HOST = json.dumps({"host": socket.gethostname(), "pid": os.getpid()})


def engine_of(url: str) -> sa.Engine:
    """Return an engine on a store that has its schema."""
    engine = sa.create_engine(url)
    if engine.dialect.name != "sqlite":
        return engine

    @sa.event.listens_for(engine, "connect")
    def set_up(connection: Any, _: object) -> None:
        connection.isolation_level = None
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def run_id_of(key: str) -> str:
    """Return the id of the floor's run with this key."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def whole_run(engine: sa.Engine, key: str) -> None:
    """Open a run with 10 params, log 5 metrics, finish: three transactions."""
    open_run(engine, key, 10)
    log(engine, key, {f"m{i}": i / 10 for i in range(5)}, begins=True)
    finish(engine, key)


def open_run(engine: sa.Engine, key: str, params: int = 0) -> None:
    """Write a run, its opening step with params, and the ledger's entry."""
    run_id, now = run_id_of(key), _now_ms()
    step = _step(key, "open_run")
    with engine.begin() as connection:
        known = sa.select(t.experiments.c.experiment_id).where(t.experiments.c.name == EXPERIMENT)
        experiment = connection.scalar(known)
        if experiment is None:
            values = {"workspace": "default", "name": EXPERIMENT, "lifecycle_stage": "active", "created_ms": now}
            connection.execute(sa.insert(t.experiments), values)
            experiment = connection.scalar(known)
        row = {
            "run_id": run_id,
            "workspace": "default",
            "experiment_id": experiment,
            "namespace": "default",
            "pipeline": EXPERIMENT,
            "partition": key,
            "name": key,
            "status": "RUNNING",
            "parent_run_id": None,
            "logical_date_ms": None,
            "started_ms": now,
            "ended_ms": None,
            "reason": "",
            "source": "{}",
            "lifecycle_stage": "active",
        }
        connection.execute(sa.insert(t.runs), row)
        _event(connection, "run_opened")
        _begin(connection, step, now)
        rows = [{**step, "attempt": 1, "name": f"p{i}", "value": str(i)} for i in range(params)]
        if rows:
            connection.execute(sa.insert(t.params), rows)
        _end(connection, step, now)


def log(engine: sa.Engine, key: str, values: dict[str, float], training_step: int = 0, *, begins: bool = False) -> None:
    """Write metrics in one transaction; it `begins` the step that they belong to."""
    now, step = _now_ms(), _step(key, "main")
    rows = [
        {**step, "attempt": 1, "name": name, "metric_step": training_step, "time_ms": now, "kind": "finite", "value": v}
        for name, v in values.items()
    ]
    with engine.begin() as connection:
        if begins:
            _begin(connection, step, now)
        connection.execute(sa.insert(t.metrics), rows)


def finish(engine: sa.Engine, key: str) -> None:
    """End the step and the run, with the ledger's entry."""
    now, run_id = _now_ms(), run_id_of(key)
    with engine.begin() as connection:
        _end(connection, _step(key, "main"), now)
        ended = sa.update(t.runs).where(t.runs.c.run_id == run_id).values(status="FINISHED", ended_ms=now)
        connection.execute(ended)
        _event(connection, "run_ended")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _step(key: str, name: str) -> dict[str, Any]:
    return {"run_id": run_id_of(key), "step": name, "map_index": -1}


def _begin(connection: sa.Connection, step: dict[str, Any], now: int) -> None:
    connection.execute(sa.insert(t.steps), {**step, "attempt": 1, "visible_from": 1, "generation": 1})
    row = {
        **step,
        "attempt": 1,
        "inputs_digest": "0" * 64,
        "inputs": "{}",
        "token": "0" * 32,
        "state": "RUNNING",
        "host": HOST,
        "error": "",
        "started_ms": now,
        "ended_ms": None,
        "lease_expires_ms": now + 600_000,
    }
    connection.execute(sa.insert(t.attempts), row)


def _end(connection: sa.Connection, step: dict[str, Any], now: int) -> None:
    here = (t.attempts.c.run_id == step["run_id"], t.attempts.c.step == step["step"])
    done = sa.update(t.attempts).where(*here).values(state="DONE", ended_ms=now, lease_expires_ms=None)
    connection.execute(done)
    result = {"inputs_digest": "0" * 64, "generation": 1, "attempt": 1, "result": "null", "ended_ms": now}
    connection.execute(sa.insert(t.step_results), {**step, **result})


def _event(connection: sa.Connection, kind: str) -> None:
    chain = {"workspace": "default", "chain_kind": "experiment", "chain_name": EXPERIMENT}
    here = sa.and_(*(t.ledger_heads.c[name] == value for name, value in chain.items()))
    locked = sa.select(t.ledger_heads.c.sequence, t.ledger_heads.c.hash).where(here).with_for_update()
    head = connection.execute(locked).first()
    place = {"sequence": 1 if head is None else head.sequence + 1, "hash": hashlib.sha256(kind.encode()).hexdigest()}
    content = {"subject": "{}", "actor": "{}", "why": "", "before": "null", "after": "null"}
    row = {**chain, **place, **content, "kind": kind, "time_ms": _now_ms(), "previous_hash": "0" * 64}
    connection.execute(sa.insert(t.ledger), row)
    if head is None:
        connection.execute(sa.insert(t.ledger_heads), {**chain, **place})
    else:
        connection.execute(sa.update(t.ledger_heads).where(here).values(**place))
