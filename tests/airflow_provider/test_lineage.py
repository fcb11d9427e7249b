"""What OpenLineage is told of a pipeline, and that a task never fails over it."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

import penstock
from penstock_airflow import lineage
from penstock_airflow.links import DecisionLink, ReportLink, RunLink
from penstock_airflow.operators import (
    EvaluateModelOperator,
    GateOperator,
    PromoteModelOperator,
    RegisterModelOperator,
)
from tests import tiny
from tests.airflow_provider.pipelines import context

HERE = {"orchestrator": "airflow", "dag_id": "retraining", "run_id": "manual__1"}


@pytest.fixture
def trained(store: str) -> tuple[dict[str, Any], Any, str]:
    """A run of this DAG run, the model trained in it, and the digest of what it was trained on."""
    with penstock.connect(store, host=HERE) as client:
        run = client.open_run(tiny.EXPERIMENT, key="1")
        model = run.step("train", tiny.train)
        (data,) = client.get_run(run.ref).inputs
        return run.ref, model, data.digest


def pipeline(trained: tuple[dict[str, Any], Any, str], held_out: str) -> dict[str, Any]:
    """Execute evaluate, gate, register and promote; return the operators by their task ids."""
    run, model, _ = trained
    evaluate = EvaluateModelOperator(
        task_id="evaluate", run=run, model=model, held_out=held_out, label=tiny.LABEL, baseline=tiny.CHAMPION
    )
    measured = evaluate.execute(context("evaluate"))
    gate = GateOperator(task_id="gate", run=run, evaluation=measured, policy=tiny.POLICY, model=tiny.MODEL)
    decision = gate.execute(context("gate"))
    register = RegisterModelOperator(task_id="register", run=run, name=tiny.MODEL, model=model, decision=decision)
    version = register.execute(context("register"))
    promote = PromoteModelOperator(
        task_id="promote", run=run, name=tiny.MODEL, alias="champion", version=version, decision=decision
    )
    promote.execute(context("promote"))
    return {task.task_id: task for task in (evaluate, gate, register, promote)}


def test_data_go_in_with_their_digests_and_a_version_comes_out(
    trained: tuple[dict[str, Any], Any, str], held_out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lineage, "_is_installed", lambda: True)
    tasks = pipeline(trained, held_out)
    inputs, outputs = tasks["evaluate"].traced
    assert ("data/benign-train", trained[2]) in inputs
    assert [traced.name for traced in inputs] == ["data/held_out", "data/benign-train"]
    assert outputs == []
    inputs, outputs = tasks["register"].traced
    assert ("data/benign-train", trained[2]) in inputs
    assert outputs == [("models/benign", "1")]
    assert tasks["promote"].traced == ([("models/benign", "1")], [("models/benign@champion", "1")])


def test_where_nobody_asks_nothing_is_read(
    trained: tuple[dict[str, Any], Any, str], held_out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lineage, "_is_installed", lambda: False)
    assert [task.traced for task in pipeline(trained, held_out).values()] == [([], [])] * 4


def test_lineage_that_cannot_be_told_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineage, "_is_installed", lambda: True)
    promote = PromoteModelOperator(task_id="p", run={}, name="m", alias="a", version=1, decision={})
    promote.trace(lambda: 1 / 0)  # type: ignore[return-value, arg-type]
    assert promote.traced == ([], [])
    broken = ModuleType("airflow.providers.openlineage.extractors")
    monkeypatch.setitem(sys.modules, "airflow.providers.openlineage", ModuleType("airflow.providers.openlineage"))
    monkeypatch.setitem(sys.modules, "airflow.providers.openlineage.extractors", broken)
    assert promote.get_openlineage_facets_on_complete(None) is None


def test_tasks_link_to_what_they_worked_on(trained: tuple[dict[str, Any], Any, str], held_out: str) -> None:
    tasks, run_id = pipeline(trained, held_out), trained[0]["run_id"]
    ti = context("any")["ti"]
    for task in tasks.values():
        links = {type(link).__name__: link.get_link(task, ti_key=ti) for link in task.operator_extra_links}
        assert links["RunLink"].endswith(f"/penstock/dags/retraining/runs/{run_id}")
        for link in {"DecisionLink", "ReportLink"} & links.keys():
            assert "/penstock/dags/retraining/" in links[link]
    decision = {DecisionLink().get_link(tasks[name], ti_key=ti) for name in ("gate", "register", "promote")}
    assert len(decision) == 1
    # A task that never got to its work links nowhere.
    idle = GateOperator(task_id="g", run={}, evaluation={}, policy={}, model="m")
    assert [link.get_link(idle, ti_key=ti) for link in (RunLink(), DecisionLink(), ReportLink())] == [""] * 3
