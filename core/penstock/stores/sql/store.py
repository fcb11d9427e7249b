"""The SQL store: each method of the port is one transaction over the functions of this folder.

Writing methods are `retried`: what the database itself rolled back in favour of another writer is tried again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from penstock.model.audit import AuditEvent, ChainHead, ChainId, NewEvent
from penstock.model.decisions import GateDecision
from penstock.model.evaluations import Evaluation
from penstock.model.runs import (
    Attempt,
    AttemptState,
    Lapsed,
    LogBatch,
    Run,
    RunDetails,
    RunStatus,
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
    moved,
)
from penstock.ports import NewAttempt, NewRun, StepEnd
from penstock.stores.sql import judgements, ledger, logs, models, reaper, registry, runs, schema, steps
from penstock.stores.sql.database import retried
from penstock.stores.sql.dialects import open_database
from penstock.stores.sql.urls import StoreUrl, parse_store_url


class SqlStore:
    """A `MetadataStore` in a SQL database. Safe to share between threads; a forked child reconnects by itself."""

    def __init__(self, url: StoreUrl | str) -> None:
        self.url = parse_store_url(url) if isinstance(url, str) else url
        self._database = open_database(self.url)
        schema.ensure(self._database)

    def __repr__(self) -> str:
        return f"SqlStore({str(self.url)!r})"

    # ------------------------------------------------------------------------------------------ runs and steps

    @retried
    def open_run(self, new: NewRun) -> tuple[Run, bool]:
        with self._database.writing() as connection:
            run, created = runs.open(connection, new)
            if new.first is not None:
                begun = steps.begin(connection, new.first)
                if isinstance(begun, Attempt):
                    logs.write(connection, begun, new.logged)
                    steps.end(connection, StepEnd(begun, AttemptState.DONE, run.run_id))
            return run, created

    def get_run(self, run_id: str) -> Run:
        with self._database.reading() as connection:
            return runs.get(connection, run_id)

    def get_run_details(self, run_id: str) -> RunDetails:
        with self._database.reading() as connection:
            return logs.details(connection, run_id)

    def list_runs(self, experiment: str | None, limit: int) -> Sequence[Run]:
        with self._database.reading() as connection:
            return runs.newest(connection, experiment, limit)

    @retried
    def begin_attempt(self, new: NewAttempt) -> Attempt | StepResult:
        with self._database.writing() as connection:
            return steps.begin(connection, new)

    @retried
    def renew_lease(self, attempt: Attempt) -> None:
        with self._database.writing() as connection:
            steps.check_may_write(connection, attempt)

    def reap(self, actor: Mapping[str, Any]) -> Sequence[Lapsed]:
        with self._database.reading() as connection:
            run_ids = reaper.candidates(connection)
        lapsed: list[Lapsed] = []
        for run_id in run_ids:
            lapsed.extend(self._reap_run(run_id, actor))
        return lapsed

    @retried
    def _reap_run(self, run_id: str, actor: Mapping[str, Any]) -> Sequence[Lapsed]:
        with self._database.writing() as connection:
            return reaper.reap_run(connection, run_id, actor)

    @retried
    def end_attempt(self, end: StepEnd) -> StepResult | None:
        with self._database.writing() as connection:
            return steps.end(connection, end)

    @retried
    def end_run(
        self, run_id: str, status: RunStatus, reason: str, actor: Mapping[str, Any], end: StepEnd | None = None
    ) -> Run:
        with self._database.writing() as connection:
            if end is not None:
                steps.end(connection, end)
            return runs.end(connection, run_id, status, reason, actor)

    @retried
    def log(self, attempt: Attempt, batch: LogBatch) -> None:
        with self._database.writing() as connection:
            steps.check_may_write(connection, attempt)
            logs.write(connection, attempt, batch)

    def list_metric_points(self, run_id: str, name: str) -> Sequence[tuple[int, int, float]]:
        with self._database.reading() as connection:
            return logs.points(connection, run_id, name)

    # ---------------------------------------------------------------------------------- artifacts and models

    @retried
    def put_artifacts(self, attempt: Attempt, files: Sequence[FileEntry]) -> None:
        with self._database.writing() as connection:
            steps.check_may_write(connection, attempt)
            models.put_artifacts(connection, attempt, files)

    def list_artifacts(self, run_id: str) -> Sequence[FileEntry]:
        with self._database.reading() as connection:
            return models.artifacts(connection, run_id)

    @retried
    def add_model(self, attempt: Attempt, model: LoggedModel) -> LoggedModel:
        with self._database.writing() as connection:
            steps.check_may_write(connection, attempt)
            return models.add(connection, attempt, model)

    def get_model(self, model_id: str) -> LoggedModel:
        with self._database.reading() as connection:
            return models.get(connection, model_id)

    def find_model(self, run_id: str, name: str) -> LoggedModel | None:
        with self._database.reading() as connection:
            return models.find(connection, run_id, name)

    # ----------------------------------------------------------------------------- evaluations and decisions

    @retried
    def record_evaluation(self, evaluation: Evaluation, event: NewEvent, end: StepEnd) -> Evaluation:
        with self._database.writing() as connection:
            steps.end(connection, end)
            if judgements.add_evaluation(connection, evaluation):
                ledger.append(connection, event)
            return judgements.get_evaluation(connection, evaluation.evaluation_id)

    def get_evaluation(self, evaluation_id: str) -> Evaluation:
        with self._database.reading() as connection:
            return judgements.get_evaluation(connection, evaluation_id)

    def list_evaluations(self, run_id: str) -> Sequence[Evaluation]:
        with self._database.reading() as connection:
            return judgements.list_evaluations(connection, run_id)

    @retried
    def record_decision(self, decision: GateDecision, event: NewEvent, end: StepEnd) -> GateDecision:
        with self._database.writing() as connection:
            steps.end(connection, end)
            if judgements.add_decision(connection, decision):
                ledger.append(connection, event)
            return judgements.get_decision(connection, decision.decision_id)

    def get_decision(self, decision_id: str) -> GateDecision:
        with self._database.reading() as connection:
            return judgements.get_decision(connection, decision_id)

    def list_decisions(self, run_id: str) -> Sequence[GateDecision]:
        with self._database.reading() as connection:
            return judgements.list_decisions(connection, run_id)

    # ---------------------------------------------------------------------------------------------- registry

    def find_authorization(self, decision_id: str) -> Authorization | None:
        with self._database.reading() as connection:
            return judgements.find_authorization(connection, decision_id)

    @retried
    def record_version(
        self, model: str, logged: LoggedModel, authorization: Authorization, event: NewEvent, end: StepEnd
    ) -> ModelVersion:
        with self._database.writing() as connection:
            version, made = registry.add_version(connection, model, logged, authorization)
            steps.end(connection, replace(end, result=version.ref))
            if made:
                after = {"version": version.version, "payload_digest": version.payload_digest}
                ledger.append(connection, replace(event, after=after))
            return version

    def find_version(self, model: str, version: int | None) -> ModelVersion | None:
        with self._database.reading() as connection:
            return registry.find_version(connection, model, version)

    def list_versions(self, model: str) -> Sequence[ModelVersion]:
        with self._database.reading() as connection:
            return registry.list_versions(connection, model)

    def list_models(self) -> Sequence[RegisteredModel]:
        with self._database.reading() as connection:
            return registry.list_models(connection)

    def find_alias(self, model: str, alias: str) -> Alias | None:
        with self._database.reading() as connection:
            return registry.find_alias(connection, model, alias)

    @retried
    def move_alias(
        self,
        version: ModelVersion,
        alias: str,
        authorization: Authorization,
        expected_generation: int,
        event: NewEvent,
        end: StepEnd,
    ) -> AliasMove:
        with self._database.writing() as connection:
            move, made = registry.move_alias(connection, version, alias, authorization, expected_generation)
            steps.end(connection, replace(end, result=move.ref))
            if made:
                ledger.append(connection, moved(event, move))
            return move

    @retried
    def record_rollback(
        self,
        version: ModelVersion,
        alias: str,
        authorization: Authorization,
        expected_generation: int,
        event: NewEvent,
    ) -> AliasMove:
        with self._database.writing() as connection:
            move, made = registry.roll_back(connection, version, alias, authorization, expected_generation)
            if made:
                ledger.append(connection, moved(event, move))
            return move

    def list_alias_moves(self, model: str) -> Sequence[AliasMove]:
        with self._database.reading() as connection:
            return registry.list_moves(connection, model)

    # ------------------------------------------------------------------------------------------------ ledger

    def read_ledger(self, chain: ChainId | None = None) -> Iterator[AuditEvent]:
        with self._database.reading() as connection:
            yield from ledger.read(connection, chain)

    def list_chain_heads(self) -> Sequence[ChainHead]:
        with self._database.reading() as connection:
            return ledger.heads(connection)

    def close(self) -> None:
        self._database.close()
