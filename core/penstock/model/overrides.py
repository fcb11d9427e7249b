"""What a person allows against or beside the gate, and the version a drifting champion is held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from penstock.errors import NotAuthorized


@dataclass(frozen=True)
class Override:
    """One registration and one move of each alias it names, of exactly one payload, allowed by a person for a time.

    `aliases` maps each alias to its generation when the override was given: a move since then comes before it.
    `version` and `moved` say what has been done under it.
    """

    override_id: str
    model: str
    payload_digest: str
    aliases: Mapping[str, int]
    reason: str
    actor: Mapping[str, Any]
    expires_s: float
    run_id: str = ""
    version: int | None = None
    moved: tuple[str, ...] = ()
    created_at: datetime | None = None
    expires_at: datetime | None = None

    @property
    def ref(self) -> dict[str, Any]:
        """A small JSON reference, to hand from step to step."""
        return {"override_id": self.override_id, "model": self.model, "payload_digest": self.payload_digest}

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON without what the store keeps: the times, and what was done under it."""
        kept = {"version", "moved", "created_at", "expires_at"}
        given = {name: value for name, value in self.__dict__.items() if name not in kept}
        return {**given, "aliases": dict(self.aliases), "actor": dict(self.actor)}

    @classmethod
    def from_json(
        cls,
        data: Mapping[str, Any],
        version: int | None,
        moved: tuple[str, ...],
        created_at: datetime,
        expires_at: datetime,
    ) -> Override:
        """Inverse of `to_json`, with what the store keeps."""
        return cls(**data, version=version, moved=moved, created_at=created_at, expires_at=expires_at)

    def expired(self, now_ms: int) -> bool:
        """Whether its time has run out."""
        return self.expires_at is not None and now_ms >= round(self.expires_at.timestamp() * 1000)

    def check_covers(self, change: str, model: str, payload_digest: str, alias: str | None, now_ms: int) -> None:
        """`NotAuthorized` unless the override covers this registration (`alias` None) or move, now."""
        again = "Give another: penstock gate override"
        if self.expired(now_ms):
            when = "" if self.expires_at is None else f" on {self.expires_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
            raise NotAuthorized(change, f"the override expired{when}", again)
        if self.model != model:
            raise NotAuthorized(change, f"the override was given for model {self.model!r}")
        if self.payload_digest != payload_digest:
            raise NotAuthorized(change, "the override was given for another artifact", again)
        if alias is not None and alias not in self.aliases:
            named = ", ".join(self.aliases) or "none"
            raise NotAuthorized(change, f"the override does not name alias {alias!r} (it names: {named})", again)


@dataclass(frozen=True)
class Anchor:
    """The version that a repeated "no worse than" must hold against too, so that small losses cannot add up.

    `sequence` counts a model's anchors. `decision_id` names the decision that showed the version to be better than the
    anchor before; None where a person set it.
    """

    model: str
    sequence: int
    version: int
    payload_digest: str
    reason: str
    actor: Mapping[str, Any]
    decision_id: str | None = None
    set_at: datetime | None = None
