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
        source=source_of_this_process(),
        actor=wiring.actor.to_json(),
        deadline_s=deadline_s,
        first=first,
        logged=logged,
    )
    run, created = wiring.store.open_run(new)
    return ActiveRun(wiring, run, created=created, opened=True)


def join_run(wiring: Wiring, run: object = None, *, step: str = "main", map_index: int = -1) -> ActiveRun:
    """Return a handle on an open run, by reference, id or the environment (`PENSTOCK_RUN_ID`).

    What is logged through it belongs to `step`; processes that log side by side use different step names or indices.
    """
    if run is None:
        run = os.environ.get(RUN_ID_VARIABLE)
        if run is None:
            expected = f"a run reference, a run id, or {RUN_ID_VARIABLE} in the environment"
            raise InvalidValue("run", None, expected)
    run_id = check_run_id(id_in(run, "run_id"))
    return ActiveRun(wiring, wiring.store.get_run(run_id), step=check_step_name(step), map_index=map_index)


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


def reap(wiring: Wiring) -> Sequence[Lapsed]:
    """End what has lapsed: attempts silent for longer than their lease, and the runs left without anybody."""
    return wiring.store.reap(wiring.actor.to_json())


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
