"""One pipeline task's own cost in a fresh process: import, connect, open a run, 10 params, 5 metrics, finish.

Three programs do the same work on a store that already exists; each is a whole process, timed from outside. The floor
is SQLAlchemy Core alone, writing the same rows into the same tables with the same durability (WAL, synchronous=FULL)
in as few transactions as the work has steps.
"""

from __future__ import annotations

from pathlib import Path

PENSTOCK = """
import sys, penstock
client = penstock.connect(sys.argv[1])
with client.open_run("bench/task", sys.argv[2], params={f"p{i}": i for i in range(10)}) as run:
    run.log_metrics({f"m{i}": i / 10 for i in range(5)})
"""

FLOOR = """
import hashlib, json, os, socket, sys, time
import sqlalchemy as sa
from penstock.stores.sql import tables as t

engine = sa.create_engine(sys.argv[1])

@sa.event.listens_for(engine, "connect")
def set_up(connection, _):
    connection.isolation_level = None
    for pragma in ("busy_timeout=30000", "foreign_keys=ON", "synchronous=FULL", "journal_mode=WAL"):
        connection.execute(f"PRAGMA {pragma}")

@sa.event.listens_for(engine, "begin")
def begin(connection):
    connection.exec_driver_sql("BEGIN IMMEDIATE")

key = sys.argv[2]
run_id = hashlib.sha256(key.encode()).hexdigest()[:32]
now = int(time.time() * 1000)
host = json.dumps({"host": socket.gethostname(), "pid": os.getpid()})
step = {"run_id": run_id, "map_index": -1}

def attempt(connection, name):
    connection.execute(sa.insert(t.steps), {**step, "step": name, "attempt": 1, "visible_from": 1, "generation": 1})
    connection.execute(sa.insert(t.attempts), {**step, "step": name, "attempt": 1, "inputs_digest": "0" * 64,
        "inputs": "{}", "token": "0" * 32, "state": "RUNNING", "host": host, "error": "", "started_ms": now,
        "ended_ms": None, "lease_expires_ms": now + 600000})

def end(connection, name):
    connection.execute(sa.update(t.attempts).where(t.attempts.c.run_id == run_id, t.attempts.c.step == name)
        .values(state="DONE", ended_ms=now, lease_expires_ms=None))
    connection.execute(sa.insert(t.step_results), {**step, "step": name, "inputs_digest": "0" * 64, "generation": 1,
        "attempt": 1, "result": "null", "ended_ms": now})

def event(connection, kind, previous):
    head = connection.execute(sa.select(t.ledger_heads.c.sequence, t.ledger_heads.c.hash)
        .where(t.ledger_heads.c.chain_name == "bench/task")).first()
    place = {"workspace": "default", "chain_kind": "experiment", "chain_name": "bench/task",
        "sequence": 1 if head is None else head.sequence + 1, "hash": hashlib.sha256(kind.encode()).hexdigest()}
    connection.execute(sa.insert(t.ledger), {**place, "kind": kind, "subject": "{}", "actor": "{}", "why": "",
        "before": "null", "after": "null", "time_ms": now, "previous_hash": "0" * 64})
    if head is None:
        connection.execute(sa.insert(t.ledger_heads), place)
    else:
        connection.execute(sa.update(t.ledger_heads).where(t.ledger_heads.c.chain_name == "bench/task").values(**place))

with engine.begin() as c:
    experiment = c.scalar(sa.select(t.experiments.c.experiment_id).where(t.experiments.c.name == "bench/task"))
    if experiment is None:
        experiment = c.execute(sa.insert(t.experiments), {"workspace": "default", "name": "bench/task",
            "lifecycle_stage": "active", "created_ms": now}).inserted_primary_key[0]
    c.execute(sa.insert(t.runs), {"run_id": run_id, "workspace": "default", "experiment_id": experiment,
        "namespace": "default", "pipeline": "bench/task", "partition": key, "name": key, "status": "RUNNING",
        "parent_run_id": None, "logical_date_ms": None, "started_ms": now, "ended_ms": None, "reason": "",
        "lifecycle_stage": "active", "source": "{}"})
    event(c, "run_opened", None)
    attempt(c, "open_run")
    c.execute(sa.insert(t.params), [{**step, "step": "open_run", "attempt": 1, "name": f"p{i}", "value": str(i)}
        for i in range(10)])
    end(c, "open_run")
with engine.begin() as c:
    attempt(c, "main")
    c.execute(sa.insert(t.metrics), [{**step, "step": "main", "attempt": 1, "name": f"m{i}", "metric_step": 0,
        "time_ms": now, "kind": "finite", "value": i / 10} for i in range(5)])
with engine.begin() as c:
    end(c, "main")
    c.execute(sa.update(t.runs).where(t.runs.c.run_id == run_id).values(status="FINISHED", ended_ms=now))
    event(c, "run_ended", None)
"""

MLFLOW = """
import sys, time
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
client = MlflowClient(sys.argv[1])
experiment = client.get_experiment_by_name("bench-task")
experiment_id = experiment.experiment_id if experiment else client.create_experiment("bench-task")
run = client.create_run(experiment_id, run_name=sys.argv[2])
now = int(time.time() * 1000)
client.log_batch(run.info.run_id, params=[Param(f"p{i}", str(i)) for i in range(10)],
    metrics=[Metric(f"m{i}", i / 10, now, 0) for i in range(5)])
client.set_terminated(run.info.run_id)
"""


def programs(folder: Path, python: str, mlflow_python: str | None) -> dict[str, tuple[str, str, str]]:
    """Return name → (python, program, store URL) of what is compared; MLflow where an environment has it."""
    floor = ("floor", (python, FLOOR, f"sqlite:///{folder / 'floor.db'}"))
    ours = ("penstock", (python, PENSTOCK, f"sqlite:///{folder / 'penstock.db'}"))
    theirs = [("mlflow", (mlflow_python, MLFLOW, f"sqlite:///{folder / 'mlflow.db'}"))] if mlflow_python else []
    return dict([floor, ours, *theirs])
