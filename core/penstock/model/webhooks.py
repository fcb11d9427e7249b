"""Events out: who is told of the ledger's entries, what is sent, and what became of each delivery.

The ledger itself is the outbox: an entry is written in the transaction of the change it records, so that no event is
lost around a commit, and an entry's hash is its event's id, so that what arrives twice can be told.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from penstock.errors import InvalidValue
from penstock.model.audit import AuditEvent, ChainId

# What a chain's events wait after each failed try: half a minute, doubled up to six hours, about two days in all.
FIRST_WAIT_S = 30.0
LONGEST_WAIT_S = 6 * 3600.0
MOST_TRIES = 16

_EXPECTED = "https://host/path, without a user, a password, a fragment or control characters"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,99}")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,99}")
_KIND = re.compile(r"[a-z][a-z_]{0,39}")
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_\-]{0,61}[A-Za-z0-9_])?"  # between two dots, RFC 1035; and what is used beside it
_HOST = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*")


@dataclass(frozen=True)
class Target:
    """Where a webhook's events go, parsed once."""

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, url: object) -> Target:
        """Return the parts of `url`; `InvalidValue` for anything but a plain http(s) URL."""
        text = url if isinstance(url, str) else ""
        if not text or len(text) > 2000 or not text.isascii() or re.search(r"[\x00-\x20\x7f\\]", text):
            raise InvalidValue("webhook target", url, _EXPECTED)
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise InvalidValue("webhook target", "a URL that cannot be parsed", _EXPECTED) from error
        if parts.username is not None or parts.password is not None:
            raise InvalidValue("webhook target", f"{parts.scheme}://…@{parts.hostname}", _EXPECTED)
        host = parts.hostname or ""
        if parts.scheme not in {"http", "https"} or parts.fragment or not (_HOST.fullmatch(host) or _is_address(host)):
            raise InvalidValue("webhook target", url, _EXPECTED)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(parts.scheme, host, port or (443 if parts.scheme == "https" else 80), path)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = {"https": 443, "http": 80}[self.scheme]
        return f"{self.scheme}://{host}{'' if self.port == default else f':{self.port}'}{self.path}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Webhook:
    """Somebody who is told of events: of these `kinds`, on these models' and experiments' chains; empty means all.

    `secret_variable` names the environment variable that holds the key its requests are signed with, in the process
    that delivers: the store never knows the key.
    """

    name: str
    target: str
    secret_variable: str
    kinds: tuple[str, ...] = ()
    chains: tuple[str, ...] = ()
    created_by: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidValue("webhook name", self.name, "letters, digits, '_', '.', '-', at most 100 characters")
        if self.created_at is None:  # what is on record must stay readable, to be removed: it is parsed when it is used
            object.__setattr__(self, "target", str(Target.parse(self.target)))
        if not _VARIABLE.fullmatch(self.secret_variable):
            hint = "The key itself stays in the environment of the process that delivers"
            raise InvalidValue(
                "webhook secret", "something else", "the NAME_OF_AN_ENVIRONMENT_VARIABLE in capitals", hint
            )
        for kind in self.kinds:
            if not _KIND.fullmatch(kind):
                raise InvalidValue("event kind", kind, "a kind such as alias_moved")
        for chain in self.chains:
            if chain.partition(":")[0] not in {"model", "experiment"} or not chain.partition(":")[2]:
                raise InvalidValue("event chain", chain, "model:<name> or experiment:<name>")

    def wants(self, entry: AuditEvent) -> bool:
        """Whether this entry is to be sent."""
        return (not self.kinds or entry.kind in self.kinds) and (not self.chains or str(entry.chain) in self.chains)


class DeliveryState(StrEnum):
    """What became of one try."""

    DELIVERED = "delivered"
    FAILED = "failed"  # it will be tried again
    ABANDONED = "abandoned"  # it was tried often enough


@dataclass(frozen=True)
class Delivery:
    """One try to deliver one event. `status` is the answer's HTTP status, None where there was no answer."""

    webhook: str
    event_id: str
    chain: ChainId
    sequence: int
    number: int
    state: DeliveryState
    status: int | None = None
    error: str = ""
    duration_ms: int = 0
    at: datetime | None = None


@dataclass(frozen=True)
class Answer:
    """What came back: an HTTP status, or why there was none."""

    status: int | None
    error: str = ""

    @property
    def accepted(self) -> bool:
        """Whether the receiver took the event: any 2xx. A redirect is not followed, and not taken for a yes."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True)
class Due:
    """A chain with entries that a webhook has not been told of: those after `sequence`, after `failures` tries."""

    chain: ChainId
    sequence: int
    failures: int


def event_json(entry: AuditEvent) -> dict[str, Any]:
    """Return an entry as it is sent and listed: plain JSON, whose `id` is the same however often it is sent."""
    return {
        "id": entry.hash,
        "type": entry.kind,
        "time": entry.time.isoformat(),
        "chain": str(entry.chain),
        "sequence": entry.sequence,
        "subject": dict(entry.subject),
        "actor": dict(entry.actor),
        "why": entry.why,
        "before": entry.before,
        "after": entry.after,
    }


def wait_s(failures: int) -> float:
    """Return how long a chain's events wait after so many failed tries in a row."""
    return min(FIRST_WAIT_S * 2.0 ** min(failures - 1, 60), LONGEST_WAIT_S)


def state_after(answer: Answer, number: int) -> DeliveryState:
    """Return what becomes of an event after this answer to try `number`."""
    if answer.accepted:
        return DeliveryState.DELIVERED
    return DeliveryState.ABANDONED if number >= MOST_TRIES else DeliveryState.FAILED
