"""Retention and bytes about to be deleted, in a SQL database, each method one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.model.retention import Candidate, Contents, RetentionPolicy
from penstock.ports.artifact_store import StoredObject
from penstock.stores.sql import blobs, retention
from penstock.stores.sql.database import retried
from penstock.stores.sql.records.base import OnDatabase


class SqlRetentionRecords(OnDatabase):
    """Implements `penstock.ports.RetentionRecords`, where its methods are documented."""

    @retried
    def set_retention(self, policy: RetentionPolicy) -> RetentionPolicy:
        with self._database.writing() as connection:
            return retention.set_policy(connection, policy)

    @retried
    def remove_retention(self, experiment: str, model: str, actor: Mapping[str, Any]) -> None:
        with self._database.writing() as connection:
            retention.remove_policy(connection, experiment, model, actor)

    def list_retention(self) -> Sequence[RetentionPolicy]:
        with self._database.reading() as connection:
            return retention.policies(connection)

    def list_candidates(self, experiment: str | None, model: str | None) -> Sequence[Candidate]:
        with self._database.reading() as connection:
            return retention.candidates(connection, experiment, model)

    def count_contents(self, candidate: Candidate) -> Contents:
        with self._database.reading() as connection:
            return retention.contents(connection, candidate)

    def list_contents(self, candidate: Candidate) -> Sequence[tuple[str, int]]:
        with self._database.reading() as connection:
            return retention.files_of(connection, candidate)

    def count_references(self, sha256s: Sequence[str]) -> Mapping[str, int]:
        with self._database.reading() as connection:
            return blobs.references(connection, sha256s)

    @retried
    def purge(self, candidate: Candidate, why: str, actor: Mapping[str, Any]) -> Contents | None:
        with self._database.writing() as connection:
            return retention.purge(connection, candidate, why, actor)

    @retried
    def claim_collection(self, token: str, lease_s: float) -> bool:
        with self._database.writing() as connection:
            return blobs.claim(connection, token, lease_s)

    @retried
    def release_collection(self, token: str) -> None:
        with self._database.writing() as connection:
            blobs.release(connection, token)

    @retried
    def condemn_blobs(self, objects: Sequence[StoredObject]) -> None:
        with self._database.writing() as connection:
            blobs.condemn(connection, objects)

    def list_condemned(self, state: str, limit: int) -> Sequence[tuple[str, int]]:
        with self._database.reading() as connection:
            return blobs.in_state(connection, state, limit)

    @retried
    def begin_sweep(self, sha256s: Sequence[str], sweep: str) -> Sequence[str]:
        with self._database.writing() as connection:
            return blobs.begin_sweep(connection, sha256s, sweep)

    @retried
    def end_sweep(self, sha256s: Sequence[str], sweep: str) -> None:
        with self._database.writing() as connection:
            blobs.end_sweep(connection, sha256s, sweep)

    @retried
    def forget_swept(self, older_than_s: float) -> int:
        with self._database.writing() as connection:
            return blobs.forget(connection, older_than_s)
