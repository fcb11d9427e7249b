"""Retention and bytes about to be deleted, in this process's memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.model.retention import Candidate, Contents, RetentionPolicy
from penstock.ports.artifact_store import StoredObject
from penstock.stores.memory import retention
from penstock.stores.memory.records.base import InMemory
from penstock.stores.memory.state import CondemnedBlob


class MemoryRetentionRecords(InMemory):
    """Implements `penstock.ports.RetentionRecords`, where its methods are documented."""

    def set_retention(self, policy: RetentionPolicy) -> RetentionPolicy:
        with self._changing() as (state, now):
            return retention.set_policy(state, policy, now)

    def remove_retention(self, experiment: str, model: str, actor: Mapping[str, Any]) -> None:
        with self._changing() as (state, now):
            retention.remove_policy(state, experiment, model, actor, now)

    def list_retention(self) -> Sequence[RetentionPolicy]:
        return [policy for _, policy in sorted(self._state.retention.items())]

    def list_candidates(self, experiment: str | None, model: str | None) -> Sequence[Candidate]:
        return list(retention.candidates(self._state, experiment, model))

    def count_contents(self, candidate: Candidate) -> Contents:
        return retention.contents(self._state, candidate)

    def list_contents(self, candidate: Candidate) -> Sequence[tuple[str, int]]:
        return [(file.sha256, file.size_bytes) for file in retention.files_of(self._state, candidate)]

    def count_references(self, sha256s: Sequence[str]) -> Mapping[str, int]:
        found = retention.references(self._state)
        return {sha256: found[sha256] for sha256 in sha256s if sha256 in found}

    def purge(self, candidate: Candidate, why: str, actor: Mapping[str, Any]) -> Contents | None:
        with self._changing() as (state, now):
            return retention.purge(state, candidate, why, actor, now)

    def claim_collection(self, token: str, lease_s: float) -> bool:
        with self._changing() as (state, now):
            claim, until_ms = state.collector
            if claim not in {"", token} and until_ms >= now:
                return False
            state.collector = (token, now + int(lease_s * 1000))
            return True

    def release_collection(self, token: str) -> None:
        with self._changing() as (state, _):
            if state.collector[0] == token:
                state.collector = ("", 0)

    def condemn_blobs(self, objects: Sequence[StoredObject]) -> None:
        with self._changing() as (state, now):
            for one in objects:
                state.condemned.setdefault(one.sha256, CondemnedBlob(one.size_bytes, "condemned", now))

    def list_condemned(self, state: str, limit: int) -> Sequence[tuple[str, int]]:
        found = [
            (blob.at_ms, sha, blob.size_bytes) for sha, blob in self._state.condemned.items() if blob.state == state
        ]
        return [(sha256, size) for _, sha256, size in sorted(found)][:limit]

    def begin_sweep(self, sha256s: Sequence[str], sweep: str) -> Sequence[str]:
        with self._changing() as (state, now):
            referred, taken = retention.references(state), []
            for sha256 in sorted(set(sha256s)):
                blob = state.condemned.get(sha256)
                if blob is None or blob.state != "condemned":
                    continue
                if sha256 in referred:
                    del state.condemned[sha256]
                    continue
                state.condemned[sha256] = CondemnedBlob(blob.size_bytes, "sweeping", now, sweep)
                taken.append(sha256)
            return taken

    def end_sweep(self, sha256s: Sequence[str], sweep: str) -> None:
        with self._changing() as (state, now):
            for sha256 in sha256s:
                blob = state.condemned.get(sha256)
                if blob is not None and blob.state == "sweeping":
                    state.condemned[sha256] = CondemnedBlob(blob.size_bytes, "swept", now, sweep)

    def forget_swept(self, older_than_s: float) -> int:
        with self._changing() as (state, now):
            limit = now - int(older_than_s * 1000)
            done = [sha for sha, blob in state.condemned.items() if blob.state == "swept" and blob.at_ms <= limit]
            for sha256 in done:
                del state.condemned[sha256]
            return len(done)
