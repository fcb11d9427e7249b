"""Templates in values of ours, and whether another task has a say in what a value is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from airflow.sdk import XComArg

# By name: importing the core costs every parse of a DAG file.
_TEMPLATED = {"DataSource": ("source",), "RunKey": ("namespace", "pipeline", "partition")}


class RendersOurs:
    """Renders what is a template within a value of ours, too: a `DataSource`'s path, the parts of a `RunKey`."""

    def render_template(self, content: Any, context: Any, *args: Any) -> Any:
        """Render templates as Airflow does, and those."""
        render = super().render_template  # type: ignore[misc]  # of the operator that this is mixed into
        given = {name: getattr(content, name) for name in _TEMPLATED.get(type(content).__name__, ())}
        texts = {name: text for name, text in given.items() if isinstance(text, str)}
        if not texts:
            return render(content, context, *args)
        return replace(content, **{name: render(text, context, *args) for name, text in texts.items()})


def is_said_by_a_task(value: Any) -> bool:
    """Whether a value, as the DAG's code gives it, comes from another task: by XCom, or a template that reads one."""
    return any(True for _ in XComArg.iter_xcom_references(value)) or any("xcom" in text for text in _templates(value))


def is_expanded_over_a_task(task: Any, name: str) -> bool:
    """Whether a mapped task was given this argument by expanding over what another task has returned."""
    given = getattr(task.dag.get_task(task.task_id), "expand_input", None) if task.has_dag() else None
    if given is None or name in task.dag.get_task(task.task_id).partial_kwargs:
        return False
    return is_said_by_a_task(given.value.get(name) if isinstance(given.value, Mapping) else given.value)


def _templates(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if "{{" in value or "{%" in value:
            yield value
    elif isinstance(value, Mapping):
        yield from _templates(list(value.values()))
    elif isinstance(value, Iterable) and not isinstance(value, bytes) and not hasattr(value, "resolve"):
        for one in value:
            yield from _templates(one)
