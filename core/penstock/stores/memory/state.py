"""What the reference store remembers: plain values in plain dictionaries, copied whole before every change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from penstock.errors import NotFound
from penstock.model.approvals import ApprovalAnswer, ApprovalRequest
from penstock.model.audit import GENESIS, AuditEvent, ChainId, NewEvent, event_hash
from penstock.model.canonical import canonical_json
from penstock.model.data import Dataset
from penstock.model.decisions import GateDecision
from penstock.model.evaluations import Evaluation
from penstock.model.load_checks import LoadCheck
from penstock.model.looks import Look
from penstock.model.notes import Note
from penstock.model.overrides import Anchor, Override
from penstock.model.probation import AliasProbation, ProbationJudgement
from penstock.model.protection import AliasProtection
from penstock.model.retention import RetentionPolicy
from penstock.model.runs import Attempt, AttemptState, Run, StepId, StepResult
from penstock.model.ungated import GateDeclaration
from penstock.model.versions import Alias, AliasMove, Authorization, FileEntry, LoggedModel, ModelVersion
from penstock.model.webhooks import Delivery, Webhook

Point = tuple[str, int, int, str, float]
"""A metric's name, step, time in ms, kind and value: its whole identity within an attempt."""


@dataclass
class AttemptRecord:
    """One attempt of a step, with what it logged."""

    attempt: Attempt
    host: Mapping[str, Any]
    started_ms: int
    lease_expires_ms: int | None
    state: AttemptState = AttemptState.RUNNING
    ended_ms: int | None = None
    error: str = ""
    params: dict[str, str] = field(default_factory=dict)
    points: set[Point] = field(default_factory=set)
    inputs: dict[tuple[str, str, str], Dataset] = field(default_factory=dict)


@dataclass
class StepRecord:
    """A step: its attempts in order, the first whose metrics still count, its results by digest of their inputs."""

    attempts: list[AttemptRecord] = field(default_factory=list)
    visible_from: int = 1
    generation: int = 1
    results: dict[str, StepResult] = field(default_factory=dict)

    @property
    def visible(self) -> list[AttemptRecord]:
        """The attempts whose metrics and params still count."""
        return self.attempts[self.visible_from - 1 :]


@dataclass
class RunRecord:
    """A run with its steps, tags and artifacts."""

    run: Run
    deadline_ms: int | None
    steps: dict[StepId, StepRecord] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    artifacts: dict[str, FileEntry] = field(default_factory=dict)


@dataclass
class ModelRecord:
    """A logged model and the attempt that logged it last, as which of its run's models by that name."""

    model: LoggedModel
    step: StepId
    attempt: int
    logged_ms: int
    purged: bool = False


@dataclass
class CondemnedBlob:
    """Bytes about to be deleted: how many, how far, and by which sweep."""

    size_bytes: int
    state: str
    at_ms: int
    sweep: str = ""


@dataclass
class WebhookRecord:
    """A webhook, who delivers for it, and how far: chain → (sequence, failures, not before)."""

    webhook: Webhook
    claim: str = ""
    claimed_until_ms: int = 0
    cursors: dict[ChainId, tuple[int, int, int]] = field(default_factory=dict)
    deliveries: list[Delivery] = field(default_factory=list)


