"""What the provider costs in Airflow: `python -m tests.benchmarks.airflow`; with `--mapped` also 200 at once.

Parsing is measured as the DAG processor does it, in a fork of a process that has `airflow.sdk` loaded: the CPU seconds
of a file with our operators over one with `airflow.sdk` operators only. An operator's overhead is that of its `execute`
over an empty operator's: in a fresh task process (a fork that has loaded Airflow and none of ours, as LocalExecutor's
workers are) and in a warm one. Every figure is a median; the store is a SQLite file that is there already.
"""

from __future__ import annotations

import os
import resource
import runpy
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests import airflow_home

REPEATS = 9
MAPPED = 200
AT_ONCE = 16

PLAIN = """
from airflow.sdk import DAG, BaseOperator, task
from airflow.sdk.bases.decorator import DecoratedOperator

class Step(BaseOperator):
    template_fields = ("given",)
    def __init__(self, *, given=None, **kwargs):
        super().__init__(**kwargs)
        self.given = given

@task
def train(run): ...

with DAG("plain"):
    opened = Step(task_id="open_run", given="{{ ds }}")
    model = train(opened.output)
    measured = Step(task_id="evaluate", given=model)
    gate = Step(task_id="gate", given=measured.output)
    gate >> Step(task_id="close_run", given=opened.output).as_teardown(setups=opened)
"""
OURS = """
from airflow.sdk import DAG
from penstock_airflow.decorators import penstock_task
from penstock_airflow.operators import CloseRunOperator, EvaluateModelOperator, GateOperator, OpenRunOperator

@penstock_task
def train(run): ...

with DAG("ours"):
    opened = OpenRunOperator(task_id="open_run", experiment="e", key="{{ ds }}")
    model = train(opened.output)
    measured = EvaluateModelOperator(task_id="evaluate", run=opened.output, model=model, held_out="x", label="y")
    gate = GateOperator(task_id="gate", run=opened.output, evaluation=measured.output, policy="p", model="m")
    gate >> CloseRunOperator(task_id="close_run", run=opened.output).as_teardown(setups=opened)
"""


def in_a_fork(work: Callable[[], float]) -> float:
    """Return what `work` returns in a process of its own."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, repr(work()).encode())
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return float(text)


def parse_cpu_s(path: Path) -> float:
    """CPU seconds of running a DAG file in a fork."""

    def parse() -> float:
        before = resource.getrusage(resource.RUSAGE_SELF)
        runpy.run_path(str(path))
        after = resource.getrusage(resource.RUSAGE_SELF)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return in_a_fork(parse)


def execute_s(make: Callable[[int], Any], warm: bool) -> float:
    """Wall seconds of an operator's `execute` in a fresh task process, its second there if `warm`."""
    from tests.airflow_provider.pipelines import context

    def execute() -> float:
        for number in range(2 if warm else 1):
            operator = make(os.getpid() * 10 + number)
            started = time.perf_counter()
            operator.execute(context(operator.task_id))
            elapsed = time.perf_counter() - started
        return elapsed

    return in_a_fork(execute)


def empty(_: int) -> Any:
    """An operator that does nothing."""
    from airflow.providers.standard.operators.empty import EmptyOperator

    return EmptyOperator(task_id="empty")


def open_run(number: int) -> Any:
    """A new run each time."""
    from penstock_airflow.operators import OpenRunOperator

    return OpenRunOperator(task_id="open_run", experiment="bench/airflow", key=str(number), run_params={"a": 1})


def in_the_run(make: Callable[[Any], Any]) -> Any:
    """A task as a DAG has it, after `open_run`; the XCom of that one has arrived."""
    from airflow.sdk import DAG

    with DAG("retraining", schedule=None):
        task = make(open_run(0).output)
    task.run = REFERENCE
    if hasattr(task, "op_args"):
        task.op_args = [REFERENCE]
    return task


def log(_: int) -> Any:
    """Log into the one run that is there."""
    from penstock_airflow.operators import LogOperator

    return in_the_run(lambda run: LogOperator(task_id="log", run=run, metrics={"m": 1.0}, run_params={"a": 1}))


