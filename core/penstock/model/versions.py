"""Logged models, registered versions, aliases, and what authorizes their changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from penstock.errors import NotAuthorized
from penstock.model.audit import NewEvent
from penstock.model.canonical import digest
from penstock.model.uris import RunModelUri, VersionUri


@dataclass(frozen=True)
class FileEntry:
    """One file of a manifest or of a run's artifacts: where it stands and which bytes it is."""

    path: str
    sha256: str
    size_bytes: int


def manifest_digest(files: Iterable[FileEntry]) -> str:
    """Digest of a set of files as stored: their integrity, whatever order they are listed in."""
    return digest(sorted([f.path, f.sha256, f.size_bytes] for f in files))


@dataclass(frozen=True)
class LoggedModel:
    """A model saved in a run, sealed: its files never change.

    `payload_digest` is its identity (content without run id, model id and times), `manifest_digest` the integrity
    of its files as stored.
    """

    model_id: str
    run_id: str
    name: str
    payload_digest: str
    manifest_digest: str
    flavor: str
    size_bytes: int
    files: tuple[FileEntry, ...] = field(repr=False, default=())
    facts: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime | None = None
    deleted: bool = False

    @property
    def uri(self) -> str:
        """`runs:/<run id>/<name>`, as people know it."""
        return str(RunModelUri(self.run_id, self.name))

    @property
    def ref(self) -> dict[str, Any]:
        """A small JSON reference, to hand from step to step."""
        return {"model": self.uri, "model_id": self.model_id, "run_id": self.run_id}


class AuthorizationKind(StrEnum):
    """Why a change was allowed."""

    DECISION = "decision"
    OVERRIDE = "override"
    UNGATED = "ungated"
    ROLLBACK = "rollback"
    IMPORT = "import"


@dataclass(frozen=True)
class Authorization:
    """What allows one registration and one move of each alias it names. Every version and move refers to one."""

    authorization_id: str
    kind: AuthorizationKind
    model: str
    decision_id: str | None = None
    reason: str = ""
    actor: Mapping[str, Any] = field(default_factory=dict)


class VersionState(StrEnum):
    """Whether a version may be used: archived ones are out of use, deleted ones are not found by anybody."""

    ACTIVE = "active"
    ARCHIVED = "archived"
    DELETED = "deleted"


@dataclass(frozen=True)
class ModelVersion:
    """A registered version: numbered, never reused, immutable but for its `state`."""

    model: str
    version: int
    model_id: str
    run_id: str
    payload_digest: str
    authorization: Authorization
    created_at: datetime | None = None
    state: VersionState = VersionState.ACTIVE

    @property
    def uri(self) -> str:
        """`models:/<name>/<version>`."""
        return str(VersionUri(self.model, self.version))

    @property
    def ref(self) -> dict[str, Any]:
        """A small JSON reference, to hand from step to step."""
        return {
            "model": self.model,
            "version": self.version,
            "payload_digest": self.payload_digest,
            "run_id": self.run_id,
        }


@dataclass(frozen=True)
class Alias:
    """A name that points to a version; `generation` counts its moves, so that a late mover can be told."""

    model: str
    alias: str
    version: int
    generation: int
    moved_at: datetime | None = None


@dataclass(frozen=True)
class AliasMove:
    """One move of an alias, as it happened. `actor` made the move; who allowed it is in `authorization`."""

    model: str
    alias: str
    from_version: int | None
    to_version: int
    generation: int
    authorization: Authorization
    moved_at: datetime | None = None
    actor: Mapping[str, Any] = field(default_factory=dict)

    @property
    def moved_by(self) -> Mapping[str, Any]:
        """Who made the move; of moves older than that record, who made the decision."""
        return self.actor or self.authorization.actor

    def check_went_to(self, version: ModelVersion) -> None:
        """`NotAuthorized` for another version: what authorized this move allows no second one."""
        if version.version != self.to_version:
            used = f"the {self.authorization.kind.value} has been used to move it to version {self.to_version}"
            hint = f"Evaluate and decide on version {version.version}, and promote it under that decision"
            raise NotAuthorized(f"moving {self.model}@{self.alias}", used, hint)

    @property
    def ref(self) -> dict[str, Any]:
        """A small JSON reference, to hand from step to step."""
        return {
            "model": self.model,
            "alias": self.alias,
            "version": self.to_version,
            "from_version": self.from_version,
            "generation": self.generation,
        }


def moved(event: NewEvent, move: AliasMove) -> NewEvent:
    """Return the ledger entry of a move, completed with where the alias stood before and after."""
    before = {"version": move.from_version, "generation": move.generation - 1}
    return replace(event, before=before, after={"version": move.to_version, "generation": move.generation})


@dataclass(frozen=True)
class RegisteredModel:
    """A name under which versions are registered, with where its aliases point."""

    name: str
    latest_version: int
    aliases: Mapping[str, int]
    created_at: datetime
