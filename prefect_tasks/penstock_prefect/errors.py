"""The one table from Penstock's failures to Prefect's: `Terminal` is never retried, everything else may be."""

from __future__ import annotations

from typing import Any

from prefect.states import State

from penstock.errors import NotFound, Terminal


class BlockNotFound(NotFound):
    """A `PenstockStore` block that was named and is not there."""

    def __init__(self, name: str) -> None:
        create = f"PenstockStore(url=...).save({name!r})"
        Terminal.__init__(self, f"block {name!r} not found: create it with {create}, or in Prefect's UI under Blocks")
        self.kind, self.name, self.hint = "block", name, create


def retry_unless_terminal(task: Any, task_run: Any, state: Any) -> bool:
    """Say whether a failed task may be retried; give it to any task as `retry_condition_fn`.

    `Transient` failures and errors that are not Penstock's use up the task's `retries`; a `Terminal` one would fail
    again in the same way, so the task fails at once.
    """
    error = state.data
    if isinstance(error, State):  # the task returned a failed state instead of raising
        error = error.data
    return not isinstance(error, Terminal)
