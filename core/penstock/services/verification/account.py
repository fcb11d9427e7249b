"""What the ledger says beside what is stored, compared in little memory however much of both there is."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import groupby
from types import TracebackType

from penstock.model.canonical import canonical_json
from penstock.model.statements import Statement
from penstock.services.verification.finding import Finding

_TOLD, _STORED = 0, 1
_NOTHING = canonical_json(None)
_AT_ONCE = 1000
_MEMORY_KIB = 16 * 1024
_TABLE = "CREATE TABLE statements (side INTEGER, kind TEXT, what TEXT, key TEXT, said TEXT)"
_ADD = "INSERT INTO statements VALUES (?, ?, ?, ?, ?)"
# rowid: of two statements about the same, the later one comes last.
_SORTED = "SELECT kind, what, key, side, said FROM statements ORDER BY kind, what, key, side, rowid"


class Account:
    """Two columns of statements: told by the ledger, and stored. They are kept in a scratch file, which goes with this.

    The file is SQLite's own unnamed temporary database: it is there to be sorted, nobody else can open it.
    """

    def __init__(self) -> None:
        self._scratch = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._scratch.execute("PRAGMA journal_mode = OFF")
        self._scratch.execute(f"PRAGMA cache_size = -{_MEMORY_KIB}")
        self._scratch.execute(_TABLE)
        self._waiting: list[tuple[int, str, str, str, str]] = []

    def __enter__(self) -> Account:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._scratch.close()

    def tell(self, statements: Iterable[Statement]) -> None:
        """Take in what the ledger says, in its order."""
        self._add(_TOLD, statements)

    def store(self, statements: Iterable[Statement]) -> None:
        """Take in what is stored."""
        self._add(_STORED, statements)

    def _add(self, side: int, statements: Iterable[Statement]) -> None:
        for kind, what, key, said in statements:
            self._waiting.append((side, kind, what, canonical_json(key), canonical_json(said)))
            if len(self._waiting) >= _AT_ONCE:
                self._flush()

    def _flush(self) -> None:
        self._scratch.execute("BEGIN")
        self._scratch.executemany(_ADD, self._waiting)
        self._scratch.execute("COMMIT")
        self._waiting.clear()

    def differences(self) -> Iterator[Finding]:
        """Yield where the two columns differ, by kind and key."""
        self._flush()
        with closing(self._scratch.execute(_SORTED)) as rows:
            for (kind, what, key), statements in groupby(rows, key=lambda row: row[:3]):
                last = {side: said for *_, side, said in statements}
                last = {side: said for side, said in last.items() if said != _NOTHING}
                if last.get(_TOLD) == last.get(_STORED):
                    continue
                if _TOLD not in last:
                    yield Finding(kind, _shown(key), "it is stored, but the ledger does not know it")
                elif _STORED not in last:
                    yield Finding(kind, _shown(key), "the ledger knows it, but it is not stored")
                else:
                    problem = f"its {what} is {_shown(last[_STORED])}, but the ledger says {_shown(last[_TOLD])}"
                    yield Finding(kind, _shown(key), problem)


def _shown(text: str) -> str:
    value = json.loads(text)
    if isinstance(value, list):
        return " ".join(str(part) for part in value)
    return value if isinstance(value, str) else text
