"""A process that opens a store again and again: nothing is compiled twice, and nobody's connections are another's."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine.interfaces import CacheStats

import penstock
from penstock.errors import PenstockError
from penstock.stores.sql.database import KNOWN, Database


@contextmanager
def compiled() -> Iterator[list[str]]:
    """Collect the statements that are compiled meanwhile."""
    found: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool) -> None:
        if context.compiled is not None and context.cache_hit is not CacheStats.CACHE_HIT:
            found.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


def work(url: str, key: str) -> None:
    with penstock.connect(url, "artifacts") as client, client.open_run("tests/again", key) as run:
        run.log_metrics({"m": 1.0})
        client.get_run(run)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("store_url" if request.param == "sqlite" else "postgres_url"))


def test_what_was_compiled_once_is_not_compiled_again(url: str) -> None:
    with compiled() as first:
        work(url, "a")
    work(url, "b")  # the first that has found a schema
    with compiled() as third:
        work(url, "c")
    assert first
    assert third == []


def test_the_databases_that_were_closed_last_are_remembered(tmp_path: Path) -> None:
    urls = [f"sqlite:///{tmp_path / str(number)}.db" for number in range(KNOWN + 2)]
    for url in (*urls, *urls):
        with penstock.connect(url) as client:
            client.list_runs()
    with compiled() as again:
        for url in urls[2:]:
            with penstock.connect(url) as client:
                client.list_runs()
    assert again == []
    assert len(Database._closed) == KNOWN


def test_a_store_that_does_not_open_holds_no_file(tmp_path: Path) -> None:
    file = tmp_path / "penstock.db"
    penstock.connect(f"sqlite:///{file}").close()
    with sqlite3.connect(file) as database:
        database.execute("UPDATE penstock_schema SET version_num = '9999'")
    database.close()
    with pytest.raises(PenstockError) as refused:
        penstock.connect(f"sqlite:///{file}")
    held = [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
    assert not [name for name in held if name.startswith(str(file))], refused.value


def test_a_store_that_is_closed_takes_nothing_from_another_of_the_same_url(url: str) -> None:
    work(url, "a")
    with penstock.connect(url, "artifacts") as one:
        with penstock.connect(url, "artifacts") as other:
            other.open_run("tests/again", "b")
            pools = [client.wiring.store._database.engine().pool for client in (one, other)]  # type: ignore[attr-defined]
            assert pools[0] is not pools[1]
        one.open_run("tests/again", "c")
        assert {run.key.partition for run in one.list_runs("tests/again")} == {"a", "b", "c"}
