"""The seams of the core: what services need from the outer pieces. The docstrings are the contract.

Every method of a store is atomic by itself; where two writes belong together there is one method for both. A
passing fault is raised as `Transient`, everything else as `Terminal`; nothing is retried by the callee, but for single
requests over a network within a stated deadline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from penstock.model.audit import AuditEvent, ChainHead, ChainId, NewEvent
from penstock.model.data import Dataset, DataSource
from penstock.model.decisions import GateDecision
from penstock.model.evaluations import Evaluation, Measurement
from penstock.model.ids import RunKey
from penstock.model.runs import (
    LEASE_S,
    Attempt,
    AttemptState,
    Lapsed,
    LogBatch,
    Run,
    RunDetails,
    RunStatus,
    StepId,
    StepResult,
)
from penstock.model.versions import (
    Alias,
    AliasMove,
    Authorization,
    FileEntry,
    LoggedModel,
    ModelVersion,
    RegisteredModel,
)

# --------------------------------------------------------------------------------------------------- records


@dataclass(frozen=True)
class NewRun:
    """What `MetadataStore.open_run` needs to create a run.

    `deadline_s`, counted from now, bounds how long the run may stay open between its steps. With `first`, `logged`
    (the run's params and tags) is written as that step's own, in the same transaction.
    """

    run_id: str
    experiment: str
    key: RunKey
    name: str
    parent_run_id: str | None
    logical_date_ms: int | None
    source: Mapping[str, Any]
    actor: Mapping[str, Any]
    deadline_s: float | None = None
    first: NewAttempt | None = None
    logged: LogBatch = field(default_factory=LogBatch)


@dataclass(frozen=True)
class NewAttempt:
    """What `MetadataStore.begin_attempt` needs: the step, its declared inputs and where it runs.

    `host` holds the orchestrator's coordinates of this try (ids, try number, host name), as plain JSON. With `resume`
    the metrics and params of earlier attempts stay visible (training from a checkpoint). With `always` a stored
    result does not answer: the step runs again. A run that FAILED or was KILLED is reopened by whoever carries on with
    it; one that FINISHED only by new work with `reopen`, not by judging what it left behind.
    """

    step: StepId
    inputs_digest: str
    inputs: Mapping[str, Any]
    host: Mapping[str, Any]
    actor: Mapping[str, Any]
    token: str
    resume: bool = False
    always: bool = False
    reopen: bool = False
    lease_s: float = LEASE_S


@dataclass(frozen=True)
class StepEnd:
    """How an attempt ended: with a result (plain JSON) or with an error's text."""

    attempt: Attempt
    state: AttemptState
    result: Any = None
    error: str = ""


class MetadataStore(Protocol):
    """Where records live.

    Writers pass the attempt they write for. A write by an attempt that a newer one has superseded, or that has ended,
    raises `Fenced` and changes nothing. Governance events are written in the transaction of the change they record.
    """

    def open_run(self, new: NewRun) -> tuple[Run, bool]:
        """Return the run with `new.key` and whether this call created it (with its `run_opened` event).

        Idempotent under retries and races; a run that FAILED or was KILLED is reopened. `Conflict` if the key belongs
        to a run of another experiment.
        """
        ...

    def get_run(self, run_id: str) -> Run:
        """Return the run; `NotFound` if there is none."""
        ...

    def get_run_details(self, run_id: str) -> RunDetails:
        """Return the run with the params, metrics, tags and steps of its current attempts."""
        ...

    def list_runs(self, experiment: str | None, limit: int) -> Sequence[Run]:
        """Return runs, newest first; all experiments' when `experiment` is None."""
        ...

    def begin_attempt(self, new: NewAttempt) -> Attempt | StepResult:
        """Return the stored result if the step with these inputs is done; otherwise a new attempt.

        The new attempt gets the next number and fences every earlier attempt of the step; an ended run is reopened as
        `NewAttempt` says (with its `run_reopened` event). Metrics and params of earlier attempts are superseded unless
        `new.resume`.
        """
        ...

    def renew_lease(self, attempt: Attempt) -> None:
        """Say that an attempt is alive: its lease runs `attempt.lease_s` from now, by the database's clock.

        `Fenced` if a newer attempt has taken over or this one has ended. Every write renews the lease, too.
        """
        ...

    def reap(self, actor: Mapping[str, Any]) -> Sequence[Lapsed]:
        """End every running attempt whose lease has run out, by the database's clock, and say which.

        A RUNNING run that is left without a live attempt, and lost one this way or is past its deadline, ends KILLED
        with its `run_ended` event. Each run is one transaction. What comes back later finds itself fenced.
        """
        ...

    def end_attempt(self, end: StepEnd) -> StepResult | None:
        """End an attempt for good, storing its result. Ending it again in the same way changes nothing."""
        ...

    def end_run(
        self, run_id: str, status: RunStatus, reason: str, actor: Mapping[str, Any], end: StepEnd | None = None
    ) -> Run:
        """End a run, with its `run_ended` event. Ending it again with the same status changes nothing.

        `end` ends an attempt in the same transaction. `Conflict` when the run has already ended otherwise. A run with
        an attempt still running is ended all the same: its status is the caller's word.
        """
        ...

    def log(self, attempt: Attempt, batch: LogBatch) -> None:
        """Write all of `batch` or nothing.

        Logging the same metric point twice keeps one; a param is write-once per attempt (`Conflict`); a tag is
        replaced.
        """
        ...

    def list_metric_points(self, run_id: str, name: str) -> Sequence[tuple[int, int, float]]:
        """Return (step, time in ms, value) of a metric's current points, by step."""
        ...

    # ------------------------------------------------------------------------------------ artifacts and models

    def put_artifacts(self, attempt: Attempt, files: Sequence[FileEntry]) -> None:
        """Enter files into the run's path → blob index, replacing those with the same path."""
        ...

    def list_artifacts(self, run_id: str) -> Sequence[FileEntry]:
        """Return the run's artifacts by path."""
        ...

    def add_model(self, attempt: Attempt, model: LoggedModel) -> LoggedModel:
        """Seal a model with its files; the same model again returns the one stored first."""
        ...

    def get_model(self, model_id: str) -> LoggedModel:
        """Return a logged model with its files; `NotFound` if there is none."""
        ...

    def find_model(self, run_id: str, name: str) -> LoggedModel | None:
        """Return the model logged last under this name by a current attempt of the run."""
        ...

    # ------------------------------------------------------------------------------- evaluations and decisions

    def record_evaluation(self, evaluation: Evaluation, event: NewEvent, end: StepEnd) -> Evaluation:
        """Store an evaluation, its event and its step's result in one transaction; one known already adds no event."""
        ...

    def get_evaluation(self, evaluation_id: str) -> Evaluation:
        """Return an evaluation; `NotFound` if there is none."""
        ...

    def record_decision(self, decision: GateDecision, event: NewEvent, end: StepEnd) -> GateDecision:
        """Store a decision, its authorization if it passed, its event and its step's result in one transaction.

        A decision known already adds no event.
        """
        ...

    def get_decision(self, decision_id: str) -> GateDecision:
        """Return a decision; `NotFound` if there is none."""
        ...

    def list_evaluations(self, run_id: str) -> Sequence[Evaluation]:
        """Return the run's evaluations, oldest first."""
        ...

    def list_decisions(self, run_id: str) -> Sequence[GateDecision]:
        """Return the decisions on the run's evaluations, oldest first."""
        ...

    # ----------------------------------------------------------------------------------------------- registry

    def find_authorization(self, decision_id: str) -> Authorization | None:
        """Return the authorization a passed decision gave; None if it gave none."""
        ...

    def record_version(
        self, model: str, logged: LoggedModel, authorization: Authorization, event: NewEvent, end: StepEnd
    ) -> ModelVersion:
        """Register a model under the next number, in one transaction with its event and its step's result.

        The same authorization again returns the version it registered. `event.after` is completed with the number.
        """
        ...

    def find_version(self, model: str, version: int | None) -> ModelVersion | None:
        """Return a version; the one with the highest number when `version` is None; None if there is none."""
        ...

    def list_versions(self, model: str) -> Sequence[ModelVersion]:
        """Return a model's versions, newest first."""
        ...

    def list_models(self) -> Sequence[RegisteredModel]:
        """Return the registered models by name."""
        ...

    def find_alias(self, model: str, alias: str) -> Alias | None:
        """Return where an alias points; None if it was never set."""
        ...

    def move_alias(
        self,
        version: ModelVersion,
        alias: str,
        authorization: Authorization,
        expected_generation: int,
        event: NewEvent,
        end: StepEnd,
    ) -> AliasMove:
        """Point an alias to a version if its generation is still `expected_generation` (0: never set).

        One transaction with its event and its step's result. `Conflict` naming who won if the alias has moved.
        The same authorization again returns the move it made.
        """
        ...

    def record_rollback(
        self,
        version: ModelVersion,
        alias: str,
        authorization: Authorization,
        expected_generation: int,
        event: NewEvent,
    ) -> AliasMove:
        """Point an alias back to a version that held it before, if its generation is still `expected_generation`.

        One transaction with its authorization (of kind `rollback`) and its event. `NotAuthorized` if the version never
        held the alias, `Conflict` naming who won if the alias has moved. The same authorization again returns the move
        it made.
        """
        ...

    def list_alias_moves(self, model: str) -> Sequence[AliasMove]:
        """Return a model's alias moves, oldest first."""
        ...

    # ------------------------------------------------------------------------------------------------- ledger

    def read_ledger(self, chain: ChainId | None = None) -> Iterator[AuditEvent]:
        """Yield the entries of one chain, or of all chains, in order."""
        ...

    def list_chain_heads(self) -> Sequence[ChainHead]:
        """Return where each chain ends, by chain."""
        ...

    def close(self) -> None:
        """Give back connections. The store may be used again afterwards."""
        ...


# ----------------------------------------------------------------------------------------------------- bytes


# Called with the bytes so far and the bytes in all.
Progress = Callable[[int, int], None]


class ArtifactStore(Protocol):
    """Where bytes live: content-addressed by SHA-256, verified on every read.

    What is not wholly written is not visible. Nothing is ever overwritten, but for an object found damaged. Memory
    stays bounded whatever the size. `StoreUnavailable` when the store cannot be reached.
    """

    def put_file(self, path: Path, progress: Progress | None = None) -> tuple[str, int]:
        """Store a regular file's bytes durably; return (sha256, size in bytes). Storing them again costs a hash.

        `InvalidValue` for what is not a regular file or changes meanwhile, `NotFound` if there is none.
        """
        ...

    def put_files(self, paths: Sequence[Path]) -> list[tuple[str, int]]:
        """Store files, several at a time; return `put_file`'s answer for each, in order: all of them or an error."""
        ...

    def fetch(self, sha256: str, target: Path, progress: Progress | None = None) -> None:
        """Write the object's verified bytes to `target`; `Corrupted` if they are missing or not what was stored.

        Folders above `target` are made. After an error there is no `target`.
        """
        ...

    def fetch_all(self, objects: Sequence[tuple[str, Path]]) -> None:
        """Fetch (sha256, target) pairs, several at a time: all of them or an error."""
        ...

    def sweep_incoming(self, older_than_s: float) -> list[str]:
        """Remove what interrupted writers left, if it is older than this; return what was removed. Never an object.

        A writer that is still at work on something older fails with `StoreUnavailable`.
        """
        ...

    @property
    def location(self) -> str:
        """Where the bytes are, as a person may read it (no secrets)."""
        ...


# ---------------------------------------------------------------------------------------------------- models


class Predictor(Protocol):
    """A loaded model that predicts batches of rows given as a pandas DataFrame of its features."""

    @property
    def uri(self) -> str:
        """What it was loaded from, for messages."""
        ...

    @property
    def columns(self) -> tuple[str, ...] | None:
        """The feature columns of its signature, in order; None if it has none."""
        ...

    @property
    def classes(self) -> tuple[Any, ...] | None:
        """The class labels in the order of `predict_proba`'s columns; None if it is not a classifier."""
        ...

    def predict(self, batch: Any) -> Any:
        """Return one prediction per row, as an array of shape (n,)."""
        ...

    def predict_proba(self, batch: Any) -> Any | None:
        """Return class probabilities as an array of shape (n, classes); None if the model has none."""
        ...


@dataclass(frozen=True)
class PackagedModel:
    """A model saved into a folder in the MLmodel layout, before its files are stored.

    `facts` is plain JSON that policies and people ask about: `signature` (the MLmodel block or None),
    `input_example` (bool), `requirements` (list), `trusted_types` (list), `flavor_version`.
    """

    model_id: str
    payload_digest: str
    flavor: str
    facts: Mapping[str, Any]


class ModelFormat(Protocol):
    """Saves and loads models in the MLmodel layout."""

    def save(
        self,
        model: Any,
        folder: Path,
        *,
        run_id: str,
        name: str,
        input_example: Any = None,
        trusted_types: Sequence[str] = (),
    ) -> PackagedModel:
        """Write `model` into the empty `folder`. `Untrusted` when it holds types not listed in `trusted_types`."""
        ...

    def payload_digest(self, folder: Path) -> str:
        """Compute the payload digest of a saved folder again, from its bytes."""
        ...

    def load(self, folder: Path, *, uri: str, trusted_types: Sequence[str] | None = None) -> Predictor:
        """Load a folder whose bytes have been verified.

        The types recorded at save time are trusted when `trusted_types` is None; a list given by the caller replaces
        them. Formats that can run code while loading (pickle) are refused with `Untrusted`.
        """
        ...


# ------------------------------------------------------------------------------------------------ measuring


@dataclass(frozen=True)
class Measured:
    """What the measuring engine found in one pass over the data."""

    dataset: Dataset
    task: str
    measurements: tuple[Measurement, ...]
    curves: Mapping[str, Any] = field(default_factory=dict)


class Evaluator(Protocol):
    """Measures models on rows."""

    def measure(
        self,
        candidate: Predictor,
        held_out: DataSource,
        *,
        task: str,
        baseline: Predictor | None = None,
        slices: Sequence[str] = (),
        progress: Callable[[int], None] | None = None,
    ) -> Measured:
        """Read `held_out` once, in batches; candidate and baseline predict the same rows in the same pass.

        `progress` is called with the rows read so far. Raises `InvalidValue` for data that cannot be measured (no
        rows, no label column, missing features), `NotFound` for a source that is not there, `PredictionFailed` for a
        model that raises or answers with the wrong number of predictions.
        """
        ...


class DataReader(Protocol):
    """Reads data sources without a model."""

    def fingerprint(self, data: DataSource) -> Mapping[str, Any]:
        """Return what identifies the source's content as plain JSON, independent of where it stands.

        `NotFound` for a source that is not there.
        """
        ...

    def describe(self, data: DataSource, role: str) -> Dataset:
        """Read the source once and return its digest, row count and schema."""
        ...