def step(number: int) -> Any:
    """A decorated function, called for the first time."""
    from penstock_airflow.decorators import PenstockDecoratedOperator

    def work(run: Any, number: int) -> int:
        return number

    return in_the_run(
        lambda run: PenstockDecoratedOperator(
            task_id="step", python_callable=work, op_args=[run], op_kwargs={"number": number}
        )
    )


REFERENCE: dict[str, Any] = {}
OPERATORS = {"open_run": open_run, "log": log, "@task.penstock": step}


def mapped(count: int = MAPPED, at_once: int = AT_ONCE) -> tuple[float, int, int]:
    """Open nested runs in `count` task processes, `at_once` at a time; return (seconds, failures, runs there are)."""
    import penstock
    from penstock_airflow.decorators import PenstockDecoratedOperator
    from penstock_airflow.hooks import PenstockHook
    from tests.airflow_provider.pipelines import context

    def work(run: Any) -> str:
        run.log_metrics({"m": 1.0})
        return str(run.run_id)

    alive: set[int] = set()
    started, failures = time.perf_counter(), 0
    for index in range(count):
        if len(alive) == at_once:
            child, status = os.wait()
            alive.remove(child)
            failures += status != 0
        child = os.fork()
        if child == 0:
            code = 1
            try:
                task = PenstockDecoratedOperator(
                    task_id="nested", python_callable=work, op_args=[REFERENCE], nested=True
                )
                task.execute(context("nested", map_index=index))
                code = 0
            finally:
                os._exit(code)
        alive.add(child)
    failures += sum(os.waitpid(child, 0)[1] != 0 for child in alive)
    with PenstockHook().get_conn() as client:
        there = sum(run.parent_run_id == REFERENCE["run_id"] for run in client.list_runs("bench/airflow", 10 * count))
    assert penstock.__version__
    return time.perf_counter() - started, failures, there


def prepare_run() -> None:
    """Open the run that operators work in, in a process of its own: nothing of ours is to be loaded here."""

    def prepare() -> float:
        from tests.airflow_provider.pipelines import context

        opened = open_run(0).execute(context("open_run"))
        return float(int(opened["run_id"], 16) >> 64)

    in_a_fork(prepare)
    from penstock.model.ids import WORKSPACE, RunKey, run_id_of

    REFERENCE["run_id"] = run_id_of(WORKSPACE, RunKey("bench/airflow", "0"))


def main() -> None:
    """Measure and print."""
    import airflow.providers.standard.operators.empty
    import airflow.sdk
    import airflow.sdk.bases.decorator  # noqa: F401 - what every worker has loaded

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        files = {name: folder / f"{name}_dag.py" for name in ("plain", "ours")}
        files["plain"].write_text(PLAIN)
        files["ours"].write_text(OURS)
        cpu = {n: statistics.median(parse_cpu_s(f) for _ in range(REPEATS)) for n, f in files.items()}
        print(f"parse, CPU s: plain {cpu['plain']:.3f}, ours {cpu['ours']:.3f}, more {cpu['ours'] - cpu['plain']:.3f}")
        with airflow_home.connection(host=f"sqlite:///{folder / 'penstock.db'}"):
            prepare_run()
            floor = statistics.median(execute_s(empty, False) for _ in range(REPEATS))
            print(f"execute, wall s over an empty operator ({floor:.4f})      fresh process   warm")
            for name, make in OPERATORS.items():
                fresh, warm = (statistics.median(execute_s(make, w) for _ in range(REPEATS)) for w in (False, True))
                print(f"{name:52}{fresh - floor:13.3f}{warm - floor:9.4f}")
            if "--mapped" not in sys.argv:
                return
            seconds, failures, there = mapped()
            print(f"{MAPPED} mapped tasks, {AT_ONCE} at once: {seconds:.1f} s, {failures} failed, {there} nested runs")


if __name__ == "__main__":
    main()
