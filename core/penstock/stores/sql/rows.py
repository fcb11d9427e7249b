"""Rows to values of the model and back. Times are UTC-aware; JSON columns hold canonical JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from penstock.model.audit import AuditEvent, ChainId
from penstock.model.data import Dataset
from penstock.model.decisions import GateDecision
from penstock.model.evaluations import Evaluation
from penstock.model.ids import RunKey
from penstock.model.load_checks import LoadCheck
from penstock.model.protection import AliasProtection
from penstock.model.runs import AttemptState, Experiment, Run, RunStatus, StepId, StepSummary
from penstock.model.versions import (
    Alias,
    AliasMove,
    Authorization,
    AuthorizationKind,
    FileEntry,
    LoggedModel,
    ModelVersion,
    VersionState,
)

Row = Mapping[Any, Any]

_DECODED = json.JSONDecoder().decode  # without the questions that `json.loads` asks first, of a million texts


def time_of(ms: int) -> datetime:
    """Return a time in milliseconds since the epoch as a UTC-aware datetime."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def ms_of(time: datetime | None) -> int:
    """Return a time as milliseconds since the epoch; 0 for none."""
    return 0 if time is None else round(time.timestamp() * 1000)


def _time_or_none(ms: int | None) -> datetime | None:
    return None if ms is None else time_of(ms)


def experiment_of(row: Row) -> Experiment:
    """Read an experiment."""
    return Experiment(str(row["experiment_id"]), row["name"], time_of(row["created_ms"]), row["lifecycle_stage"])


def run_of(row: Row) -> Run:
    """Read a run; the row has its experiment's name as `experiment`."""
    return Run(
        run_id=row["run_id"],
        experiment_id=str(row["experiment_id"]),
        experiment=row["experiment"],
        key=RunKey(row["pipeline"], row["partition"], row["namespace"]),
        status=RunStatus(row["status"]),
        started_at=time_of(row["started_ms"]),
        ended_at=_time_or_none(row["ended_ms"]),
        name=row["name"],
        parent_run_id=row["parent_run_id"],
        logical_date=_time_or_none(row["logical_date_ms"]),
        reason=row["reason"],
        lifecycle_stage=row["lifecycle_stage"],
        source=json.loads(row["source"]),
    )


def step_of(row: Row) -> StepSummary:
    """Read a step's newest attempt."""
    return StepSummary(
        step=StepId(row["run_id"], row["step"], row["map_index"]),
        state=AttemptState(row["state"]),
        attempt=row["attempt"],
        generation=row["generation"],
        started_at=time_of(row["started_ms"]),
        ended_at=_time_or_none(row["ended_ms"]),
        host=json.loads(row["host"]),
        error=row["error"],
    )


def dataset_of(row: Row) -> Dataset:
    """Read an input of a run."""
    plain = {name: row[name] for name in ("name", "digest", "rows", "role", "source")}
    return Dataset.from_json({**plain, "schema": json.loads(row["columns"]), **json.loads(row["facts"] or "{}")})


def file_of(row: Row) -> FileEntry:
    """Read a file of a manifest or of a run's artifacts."""
    return FileEntry(row["path"], row["sha256"], row["size_bytes"])


def model_of(row: Row, files: Sequence[FileEntry]) -> LoggedModel:
    """Read a logged model."""
    return LoggedModel(
        model_id=row["model_id"],
        run_id=row["run_id"],
        name=row["name"],
        payload_digest=row["payload_digest"],
        manifest_digest=row["manifest_digest"],
        flavor=row["flavor"],
        size_bytes=row["size_bytes"],
        files=tuple(files),
        facts=json.loads(row["facts"]),
        created_at=time_of(row["created_ms"]),
        deleted=row["deleted_ms"] is not None,
    )


def evaluation_of(row: Row) -> Evaluation:
    """Read an evaluation."""
    return Evaluation.from_json(json.loads(row["document"]), time_of(row["created_ms"]))


def decision_of(row: Row) -> GateDecision:
    """Read a decision."""
    return GateDecision.from_json(json.loads(row["document"]), time_of(row["created_ms"]))


def authorization_of(row: Row) -> Authorization:
    """Read an authorization; columns are prefixed `a_` where the row is a join."""
    prefix = "a_" if "a_kind" in row else ""
    return Authorization(
        authorization_id=row["authorization_id"],
        kind=AuthorizationKind(row[f"{prefix}kind"]),
        model=row[f"{prefix}model"],
        decision_id=row[f"{prefix}decision_id"],
        reason=row[f"{prefix}reason"],
        actor=json.loads(row[f"{prefix}actor"]),
    )


def version_of(row: Row) -> ModelVersion:
    """Read a version joined with its authorization."""
    return ModelVersion(
        model=row["model"],
        version=row["version"],
        model_id=row["model_id"],
        run_id=row["run_id"],
        payload_digest=row["payload_digest"],
        authorization=authorization_of(row),
        created_at=time_of(row["created_ms"]),
        state=VersionState(row["v_state"] or VersionState.ACTIVE),
    )


def check_of(row: Row, prefix: str = "") -> LoadCheck:
    """Read a load check, whose columns may have a prefix."""
    return LoadCheck(
        model=row[f"{prefix}model"],
        version=row[f"{prefix}version"],
        number=row[f"{prefix}number"],
        passed=row[f"{prefix}passed"],
        error=row[f"{prefix}error"],
        facts=json.loads(row[f"{prefix}facts"]),
        actor=json.loads(row[f"{prefix}actor"]),
        checked_at=time_of(row[f"{prefix}checked_ms"]),
    )


def protection_of(row: Row, prefix: str = "") -> AliasProtection:
    """Read a change of an alias's protection, whose columns may have a prefix."""
    return AliasProtection(
        model=row[f"{prefix}model"],
        alias=row[f"{prefix}alias"],
        number=row[f"{prefix}number"],
        actors=tuple(json.loads(row[f"{prefix}actors"])),
        lifted=row[f"{prefix}lifted"],
        reason=row[f"{prefix}reason"],
        actor=json.loads(row[f"{prefix}actor"]),
        set_at=time_of(row[f"{prefix}set_ms"]),
    )


def alias_of(row: Row) -> Alias:
    """Read where an alias points."""
    return Alias(row["model"], row["alias"], row["version"], row["generation"], time_of(row["moved_ms"]))


def move_of(row: Row) -> AliasMove:
    """Read an alias move joined with its authorization."""
    return AliasMove(
        model=row["model"],
        alias=row["alias"],
        from_version=row["from_version"],
        to_version=row["to_version"],
        generation=row["generation"],
        authorization=authorization_of(row),
        moved_at=time_of(row["moved_ms"]),
        actor=json.loads(row["actor"] or "{}"),
    )


def event_of(row: Row) -> AuditEvent:
    """Read an entry of the ledger."""
    return AuditEvent(
        chain=ChainId(row["chain_kind"], row["chain_name"]),
        sequence=row["sequence"],
        kind=row["kind"],
        subject=_DECODED(row["subject"]),
        actor=_DECODED(row["actor"]),
        why=row["why"],
        before=_DECODED(row["before"]),
        after=_DECODED(row["after"]),
        time=time_of(row["time_ms"]),
        previous_hash=row["previous_hash"],
        hash=row["hash"],
    )
