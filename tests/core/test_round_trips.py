"""What is sent to a database at once: reads that are one statement, and writes whose answers nobody asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import sqlalchemy as sa

from penstock.errors import Busy, NotFound
from penstock.stores.sql import tables as t
from penstock.stores.sql.dialects import open_database, unasked
from penstock.stores.sql.store import SqlStore
from penstock.stores.sql.urls import parse_store_url
from tests.contracts import samples

MODEL = {"workspace": "default", "name": "a", "last_version": 0, "created_ms": 1}


@pytest.fixture
def statements() -> Iterator[Counter[int]]:
    """How many statements there were, by the connection's block that they ran in without a transaction of its own."""
    counted: Counter[int] = Counter()
    blocks: list[Any] = []

    def count(connection: sa.Connection, *_: Any) -> None:
        options: Any = connection.get_execution_options()
        if options.get("isolation_level") == "AUTOCOMMIT" or options.get("penstock_begin", "BEGIN") is None:
            blocks.append(connection)  # kept, so that no other gets its id
            counted[id(connection)] += 1

    sa.event.listen(sa.Engine, "before_cursor_execute", count)
    yield counted
    sa.event.remove(sa.Engine, "before_cursor_execute", count)


def test_what_runs_without_a_transaction_is_one_statement(empty_url: str, statements: Counter[int]) -> None:
    with closing(SqlStore(empty_url)) as store:
        judged, version, _ = samples.released(store, "a")
        statements.clear()
        store.get_evaluation(judged.evaluation.evaluation_id)
        store.list_evaluations(judged.model.run_id)
        store.get_decision(judged.decision.decision_id)
        store.list_decisions(judged.model.run_id)
        store.find_authorization(judged.decision.decision_id)
        store.get_model(judged.model.model_id)
        store.find_model(judged.model.run_id, judged.model.name)
        store.get_run(judged.model.run_id)
        store.find_version(samples.MODEL, 1)
        store.find_version(samples.MODEL, None)
        store.list_versions(samples.MODEL)
        store.find_alias(samples.MODEL, samples.ALIAS)
        store.find_aliased(samples.MODEL, samples.ALIAS)
        store.list_alias_moves(samples.MODEL)
        store.find_move_at(samples.MODEL, samples.ALIAS, 2**40)
        store.list_load_checks(samples.MODEL, version.version)
        store.list_last_load_checks(samples.MODEL)
        store.find_decisions([judged.decision.decision_id])
    assert list(statements.values()) == [1] * 18


def test_what_nobody_asks_about_is_there_and_is_refused_as_it_is_alone(empty_url: str) -> None:
    add = unasked(sa.insert(t.registered_models))
    with closing(SqlStore(empty_url)):
        database = open_database(parse_store_url(empty_url))
        with database.writing() as connection:
            connection.execute(add, MODEL)
            connection.execute(add, {**MODEL, "name": "b"})
            assert _names(connection) == ["a", "b"]
            connection.execute(add, {**MODEL, "name": "c"})
            renamed = connection.execute(
                sa.update(t.registered_models).where(t.registered_models.c.name == "b").values(name="d")
            )
            assert renamed.rowcount == 1
        with database.writing() as connection:
            connection.execute(add, {**MODEL, "name": "e"})
        run = {"run_id": "0" * 32, "step": "s", "map_index": -1, "attempt": 1, "visible_from": 1, "generation": 1}
        for refused in ((add, MODEL), (unasked(sa.insert(t.steps)), run)):
            for asks in (True, False):
                with pytest.raises((Busy, NotFound, sa.exc.IntegrityError)):  # noqa: SIM117
                    with database.writing() as connection:
                        connection.execute(add, {**MODEL, "name": "f"})
                        connection.execute(*refused)
                        connection.execute(add, {**MODEL, "name": "g"})
                        if asks:
                            _names(connection)
        with pytest.raises(ZeroDivisionError):  # noqa: SIM117
            with database.writing() as connection:
                connection.execute(add, {**MODEL, "name": "h"})
                raise ZeroDivisionError
        with database.writing(one_statement=True) as connection:
            connection.execute(add, {**MODEL, "name": "i"})
        with database.reading() as connection:
            assert _names(connection) == ["a", "c", "d", "e", "i"]
        database.close()


def _names(connection: sa.Connection) -> list[str]:
    return sorted(connection.scalars(sa.select(t.registered_models.c.name)))
