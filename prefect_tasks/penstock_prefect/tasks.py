"""The pipeline's steps as Prefect tasks: each calls one service and returns a small JSON reference.

Nothing is cached by Prefect: the store remembers what each step returned, so a retried or relaunched flow gets the same
run, evaluation, decision, version and move. Only failures that may pass are retried. All of them work with `.submit`,
`.with_options` and `.map`; steps of one run that go side by side need a `step` name or a `map_index` each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, ParamSpec, TypeVar

from prefect import Task, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from penstock.errors import GateBlocked, InvalidValue
from penstock.model.decisions import GateDecision
from penstock.model.ids import RunKey
from penstock.ports.sandbox import Limits
from penstock_prefect.blocks import PenstockStore
from penstock_prefect.context import client_of, in_a_run, run_logger
from penstock_prefect.errors import retry_unless_terminal
from penstock_prefect.wording import decision_key, decision_line, decision_markdown, evaluation_line

P = ParamSpec("P")
R = TypeVar("R")
Ref = dict[str, Any]
Store = PenstockStore | str | None

RETRY_DELAYS_S = [2, 10]


def _store_task(function: Callable[P, R]) -> Task[P, R]:
    """Make a task of a function that calls the store: two retries of what may pass, and no caching by Prefect."""
    return task(
        retries=len(RETRY_DELAYS_S),
        retry_delay_seconds=RETRY_DELAYS_S,
        retry_condition_fn=retry_unless_terminal,
        cache_policy=NO_CACHE,
    )(function)


@_store_task
def open_run(
    experiment: str,
    key: RunKey | str,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    store: Store = None,
) -> Ref:
    """Open the run with this key and return its reference; a retry or a relaunched flow finds the same run."""
    with client_of(store) as client:
        run = client.open_run(experiment, key, params=params, tags=tags)
    how = "opened" if run.created else "found"
    run_logger().info("%s run %s of %s: %s", how, run.record.key.partition, experiment, run.run_id)
    return run.ref


@_store_task
def close_run(run: Any, status: str = "FINISHED", reason: str = "", store: Store = None) -> Ref:
    """End a run: FINISHED, also when a gate refused, FAILED after an error, or KILLED."""
    with client_of(store) as client:
        closed = client.close_run(run, status, reason)
    run_logger().info("closed run %s: %s%s", closed.run_id, closed.status.value, f": {reason}" if reason else "")
    return {"run_id": closed.run_id, "status": closed.status.value}


@_store_task
def evaluate_model(
    model: Any,
    held_out: Any,
    label: str | None = None,
    task: str = "auto",
    baseline: str | None = None,
    slices: Sequence[str] = (),
    run: Any = None,
    accept_from: Sequence[str] = (),
    step: str = "evaluate",
    map_index: int = -1,
    store: Store = None,
    anchor: str | bool = True,
    sandbox: Limits | bool = True,
    determinism: bool = False,
    latency: bool = False,
    plots: bool = False,
    expect_digest: str | None = None,
) -> Ref:
    """Measure a model on held-out rows, with its baseline on the same rows, and return the evaluation's reference.

    With `run`, the model must have been logged in that run, or in a pipeline that `accept_from` names. Models predict
    in processes of their own, within `sandbox` (`penstock.ports.sandbox.Limits`; by default 600 s for all predictions):
    one that hangs, exits, crashes or eats memory fails this task and nothing else. The rest is as in `client.evaluate`.
    """
    with client_of(store) as client:
        evaluation = client.evaluate(
            model,
            held_out,
            label=label,
            task=task,
            baseline=baseline,
            anchor=anchor,
            slices=slices,
            sandbox=sandbox,
            determinism=determinism,
            latency=latency,
            plots=plots,
            expect_digest=expect_digest,
            run=run,
            accept_from=accept_from,
            step=step,
            map_index=map_index,
        )
    run_logger().info("%s", evaluation_line(evaluation))
    return evaluation.ref


@_store_task
def gate(
    evaluation: Any,
    policy: Any,
    model: str,
    alias: str = "champion",
    run: Any = None,
    accept_from: Sequence[str] = (),
    on_refused: Literal["return", "fail"] = "return",
    step: str = "decide",
    map_index: int = -1,
    store: Store = None,
) -> Ref:
    """Apply a policy to an evaluation and return the decision: its reference, `verdict`, `passed` and `reasons`.

    A refusal is an answer, not an error; with `on_refused="fail"` it raises `GateBlocked`, which is not retried.
    """
    if on_refused not in ("return", "fail"):
        raise InvalidValue("on_refused", on_refused, "'return' or 'fail'")
    with client_of(store) as client:
        decision = client.decide(
            evaluation,
            policy,
            model=model,
            alias=alias,
            run=run,
            accept_from=accept_from,
            step=step,
            map_index=map_index,
        )
    run_logger().info("%s", decision_line(decision))
    _show(decision)
    if on_refused == "fail" and not decision.passed:
        raise GateBlocked(decision.decision_id, decision.verdict.value, decision.reasons)
    return {**decision.ref, "passed": decision.passed, "reasons": decision.reasons}


@_store_task
def register_model(
    name: str,
    model: Any,
    decision: Any,
    run: Any = None,
    accept_from: Sequence[str] = (),
    step: str = "register",
    map_index: int = -1,
    store: Store = None,
) -> Ref:
    """Register a model under the next version number; needs a passed decision that judged exactly this model."""
    with client_of(store) as client:
        version = client.register(
            name, model, decision, run=run, accept_from=accept_from, step=step, map_index=map_index
        )
    authorization = version.authorization
    run_logger().info("registered %s, allowed by decision %s", version.uri, authorization.decision_id)
    return version.ref


@_store_task
def promote_model(
    name: str,
    alias: str,
    version: Any,
    decision: Any,
    run: Any = None,
    accept_from: Sequence[str] = (),
    step: str = "promote",
    map_index: int = -1,
    store: Store = None,
) -> Ref:
    """Point an alias to a version; fails, and changes nothing, if the alias has moved since the decision."""
    with client_of(store) as client:
        move = client.promote(
            name, alias, version, decision, run=run, accept_from=accept_from, step=step, map_index=map_index
        )
    before = "nothing" if move.from_version is None else f"version {move.from_version}"
    decided = move.authorization.decision_id
    run_logger().info("moved %s@%s from %s to version %d by decision %s", name, alias, before, move.to_version, decided)
    return move.ref


def _show(decision: GateDecision) -> None:
    """Show a decision in Prefect's UI; trouble there is logged, and never decides anything."""
    if not in_a_run():
        return
    try:
        create_markdown_artifact(
            key=decision_key(decision),
            markdown=decision_markdown(decision),
            description=decision_line(decision),
            _sync=True,
        )
    except Exception as error:  # noqa: BLE001 - the decision stands in the store, whatever the UI can show
        run_logger().warning("decision %s could not be shown as an artifact: %s", decision.decision_id, error)
