"""Going on with some of the tasks directly downstream, and skipping the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from penstock_airflow.compat import skip_mixin


def go_on_with(task: Any, context: Mapping[str, Any], result: Any, followed: Sequence[str]) -> None:
    """Skip every task directly downstream but those `followed`. Airflow ends the task here: by raising.

    Nor are teardowns skipped: they are for whatever happens.

    A task that does so sets `inherits_from_skipmixin`: Airflow asks the upstream branches of a cleared task again
    whether it was to be skipped.
    """
    skipping = skip_mixin()()
    skipping.task_id = task.task_id
    # Skipping is an exception to Airflow, after which it would not push what this task returns.
    context["ti"].xcom_push(key="return_value", value=result)
    teardowns = [one.task_id for one in task.downstream_list if one.is_teardown]
    skipping.skip_all_except(context["ti"], [*followed, *teardowns])
