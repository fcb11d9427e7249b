"""Tasks whose first answer is lost: everything was done, and then the task fails and is retried."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from prefect.cache_policies import NO_CACHE
from prefect.tasks import Task


class CountedTask:
    """A task made of another one, which fails after doing everything as often as it is given errors."""

    def __init__(self, task: Any, errors: list[Exception]) -> None:
        self.results: list[Any] = []
        self.starts = 0

        @functools.wraps(task.fn)
        def body(*args: Any, **kwargs: Any) -> Any:
            self.starts += 1
            self.results.append(task.fn(*args, **kwargs))
            if errors:
                raise errors.pop(0)
            return self.results[-1]

        self.task: Callable[..., Any] = Task(
            fn=body,
            name=task.name,
            retries=task.retries,
            retry_delay_seconds=0,
            retry_condition_fn=task.retry_condition_fn,
            cache_policy=NO_CACHE,
        )


def counted(task: Any, *errors: Exception) -> CountedTask:
    """Return the task, counting its starts, and raising these errors after its work is done."""
    return CountedTask(task, list(errors))
