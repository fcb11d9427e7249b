"""Records in one process, and from eight: against SQLAlchemy Core on the same tables, on SQLite and on PostgreSQL.

Opening a store is measured apart from everything else, and without imports. What is short is measured in turn with its
floor, many times, and the medians count: commits of one moment are not those of the next.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import sqlalchemy as sa

import penstock
from penstock.stores.sql import tables as t
from penstock.stores.sql.schema import head_script
from penstock.stores.sql.store import SqlStore
from penstock.stores.sql.urls import parse_store_url
from tests.benchmarks import floor
from tests.postgres_server import running_server

Seconds = tuple[float, float]  # the floor's, and ours
NewUrl = Callable[[], str]  # of an empty database

RUNS, BATCHES, BATCH, POINTS = 60, 60, 1000, 1_000_000
PROCESSES, RUNS_EACH, METRICS_EACH, TURNS = 8, 25, 100, 3
STARTS = 9


@contextmanager
def databases(scratch: Path) -> Iterator[dict[str, NewUrl]]:
    """Yield what makes an empty database, by the name of its kind."""
    with ExitStack() as stack:
        server = stack.enter_context(running_server())
        yield {
            "SQLite": lambda: f"sqlite:///{scratch / uuid.uuid4().hex}.db",
            "PostgreSQL": lambda: server.url(server.new_database()),
        }


def whole_runs(new_url: NewUrl) -> Seconds:
    """Open a run with 10 params, log 5 metrics, finish."""
    engine, client = _floor(new_url()), _client(new_url())

    def ours(key: str) -> None:
        with client.open_run("bench/ours", key, params={f"p{i}": i for i in range(10)}) as run:
            run.log_metrics({f"m{i}": i / 10 for i in range(5)})

    return _in_turn(lambda key: floor.whole_run(engine, key), ours)


def metric_batches(new_url: NewUrl) -> Seconds:
    """Log batches of 1,000 metrics."""
    engine, client = _floor(new_url()), _client(new_url())
    floor.open_run(engine, "batches")
    floor.log(engine, "batches", {"warm": 0.0}, begins=True)
    run = client.open_run("bench/ours", "batches")
    run.log_metric("warm", 0)
    batches = [{f"m{j}": i * 0.1 + j for j in range(BATCH)} for i in range(BATCHES)]
    return _in_turn(
        lambda key: floor.log(engine, "batches", batches[int(key)], int(key)),
        lambda key: run.log_metrics(batches[int(key)], step=int(key)),
        BATCHES,
    )


def metric_history(new_url: NewUrl) -> Seconds:
    """Read one metric's million points back."""
    url = new_url()
    engine, client = _floor(url), _client(url)
    run = client.open_run("bench/ours", "history")
    run.log_metric("warm", 0)
    place = {"run_id": run.run_id, "step": "main", "map_index": -1, "attempt": 1, "kind": "finite", "name": "loss"}
    for start in range(0, POINTS, 50_000):
        rows = [{**place, "metric_step": i, "time_ms": i, "value": 1 / (i + 1)} for i in range(start, start + 50_000)]
        with engine.begin() as connection:
            connection.execute(sa.insert(t.metrics), rows)
    columns = (t.metrics.c.metric_step, t.metrics.c.time_ms, t.metrics.c.value)
    query = sa.select(*columns).where(t.metrics.c.run_id == run.run_id, t.metrics.c.name == "loss")

    def read_all(_key: str) -> None:
        with engine.connect() as connection:
            assert len(connection.execute(query.order_by(*columns[:2])).all()) == POINTS

    def ours(_key: str) -> None:
        assert len(client.wiring.store.list_metric_points(run.run_id, "loss")) == POINTS

    return _in_turn(read_all, ours, 3)


def first_start(new_url: NewUrl) -> Seconds:
    """Open a store that is not there yet; the floor is its tables, indexes and triggers, as statements."""
    SqlStore(new_url()).close()  # imports are paid
    statements = head_script(parse_store_url(new_url()).dialect)

    def create(_key: str) -> None:
        engine = floor.engine_of(new_url())
        with engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
        engine.dispose()

    return _in_turn(create, lambda _key: SqlStore(new_url()).close(), STARTS)


