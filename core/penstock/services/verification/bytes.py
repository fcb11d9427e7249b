"""Reading every stored byte that a record refers to, and computing each version's payload again from its files."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from penstock.errors import Corrupted
from penstock.model.versions import ModelVersion, VersionState
from penstock.services.fetching import fetch_files
from penstock.services.reachability import referred
from penstock.services.verification.finding import Finding
from penstock.services.wiring import Wiring


def read_bytes(wiring: Wiring) -> Iterator[Finding]:
    """Yield what of the bytes is not as it was written: the versions' first, then all others, each once.

    Of deleted versions the payload is not computed again: nobody loads them.
    """
    with closing(_Read()) as read:
        seen: set[str] = set()
        for model in wiring.store.list_models():
            for version in wiring.store.list_versions(model.name):
                if version.state is not VersionState.DELETED and version.model_id not in seen:
                    seen.add(version.model_id)
                    yield from _payload(wiring, version, read)
        yield from _others(wiring, read)


class _Read:
    """The blobs that have been read, kept in a scratch file that goes with this: there may be many."""

    def __init__(self) -> None:
        self._scratch = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._scratch.execute("PRAGMA journal_mode = OFF")
        self._scratch.execute("CREATE TABLE blobs (sha256 TEXT PRIMARY KEY) WITHOUT ROWID")

    def add(self, sha256: str) -> None:
        self._scratch.execute("INSERT OR IGNORE INTO blobs VALUES (?)", (sha256,))

    def __contains__(self, sha256: str) -> bool:
        return self._scratch.execute("SELECT 1 FROM blobs WHERE sha256 = ?", (sha256,)).fetchone() is not None

    def close(self) -> None:
        self._scratch.close()


def _payload(wiring: Wiring, version: ModelVersion, read: _Read) -> Iterator[Finding]:
    with tempfile.TemporaryDirectory(prefix="penstock-") as scratch:
        damaged = False
        for file in wiring.store.get_model(version.model_id).files:
            read.add(file.sha256)
            try:
                fetch_files(wiring.artifacts.origin, [file], Path(scratch))
            except Corrupted as error:
                damaged = True
                yield Finding("bytes", f"{version.uri} {file.path}", str(error))
        found = "" if damaged else wiring.model_format().payload_digest(Path(scratch))
    if not damaged and found != version.payload_digest:
        yield Finding("payload", version.uri, f"its files' payload is {found}, but {version.payload_digest} was judged")


def _others(wiring: Wiring, read: _Read) -> Iterator[Finding]:
    with tempfile.TemporaryDirectory(prefix="penstock-") as scratch:
        for sha256 in referred(wiring.store):
            if sha256 in read:
                continue
            try:
                wiring.artifacts.origin.fetch(sha256, Path(scratch) / "read")
            except Corrupted as error:
                if subject := wiring.store.find_referrer(sha256):  # else it was let go of meanwhile
                    yield Finding("bytes", subject, str(error))