@dataclass
class State:
    """Everything there is."""

    experiments: dict[str, str] = field(default_factory=dict)
    runs: dict[str, RunRecord] = field(default_factory=dict)
    models: dict[str, ModelRecord] = field(default_factory=dict)
    evaluations: dict[str, Evaluation] = field(default_factory=dict)
    decisions: dict[str, GateDecision] = field(default_factory=dict)
    authorizations: dict[str, Authorization] = field(default_factory=dict)
    registered: dict[str, datetime] = field(default_factory=dict)
    versions: dict[str, list[ModelVersion]] = field(default_factory=dict)
    aliases: dict[tuple[str, str], Alias] = field(default_factory=dict)
    moves: list[AliasMove] = field(default_factory=list)
    chains: dict[ChainId, list[AuditEvent]] = field(default_factory=dict)
    looks: dict[str, list[Look]] = field(default_factory=dict)
    set_questions: dict[str, list[str]] = field(default_factory=dict)
    requests: dict[str, ApprovalRequest] = field(default_factory=dict)
    answers: dict[str, ApprovalAnswer] = field(default_factory=dict)
    overrides: dict[str, Override] = field(default_factory=dict)
    anchors: dict[str, list[Anchor]] = field(default_factory=dict)
    webhooks: dict[str, WebhookRecord] = field(default_factory=dict)
    cursors: dict[str, dict[str, int]] = field(default_factory=dict)
    checks: dict[tuple[str, int], list[LoadCheck]] = field(default_factory=dict)
    protections: dict[tuple[str, str], list[AliasProtection]] = field(default_factory=dict)
    notes: dict[tuple[str, int], dict[str, Note]] = field(default_factory=dict)
    retention: dict[tuple[str, str], RetentionPolicy] = field(default_factory=dict)
    condemned: dict[str, CondemnedBlob] = field(default_factory=dict)
    collector: tuple[str, int] = ("", 0)
    declarations: dict[str, list[GateDeclaration]] = field(default_factory=dict)
    probations: dict[tuple[str, str, int], AliasProbation] = field(default_factory=dict)
    probation_judgements: dict[tuple[str, str, int], list[ProbationJudgement]] = field(default_factory=dict)

    def run(self, run_id: str) -> RunRecord:
        """Return a run; `NotFound` if there is none."""
        if run_id not in self.runs:
            raise NotFound("run", run_id, "penstock runs list shows the runs there are")
        return self.runs[run_id]

    def append(self, event: NewEvent, now_ms: int) -> None:
        """Append an entry to its chain of the ledger."""
        chain = self.chains.setdefault(event.chain, [])
        previous = chain[-1].hash if chain else GENESIS
        sequence = len(chain) + 1
        chain.append(
            AuditEvent(
                chain=event.chain,
                sequence=sequence,
                kind=event.kind,
                subject=plain(event.subject),
                actor=plain(event.actor),
                why=event.why,
                before=plain(event.before),
                after=plain(event.after),
                time=time_of(now_ms),
                previous_hash=previous,
                hash=event_hash(event, sequence, now_ms, previous),
            )
        )


_RECORDS = {AttemptRecord, StepRecord, RunRecord, ModelRecord, CondemnedBlob, WebhookRecord, State}
_CHANGEABLE: set[type] = {dict, list, set, *_RECORDS}


def copied(value: Any) -> Any:
    """Return a copy that changes nothing here when it is changed: of containers and records, down to frozen values."""
    kind = type(value)
    if kind is dict:
        return {key: copied(held) if type(held) in _CHANGEABLE else held for key, held in value.items()}
    if kind is list:
        return [copied(held) if type(held) in _CHANGEABLE else held for held in value]
    if kind is set:
        return set(value)
    copy = object.__new__(kind)
    copy.__dict__.update(copied(vars(value)))
    return copy


def plain(value: Any) -> Any:
    """Return what is left of a value once it has been written as JSON and read again; `InvalidValue` if it cannot."""
    return json.loads(canonical_json(value))


def time_of(ms: int) -> datetime:
    """Return a time in milliseconds as a datetime."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def stored_evaluation(evaluation: Evaluation, now_ms: int) -> Evaluation:
    """Return an evaluation as it will be read back."""
    return Evaluation.from_json(plain(evaluation.to_json()), time_of(now_ms))


def stored_decision(decision: GateDecision, now_ms: int) -> GateDecision:
    """Return a decision as it will be read back."""
    return GateDecision.from_json(plain(decision.to_json()), time_of(now_ms))


def stored_model(model: LoggedModel, now_ms: int) -> LoggedModel:
    """Return a logged model as it will be read back: its files by path."""
    files = tuple(sorted(model.files, key=lambda file: file.path))
    return replace(model, files=files, facts=plain(model.facts), created_at=time_of(now_ms))
