"""`tracked_flow`: a Prefect flow that opens a run under its key, hands it on, and closes it however the flow ends."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from prefect import Flow, flow
from prefect.exceptions import Pause
from prefect.futures import resolve_futures_to_states
from prefect.logging.loggers import flow_run_logger
from prefect.states import State, StateGroup, is_state_iterable
from prefect.utilities.hashing import file_hash

from penstock.errors import NotFound, PenstockError
from penstock.model.ids import WORKSPACE, RunKey, run_id_of
from penstock.model.runs import RunStatus
from penstock.services.once import error_text
from penstock_prefect.blocks import PenstockStore
from penstock_prefect.context import client_of, run_logger
from penstock_prefect.signatures import Function, check_template, signature_with_run
from penstock_prefect.tasks import close_run, open_run

Key = str | Callable[..., RunKey | str]


def tracked_flow(
    *, experiment: str, key: Key, store: PenstockStore | str | None = None, **options: Any
) -> Callable[[Function], Flow[..., Any]]:
    """Make a Prefect flow of a function with a parameter `run`, which is filled in and no parameter of the flow.

    `key` says which run this is, from the flow's parameters: a format string such as `"{month}"`, or a function of
    them. Launched again with the same parameters, the flow finds the same run and what has been done in it. The run
    ends FINISHED; FAILED when the flow fails; KILLED when the flow is cancelled or its process dies. A paused flow
    leaves it open. `options` are those of `prefect.flow`.
    """

    def decorate(function: Function) -> Flow[..., Any]:
        everything = signature_with_run("tracked_flow", function)
        signature = everything.replace(parameters=[p for p in everything.parameters.values() if p.name != "run"])
        if isinstance(key, str):
            check_template("key", key, signature.parameters)

        def key_of(parameters: Mapping[str, Any]) -> RunKey | str:
            bound = signature.bind(**parameters)
            bound.apply_defaults()
            return key.format(**bound.arguments) if isinstance(key, str) else key(**bound.arguments)

        @functools.wraps(function)
        def body(*args: Any, **kwargs: Any) -> Any:
            parameters = signature.bind(*args, **kwargs).arguments
            run = open_run(experiment, key_of(parameters), store=store)
            try:
                result = resolve_futures_to_states(function(run=run, **parameters))
            except Pause:
                raise
            except BaseException as error:
                _close_after(error, run, store)
                raise
            problem = _problem_in(result)
            close_run(run, RunStatus.FAILED if problem else RunStatus.FINISHED, problem, store=store)
            return result

        def close_killed_run(flow: Any, flow_run: Any, state: Any) -> None:
            """Close the run of a flow that was cancelled or died; Prefect calls this in another process."""
            parameters = flow.validate_parameters(flow_run.parameters)
            run_id = run_id_of(WORKSPACE, RunKey.of(key_of(parameters), experiment))
            if _close_if_running(run_id, f"flow run {flow_run.name} is {state.name}", store):
                flow_run_logger(flow_run, flow).info("closed run %s: KILLED: the flow is %s", run_id, state.name)

        # Prefect reads the flow's parameters from here: those of the function, without the run.
        body.__signature__ = signature  # type: ignore[attr-defined]
        hooks = {when: [*options.get(when, ()), close_killed_run] for when in ("on_crashed", "on_cancellation")}
        return flow(**{"version": _version_of(function), **options, **hooks})(body)

    return decorate


def _close_after(error: BaseException, run: Mapping[str, Any], store: PenstockStore | str | None) -> None:
    """Close the run of a flow that raised; trouble in closing is logged, and must not hide what happened."""
    status = RunStatus.FAILED if isinstance(error, Exception) else RunStatus.KILLED
    try:
        with client_of(store) as client:
            client.close_run(run, status, error_text(error))
    except PenstockError as trouble:
        run_logger().warning("run %s was not closed: %s", run["run_id"], trouble)
    else:
        run_logger().info("closed run %s: %s: %s", run["run_id"], status.value, error_text(error))


def _close_if_running(run_id: str, reason: str, store: PenstockStore | str | None) -> bool:
    with client_of(store) as client:
        try:
            running = not client.get_run(run_id).run.status.ended
        except NotFound:  # the flow died before it opened the run
            return False
        if running:
            client.close_run(run_id, RunStatus.KILLED, reason)
    return running


def _problem_in(result: Any) -> str:
    """Say what failed if a flow returned states, as Prefect aggregates them; empty if nothing did."""
    states = [result] if isinstance(result, State) else list(result) if is_state_iterable(result) else []
    return "" if StateGroup(states).all_completed() else f"returned states: {StateGroup(states).counts_message()}"


def _version_of(function: Function) -> str | None:
    """Version the flow by the file it is written in, as Prefect does, not by this one."""
    file = inspect.getsourcefile(function)
    try:
        return None if file is None else str(file_hash(file))
    except OSError:  # written at a prompt
        return None
