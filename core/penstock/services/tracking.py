"""Opening, joining and closing runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from penstock.errors import InvalidValue
from penstock.model.ids import (
    WORKSPACE,
    RunKey,
    check_experiment_name,
    check_run_id,
    check_step_name,
    run_id_of,
)
from penstock.model.runs import Lapsed, LogBatch, Run, RunStatus, StepId, as_texts
from penstock.ports import NewRun
from penstock.services.active_run import ActiveRun
from penstock.services.once import new_attempt
from penstock.services.references import id_in
from penstock.services.wiring import Wiring

RUN_ID_VARIABLE = "PENSTOCK_RUN_ID"
STEP_VARIABLE = "PENSTOCK_STEP"
MAP_INDEX_VARIABLE = "PENSTOCK_MAP_INDEX"


def open_run(
    wiring: Wiring,
    experiment: str,
    key: RunKey | str,
    *,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    name: str = "",
    logical_date: datetime | None = None,
    parent: object = None,
    deadline_s: float | None = None,
) -> ActiveRun:
    """Return the run with this key, creating it if it is not there (idempotent, race-free).

    `deadline_s` bounds how long a new run may stay open while nobody works on it; the reaper ends it afterwards.
    """
    if deadline_s is not None and not 0 < deadline_s < 10**9:
        raise InvalidValue("deadline_s", deadline_s, "a number of seconds above 0")
    run_key = RunKey.of(key, check_experiment_name(experiment))
    if logical_date is not None and logical_date.tzinfo is None:
        raise InvalidValue("logical_date", logical_date, "a time with a time zone")
    run_id = run_id_of(WORKSPACE, run_key)
    logged = LogBatch(params=as_texts("param", params), tags=as_texts("tag", tags))
    first = None
    if logged.params or logged.tags:
        declared = {"params": logged.params, "tags": logged.tags}
        first = new_attempt(wiring, StepId(run_id, "open_run"), declared)
    new = NewRun(
        run_id=run_id,
        experiment=experiment,
        key=run_key,
        name=name or run_key.partition,
        parent_run_id=None if parent is None else id_in(parent, "run_id"),
        logical_date_ms=None if logical_date is None else int(logical_date.timestamp() * 1000),
        source={**source_of_this_process(), **wiring.host},
        actor=wiring.actor.to_json(),
        deadline_s=deadline_s,
        first=first,
        logged=logged,
    )
    run, created = wiring.store.open_run(new)
    return ActiveRun(wiring, run, created=created, opened=True)


def join_run(wiring: Wiring, run: object = None, *, step: str | None = None, map_index: int | None = None) -> ActiveRun:
    """Return a handle on an open run, by reference, id or the environment (`PENSTOCK_RUN_ID`).

    What is logged through it belongs to `step` (default: `PENSTOCK_STEP` and `PENSTOCK_MAP_INDEX` where the run comes
    from the environment, else `main`); processes that log side by side use different step names or indices.
    """
    if run is None:
        run = os.environ.get(RUN_ID_VARIABLE)
        if run is None:
            expected = f"a run reference, a run id, or {RUN_ID_VARIABLE} in the environment"
            raise InvalidValue("run", None, expected)
        step = step or os.environ.get(STEP_VARIABLE)
        map_index = _map_index_in_environment() if map_index is None else map_index
    run_id = check_run_id(id_in(run, "run_id"))
    place = check_step_name(step or "main")
    return ActiveRun(wiring, wiring.store.get_run(run_id), step=place, map_index=-1 if map_index is None else map_index)


def _map_index_in_environment() -> int:
    text = os.environ.get(MAP_INDEX_VARIABLE) or "-1"
    try:
        return int(text)
    except ValueError as error:
        raise InvalidValue(MAP_INDEX_VARIABLE, text, "a map index, -1 where nothing is mapped") from error


def close_run(wiring: Wiring, run: object, status: RunStatus | str = RunStatus.FINISHED, reason: str = "") -> Run:
    """End a run; ending it again with the same status changes nothing. A refused gate ends it FINISHED."""
    allowed = ", ".join(s.value for s in RunStatus if s.ended)
    try:
        final = RunStatus(status)
    except ValueError as error:
        raise InvalidValue("status", status, f"one of {allowed}") from error
    if not final.ended:
        raise InvalidValue("status", final.value, f"one of {allowed}")
    return wiring.store.end_run(id_in(run, "run_id"), final, reason, wiring.actor.to_json())


def reap(wiring: Wiring, dead: Mapping[str, Any] | None = None) -> Sequence[Lapsed]:
    """End what has lapsed: attempts silent for longer than their lease, and the runs left without anybody.

    With `dead` instead the attempts at these coordinates of an orchestrator that has seen them die, and the runs opened
    there in which nobody works.
    """
    if dead is not None and not dead:
        raise InvalidValue("dead", {}, "an orchestrator's coordinates: without any, every attempt would be ended")
    return wiring.store.reap(wiring.actor.to_json(), dead)


def settle_run(wiring: Wiring, run: object, status: RunStatus | str, reason: str = "") -> Run:
    """End a run with what its orchestrator found when all work was over, whatever has ended it before.

    A run that has ended stays as it is, unless it was KILLED or FAILED and the orchestrator knows that all went well
    after all (somebody marked the killed task a success): then it is reopened and ended FINISHED, both on record.
    """
    found = wiring.store.get_run(id_in(run, "run_id"))
    if found.status.ended and status in {RunStatus.FINISHED, RunStatus.FINISHED.value}:
        if found.status is RunStatus.FINISHED:
            return found
        found = open_run(wiring, found.experiment, found.key).record
    return found if found.status.ended else close_run(wiring, found.run_id, status, reason)


def source_of_this_process() -> Mapping[str, Any]:
    """What is running: the entry point's name and the commit of the git checkout it stands in, if it stands in one."""
    entry = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "python"
    commit = _git_commit(Path.cwd())
    return {"entry_point": entry, **({"git_commit": commit} if commit else {})}


def _git_commit(folder: Path) -> str | None:
    """Read the checked-out commit from the files of a git checkout: a subprocess would cost more than the run."""
    for parent in (folder, *folder.parents):
        git = parent / ".git"
        try:
            head = (git / "HEAD").read_text().strip()
        except OSError:
            continue
        if not head.startswith("ref: "):
            return head
        try:
            return (git / head[5:]).read_text().strip()
        except OSError:
            return _packed_ref(git, head[5:])
    return None


def _packed_ref(git: Path, ref: str) -> str | None:
    try:
        lines = (git / "packed-refs").read_text().splitlines()
    except OSError:
        return None
    return next((line.split()[0] for line in lines if line.endswith(f" {ref}")), None)
