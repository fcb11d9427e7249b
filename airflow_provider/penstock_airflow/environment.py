"""Joining a run from a process that knows nothing of Airflow: a Bash command, a container, a pod.

    opened = OpenRunOperator(task_id="open_run", experiment="clinic/screening/benign", key="{{ ds }}")
    train = BashOperator(
        task_id="train", bash_command="python train.py", env=run_environment(opened), append_env=True
    )
    opened >> train

and in `train.py`, `penstock.join_run().log_metric("auc", 0.81)`. DockerOperator takes the same as `environment=`,
KubernetesPodOperator as `env_vars=`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock_airflow.operators.runs import OpenRunOperator


def run_environment(opened: OpenRunOperator) -> dict[str, str]:
    """Return templates of the variables that `penstock.join_run()` reads, for the `env` of a task of any kind.

    They are rendered in the worker, from the DAG's code and the connection, never from an XCom, and hold no secret:
    rendered fields are shown in the UI. The database's password and the bucket's keys come to such a process by its own
    ways (`PGPASSWORD` or `~/.pgpass`, `AWS_*` or a role, a Kubernetes secret).
    """
    task = f"dag.get_task({opened.task_id!r})"
    joined = {name: f"{{{{ {task}.environment(ti)[{name!r}] }}}}" for name in opened.ENVIRONMENT}
    return {**joined, "PENSTOCK_STEP": "{{ task.task_id }}", "PENSTOCK_MAP_INDEX": "{{ ti.map_index }}"}
