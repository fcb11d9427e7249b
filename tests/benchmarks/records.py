"""Records in one process, against SQLAlchemy Core writing the same rows into the same tables with the same durability.

Opening a store is not measured here: both sides have one open.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

import penstock
from penstock.stores.sql import tables as t

BATCHES, BATCH, POINTS = 60, 1000, 200_000


def _engine(path: Path) -> sa.Engine:
    engine = sa.create_engine(f"sqlite:///{path}")

    @sa.event.listens_for(engine, "connect")
    def set_up(connection: Any, _: object) -> None:
        connection.isolation_level = None
        for pragma in ("busy_timeout=30000", "foreign_keys=ON", "synchronous=FULL", "journal_mode=WAL"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _stores(folder: Path, name: str) -> tuple[penstock.Client, sa.Engine, str]:
    """Return a client of one store, and an engine on a twin that has a run with an attempt to write for."""
    ours = penstock.connect(f"sqlite:///{folder / name}.db")
    with penstock.connect(f"sqlite:///{folder / name}-floor.db") as twin:
        run = twin.open_run("bench/records", "floor")
        run.log_metric("warm", 0)
    return ours, _engine(folder / f"{name}-floor.db"), run.run_id


def metric_batches(folder: Path) -> tuple[float, float]:
    """Log batches of 1,000 metrics; return (floor, ours) in seconds."""
    client, engine, run_id = _stores(folder, "batches")
    run = client.open_run("bench/records", "ours")
    run.log_metric("warm", 0)
    batches = [{f"m{j}": i * 0.1 + j for j in range(BATCH)} for i in range(BATCHES)]
    place = {"run_id": run_id, "step": "main", "map_index": -1, "attempt": 1, "kind": "finite"}

    def floor() -> None:
        for step, batch in enumerate(batches):
            now = int(time.time() * 1000)
            rows = [{**place, "name": n, "metric_step": step, "time_ms": now, "value": v} for n, v in batch.items()]
            with engine.begin() as connection:
                connection.execute(sa.insert(t.metrics), rows)

    def ours() -> None:
        for step, batch in enumerate(batches):
            run.log_metrics(batch, step=step)

    return _seconds(floor), _seconds(ours)


def metric_history(folder: Path) -> tuple[float, float]:
    """Read one metric's history back; return (floor, ours) in seconds."""
    client, engine, run_id = _stores(folder, "history")
    ours = client.open_run("bench/records", "ours")
    ours.log_metric("warm", 0)
    for of, path in ((ours.run_id, folder / "history.db"), (run_id, folder / "history-floor.db")):
        place = {"run_id": of, "step": "main", "map_index": -1, "attempt": 1, "kind": "finite", "name": "loss"}
        rows = [{**place, "metric_step": i, "time_ms": i, "value": 1 / (i + 1)} for i in range(POINTS)]
        with _engine(path).begin() as connection:
            connection.execute(sa.insert(t.metrics), rows)
    columns = (t.metrics.c.metric_step, t.metrics.c.time_ms, t.metrics.c.value)
    query = sa.select(*columns).where(t.metrics.c.run_id == run_id, t.metrics.c.name == "loss")

    def floor() -> None:
        with engine.connect() as connection:
            assert len(connection.execute(query.order_by(*columns[:2])).all()) == POINTS

    def read() -> None:
        assert len(client.wiring.store.list_metric_points(ours.run_id, "loss")) == POINTS

    return _seconds(floor), _seconds(read)


MEASURES: dict[str, Callable[[Path], tuple[float, float]]] = {
    f"{BATCHES} batches of {BATCH} metrics": metric_batches,
    f"history of {POINTS:,} points": metric_history,
}
