"""The reference store: the port in plain Python, one lock, one copy of everything per change."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from penstock.errors import NotFound
from penstock.model.audit import AuditEvent, ChainHead, ChainId, NewEvent
from penstock.model.decisions import GateDecision
from penstock.model.evaluations import Evaluation
from penstock.model.runs import Attempt, AttemptState, Lapsed, LogBatch, Run, RunDetails, RunStatus, StepResult
from penstock.model.versions import (
    Alias,
    AliasMove,
    Authorization,
    FileEntry,
    LoggedModel,
    ModelVersion,
    RegisteredModel,
    moved,
)
from penstock.ports import NewAttempt, NewRun, StepEnd
from penstock.stores.memory import registry, runs, steps
from penstock.stores.memory.state import ModelRecord, State, stored_decision, stored_evaluation, stored_model


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class MemoryStore:
    """A `MetadataStore` in this process's memory, gone with it. For tests, and to say what the others must do."""

    def __init__(self, now_ms: Callable[[], int] = _wall_clock_ms) -> None:
        self._now_ms = now_ms
        self._state = State()
        self._lock = threading.Lock()

    @contextmanager
    def _changing(self) -> Iterator[tuple[State, int]]:
        """A copy to change: it becomes the state if nothing was raised, and else is forgotten."""
        with self._lock:
            changed = copy.deepcopy(self._state)
            yield changed, self._now_ms()
            self._state = changed

    # ------------------------------------------------------------------------------------------ runs and steps

    def open_run(self, new: NewRun) -> tuple[Run, bool]:
        with self._changing() as (state, now):
            run, created = runs.open(state, new, now)
            if new.first is not None:
                begun = steps.begin(state, new.first, now)
                if isinstance(begun, Attempt):
                    steps.log(state, begun, new.logged, now)
                    steps.end(state, StepEnd(begun, AttemptState.DONE, run.run_id), now)
            return run, created

    def get_run(self, run_id: str) -> Run:
        return self._state.run(run_id).run

    def get_run_details(self, run_id: str) -> RunDetails:
        return steps.details(self._state, run_id)

    def list_runs(self, experiment: str | None, limit: int) -> Sequence[Run]:
        found = [record.run for record in self._state.runs.values() if experiment in {None, record.run.experiment}]
        by_id = sorted(found, key=lambda run: run.run_id)
        return sorted(by_id, key=lambda run: run.started_at, reverse=True)[:limit]

    def begin_attempt(self, new: NewAttempt) -> Attempt | StepResult:
        with self._changing() as (state, now):
            return steps.begin(state, new, now)

    def renew_lease(self, attempt: Attempt) -> None:
        with self._changing() as (state, now):
            steps.writing(state, attempt, now)

    def reap(self, actor: Mapping[str, Any]) -> Sequence[Lapsed]:
        with self._changing() as (state, now):
            return runs.reap(state, actor, now)

    def end_attempt(self, end: StepEnd) -> StepResult | None:
        with self._changing() as (state, now):
            return steps.end(state, end, now)

    def end_run(
        self, run_id: str, status: RunStatus, reason: str, actor: Mapping[str, Any], end: StepEnd | None = None
    ) -> Run:
        with self._changing() as (state, now):
            if end is not None:
                steps.end(state, end, now)
            return runs.end(state, run_id, status, reason, actor, now)

    def log(self, attempt: Attempt, batch: LogBatch) -> None:
        with self._changing() as (state, now):
            steps.log(state, attempt, batch, now)

    def list_metric_points(self, run_id: str, name: str) -> Sequence[tuple[int, int, float]]:
        return steps.metric_points(self._state, run_id, name)

    # ---------------------------------------------------------------------------------- artifacts and models

    def put_artifacts(self, attempt: Attempt, files: Sequence[FileEntry]) -> None:
        with self._changing() as (state, now):
            steps.writing(state, attempt, now)
            state.run(attempt.step.run_id).artifacts.update({file.path: file for file in files})

    def list_artifacts(self, run_id: str) -> Sequence[FileEntry]:
        record = self._state.runs.get(run_id)
        return [] if record is None else [record.artifacts[path] for path in sorted(record.artifacts)]

    def add_model(self, attempt: Attempt, model: LoggedModel) -> LoggedModel:
        with self._changing() as (state, now):
            steps.writing(state, attempt, now)
            known = state.models.get(model.model_id)
            stored = stored_model(model, now) if known is None else known.model
            state.models[model.model_id] = ModelRecord(stored, attempt.step, attempt.number)
            return stored

    def get_model(self, model_id: str) -> LoggedModel:
        if model_id not in self._state.models:
            raise NotFound("logged model", model_id)
        return self._state.models[model_id].model

    def find_model(self, run_id: str, name: str) -> LoggedModel | None:
        found = [
            record
            for record in self._state.models.values()
            if (record.step.run_id, record.model.name) == (run_id, name)
            and record.attempt >= self._state.runs[run_id].steps[record.step].visible_from
        ]
        found.sort(key=lambda record: record.model.model_id, reverse=True)
        found.sort(key=lambda record: (record.model.created_at, record.attempt))
        return found[-1].model if found else None

    # ----------------------------------------------------------------------------- evaluations and decisions

    def record_evaluation(self, evaluation: Evaluation, event: NewEvent, end: StepEnd) -> Evaluation:
        with self._changing() as (state, now):
            steps.end(state, end, now)
            if evaluation.evaluation_id not in state.evaluations:
                if evaluation.run_id not in state.runs or evaluation.model_id not in state.models:
                    raise NotFound("record", "that this one refers to")
                state.evaluations[evaluation.evaluation_id] = stored_evaluation(evaluation, now)
                state.append(event, now)
            return state.evaluations[evaluation.evaluation_id]

    def get_evaluation(self, evaluation_id: str) -> Evaluation:
        if evaluation_id not in self._state.evaluations:
            raise NotFound("evaluation", evaluation_id)
        return self._state.evaluations[evaluation_id]

    def list_evaluations(self, run_id: str) -> Sequence[Evaluation]:
        found = [made for made in self._state.evaluations.values() if made.run_id == run_id]
        return sorted(found, key=lambda made: (made.created_at, made.evaluation_id))

    def record_decision(self, decision: GateDecision, event: NewEvent, end: StepEnd) -> GateDecision:
        with self._changing() as (state, now):
            steps.end(state, end, now)
            if decision.decision_id not in state.decisions:
                if decision.run_id not in state.runs or decision.evaluation_id not in state.evaluations:
                    raise NotFound("record", "that this one refers to")
                state.decisions[decision.decision_id] = stored_decision(decision, now)
                registry.authorize(state, decision.decision_id)
                state.append(event, now)
            return state.decisions[decision.decision_id]

    def get_decision(self, decision_id: str) -> GateDecision:
        if decision_id not in self._state.decisions:
            raise NotFound("decision", decision_id)
        return self._state.decisions[decision_id]

    def list_decisions(self, run_id: str) -> Sequence[GateDecision]:
        found = [made for made in self._state.decisions.values() if made.run_id == run_id]
        return sorted(found, key=lambda made: (made.created_at, made.decision_id))

    # ---------------------------------------------------------------------------------------------- registry

    def find_authorization(self, decision_id: str) -> Authorization | None:
        return next((a for a in self._state.authorizations.values() if a.decision_id == decision_id), None)

    def record_version(
        self, model: str, logged: LoggedModel, authorization: Authorization, event: NewEvent, end: StepEnd
    ) -> ModelVersion:
        with self._changing() as (state, now):
            version, made = registry.add_version(state, model, logged, authorization, now)
            steps.end(state, replace(end, result=version.ref), now)
            if made:
                after = {"version": version.version, "payload_digest": version.payload_digest}
                state.append(replace(event, after=after), now)
            return version

    def find_version(self, model: str, version: int | None) -> ModelVersion | None:
        versions = self._state.versions.get(model, [])
        return next((v for v in reversed(versions) if version in {None, v.version}), None)

    def list_versions(self, model: str) -> Sequence[ModelVersion]:
        return list(reversed(self._state.versions.get(model, [])))

    def list_models(self) -> Sequence[RegisteredModel]:
        return [
            RegisteredModel(
                name,
                len(self._state.versions[name]),
                {alias.alias: alias.version for alias in self._state.aliases.values() if alias.model == name},
                created_at,
            )
            for name, created_at in sorted(self._state.registered.items())
        ]

    def find_alias(self, model: str, alias: str) -> Alias | None:
        return self._state.aliases.get((model, alias))

    def move_alias(
        self,
        version: ModelVersion,
        alias: str,
        authorization: Authorization,
        expected_generation: int,
        event: NewEvent,
        end: StepEnd,
    ) -> AliasMove:
        with self._changing() as (state, now):
            move, made = registry.move_alias(state, version, alias, authorization, expected_generation, now)
            steps.end(state, replace(end, result=move.ref), now)
            if made:
                state.append(moved(event, move), now)
            return move

    def record_rollback(
        self,
        version: ModelVersion,
        alias: str,
        authorization: Authorization,
        expected_generation: int,
        event: NewEvent,
    ) -> AliasMove:
        with self._changing() as (state, now):
            move, made = registry.roll_back(state, version, alias, authorization, expected_generation, now)
            if made:
                state.append(moved(event, move), now)
            return move

    def list_alias_moves(self, model: str) -> Sequence[AliasMove]:
        moves = [move for move in self._state.moves if move.model == model]
        return sorted(moves, key=lambda move: (move.moved_at, move.alias, move.generation))

    # ------------------------------------------------------------------------------------------------ ledger

    def read_ledger(self, chain: ChainId | None = None) -> Iterator[AuditEvent]:
        for found in sorted(self._state.chains, key=lambda chain: (chain.kind, chain.name)):
            if chain in {None, found}:
                yield from self._state.chains[found]

    def list_chain_heads(self) -> Sequence[ChainHead]:
        chains = sorted(self._state.chains.items(), key=lambda item: (item[0].kind, item[0].name))
        return [ChainHead(chain, entries[-1].sequence, entries[-1].hash) for chain, entries in chains]

    def close(self) -> None:
        """There is nothing to give back."""
