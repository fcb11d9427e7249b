"""The ledger's entries: who, what, on which, before, after, why, chained by hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from penstock.errors import InvalidValue
from penstock.model.canonical import canonical_json

GENESIS = "0" * 64


@dataclass(frozen=True)
class Actor:
    """Who did something. In library mode an actor is *asserted*: nobody has checked it, and the record says so."""

    kind: str
    subject: str
    issuer: str = "library"
    authenticated: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return dict(self.__dict__)

    def __str__(self) -> str:
        return self.subject if self.authenticated else f"{self.subject} (asserted)"


@dataclass(frozen=True)
class ChainId:
    """A chain of the ledger: there is one per experiment and one per registered model."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


def experiment_chain(name: str) -> ChainId:
    """Return the chain of an experiment: its runs and evaluations."""
    return ChainId("experiment", name)


def model_chain(name: str) -> ChainId:
    """Return the chain of a registered model: its decisions, versions and alias moves."""
    return ChainId("model", name)


@dataclass(frozen=True)
class ChainHead:
    """Where a chain ends: its last entry's number and hash. Kept elsewhere, it is an anchor against a cut tail."""

    chain: ChainId
    sequence: int
    hash: str


@dataclass(frozen=True)
class NewEvent:
    """An entry before the store has given it its place in its chain."""

    chain: ChainId
    kind: str
    subject: Mapping[str, Any]
    actor: Mapping[str, Any]
    why: str = ""
    before: Any = None
    after: Any = None


@dataclass(frozen=True)
class AuditEvent:
    """An entry of the ledger. `hash` covers everything else, including the hash of the entry before."""

    chain: ChainId
    sequence: int
    kind: str
    subject: Mapping[str, Any]
    actor: Mapping[str, Any]
    why: str
    before: Any
    after: Any
    time: datetime
    previous_hash: str = field(repr=False)
    hash: str = field(repr=False)


def event_hash(event: NewEvent, sequence: int, time_ms: int, previous_hash: str) -> str:
    """SHA-256 over the canonical JSON of an entry and the hash of the entry before it in its chain."""
    body = canonical_json(
        {
            "chain": str(event.chain),
            "sequence": sequence,
            "kind": event.kind,
            "subject": event.subject,
            "actor": event.actor,
            "why": event.why,
            "before": event.before,
            "after": event.after,
            "time_ms": time_ms,
            "previous": previous_hash,
        }
    )
    return hashlib.sha256(body.encode()).hexdigest()


def flaw_in(entry: AuditEvent, sequence: int, previous_hash: str) -> str:
    """Say what is wrong with an entry that should stand at `sequence` after `previous_hash`; empty if nothing is."""
    if entry.sequence != sequence:
        return f"stands where entry {sequence} should be: entries are missing"
    if entry.previous_hash != previous_hash:
        return f"does not follow the entry before it: it names {entry.previous_hash}, not {previous_hash}"
    content = NewEvent(entry.chain, entry.kind, entry.subject, entry.actor, entry.why, entry.before, entry.after)
    try:
        found = event_hash(content, entry.sequence, round(entry.time.timestamp() * 1000), previous_hash)
    except InvalidValue as error:
        return f"has been changed: {error}"
    if found != entry.hash:
        return f"has been changed: its content's hash is {found}, but it was written as {entry.hash}"
    return ""
