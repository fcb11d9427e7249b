"""`tracked_task`: a function of a run and some inputs becomes a Prefect task that happens once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, overload

from prefect import Task, task
from prefect.cache_policies import NO_CACHE

from penstock.errors import InvalidValue
from penstock_prefect.blocks import PenstockStore
from penstock_prefect.context import client_of, run_logger
from penstock_prefect.errors import retry_unless_terminal
from penstock_prefect.signatures import Function, check_template, described, signature_with_run


@overload
def tracked_task(function: Function) -> Task[..., Any]: ...


@overload
def tracked_task(
    *, step: str | None = None, store: PenstockStore | str | None = None, **options: Any
) -> Callable[[Function], Task[..., Any]]: ...


def tracked_task(
    function: Function | None = None,
    *,
    step: str | None = None,
    store: PenstockStore | str | None = None,
    **options: Any,
) -> Any:
    """Make a Prefect task of `function(run, ...)` that is done once in a run, whatever retries or relaunches it.

    The task is called with the run's reference; the function gets a live handle to log into, and returns plain JSON.
    Called again with the same inputs and the same code, the task returns what the store remembers. `step` names the
    step (default: the function's name) and may use the inputs, as in `step="train/{region}"`: tasks that are mapped
    side by side need a name each. `options` are those of `prefect.task`.
    """
    if function is None:
        return functools.partial(tracked_task, step=step, store=store, **options)
    work = function
    signature = signature_with_run("tracked_task", work)
    names = list(signature.parameters)
    if names[0] != "run" or {"map_index", "resume"} & set(names):
        expected = "'run' as the first parameter, and none named 'map_index' or 'resume'"
        raise InvalidValue("tracked_task", described(work, signature), expected)
    template = step or work.__name__
    check_template("step", template, names[1:])

    @functools.wraps(work)
    def body(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        inputs = dict(bound.arguments)
        run = inputs.pop("run")
        name = template.format(**inputs)
        worked = False

        @functools.wraps(work)
        def noticed(*given: Any, **named: Any) -> Any:
            nonlocal worked
            worked = True
            return work(*given, **named)

        with client_of(store) as client:
            result = client.join_run(run).step(name, noticed, **inputs)
        run_logger().info("step %s: %s", name, "done" if worked else "done before; its stored result is returned")
        return result

    defaults = {"retry_condition_fn": retry_unless_terminal, "cache_policy": NO_CACHE}
    return task(**{**defaults, **options})(body)