def next_start(new_url: NewUrl) -> Seconds:
    """Open a store that is there; the floor connects and asks for one row."""
    url = new_url()
    SqlStore(url).close()

    def connect(_key: str) -> None:
        engine = floor.engine_of(url)
        with engine.connect() as connection:
            connection.execute(sa.select(t.experiments)).first()
        engine.dispose()

    return _in_turn(connect, lambda _key: SqlStore(url).close(), STARTS)


def eight_processes(new_url: NewUrl) -> Seconds:
    """Eight processes write 25 runs of 100 metrics each, one commit per metric; nothing may be lost."""
    took: dict[str, list[float]] = {_FLOOR_WRITER: [], _WRITER: []}
    for program in TURNS * list(took):
        url = new_url()
        floor.open_run(_floor(url), "warm")  # the experiment, and the head of its chain
        command = [sys.executable, "-c", program, url, str(RUNS_EACH), str(METRICS_EACH)]
        children = [
            subprocess.Popen([*command, str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for number in range(PROCESSES)
        ]
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        started = time.perf_counter()
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        assert [child.wait() for child in children] == [0] * PROCESSES
        took[program].append(time.perf_counter() - started)
        with _floor(url).connect() as connection:
            count = connection.scalar(sa.select(sa.func.count()).select_from(t.metrics))
            assert count == PROCESSES * RUNS_EACH * METRICS_EACH
    return statistics.median(took[_FLOOR_WRITER]), statistics.median(took[_WRITER])


_WRITER = """
import sys, penstock
client = penstock.connect(sys.argv[1], "unused")
print("ready", flush=True)
sys.stdin.readline()
for i in range(int(sys.argv[2])):
    with client.open_run("bench/ours", f"{sys.argv[4]}-{i}") as run:
        for j in range(int(sys.argv[3])):
            run.log_metric(f"m{j}", j)
"""

_FLOOR_WRITER = """
import sys
from tests.benchmarks import floor
engine = floor.engine_of(sys.argv[1])
engine.connect().close()
print("ready", flush=True)
sys.stdin.readline()
for i in range(int(sys.argv[2])):
    key = f"{sys.argv[4]}-{i}"
    floor.open_run(engine, key)
    for j in range(int(sys.argv[3])):
        floor.log(engine, key, {f"m{j}": float(j)}, begins=j == 0)
    floor.finish(engine, key)
"""


def _client(url: str) -> penstock.Client:
    return penstock.connect(url, "unused")


def _floor(url: str) -> sa.Engine:
    SqlStore(url).close()
    return floor.engine_of(url)


def _in_turn(at_the_floor: Callable[[str], None], ours: Callable[[str], None], times: int = RUNS) -> Seconds:
    """Time both with each key in turn, after one of each; return the sums of their medians."""
    taken: dict[Callable[[str], None], list[float]] = {at_the_floor: [], ours: []}
    for number in range(times):
        for work in (at_the_floor, ours) if number % 2 else (ours, at_the_floor):
            started = time.perf_counter()
            work(str(number))
            taken[work].append(time.perf_counter() - started)
    warm = {work: each[1:] or each for work, each in taken.items()}
    return statistics.median(warm[at_the_floor]) * times, statistics.median(warm[ours]) * times


MEASURES: dict[str, tuple[float, Callable[[NewUrl], Seconds]]] = {
    f"{RUNS} x (open + 10 params + 5 metrics + finish)": (2.0, whole_runs),
    f"{BATCHES} batches of {BATCH:,} metrics": (1 / 0.7, metric_batches),
    f"{PROCESSES} processes x {RUNS_EACH} runs x {METRICS_EACH} metrics": (1.3, eight_processes),
    f"history of {POINTS:,} points": (1.5, metric_history),
    f"first start, {STARTS} times": (1.5, first_start),
    f"next start, {STARTS} times": (1.5, next_start),
}
"""What is measured: title → the issue's goal as a multiple of the floor, and the measure."""
