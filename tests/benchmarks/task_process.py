"""One pipeline task's own cost in a fresh process: import, connect, open a run, 10 params, 5 metrics, finish.

Three programs do the same work on a store that already exists; each is a whole process, timed from outside.
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
import sys
from tests.benchmarks import floor
floor.whole_run(floor.engine_of(sys.argv[1]), sys.argv[2])
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
