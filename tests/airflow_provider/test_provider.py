"""What Airflow knows of the provider, and what a DAG file that uses it costs."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

from airflow.providers_manager import ProvidersManager

from penstock_airflow.get_provider_info import get_provider_info

HEAVY = {"penstock", "pandas", "numpy", "sklearn", "skops", "pyarrow", "boto3", "sqlalchemy", "matplotlib"}

PLAIN = """
from airflow.sdk import DAG, task
from airflow.sdk import BaseHook, BaseOperator, XComArg
from airflow.sdk.bases.decorator import DecoratedOperator

@task
def train(run): ...

with DAG("plain"):
    train({})
"""
OURS = """
from airflow.sdk import DAG
from penstock_airflow.decorators import penstock_task
from penstock_airflow.operators import *

@penstock_task
def train(run): ...

with DAG("ours"):
    opened = OpenRunOperator(task_id="open_run", experiment="e", key="{{ ds }}")
    model = train(opened.output)
    measured = EvaluateModelOperator(task_id="evaluate", run=opened.output, model=model, held_out="x", label="y")
    gate = GateOperator(task_id="gate", run=opened.output, evaluation=measured.output, policy="p", model="m")
    gate >> CloseRunOperator(task_id="close_run", run=opened.output).as_teardown(setups=opened)
"""


def test_airflow_lists_the_provider_with_its_connection_and_its_decorator() -> None:
    manager = ProvidersManager()
    assert manager.providers["penstock"].data["name"] == "Penstock"
    hook = manager.hooks["penstock"]
    assert hook is not None
    assert (hook.hook_class_name, hook.hook_name) == ("penstock_airflow.hooks.PenstockHook", "Penstock store")
    assert manager.taskflow_decorators["penstock"].__name__ == "penstock_task"
    assert "extra__penstock__artifacts" in manager.connection_form_widgets
    assert manager.field_behaviours["penstock"]["relabeling"] == {"host": "Store URL"}


def test_every_module_the_provider_names_is_there() -> None:
    info = get_provider_info()
    for kind in ("hooks", "operators"):
        for group in info[kind]:
            for module in group["python-modules"]:
                import_module(module)
    for path in (d["class-name"] for d in info["task-decorators"]):
        module, _, name = path.rpartition(".")
        assert callable(getattr(import_module(module), name))


def test_a_dag_file_with_our_operators_loads_nothing_heavy_on_our_account(tmp_path: Path) -> None:
    loaded = {}
    for name, text in {"plain": PLAIN, "ours": OURS}.items():
        file = tmp_path / f"{name}_dag.py"
        file.write_text(text)
        program = f"import sys, json, runpy; runpy.run_path({str(file)!r}); print(json.dumps(sorted(sys.modules)))"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        loaded[name] = set(json.loads(done.stdout.splitlines()[-1]))
    extra = loaded["ours"] - loaded["plain"]
    assert {name.partition(".")[0] for name in extra} <= {"penstock_airflow", "airflow"} | set(sys.stdlib_module_names)
    assert not {name.partition(".")[0] for name in extra} & HEAVY
