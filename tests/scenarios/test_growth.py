"""Cost stays flat as a store grows: every statement of the calls that pipelines make reaches its rows by an index.

The plan is asked of the database itself, for the statements as the store sends them, with their parameters.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from penstock.model.runs import LogBatch, RunStatus
from penstock.stores.sql.store import SqlStore
from tests.contracts import samples
from tests.postgres_server import PostgresServer
from tests.scenarios.growth import grow, run_id

Statement = tuple[str, Any]

# What grows with the number of runs, and may never be read from one end to the other. The ledger of a chain is.
LARGE = {"runs", "steps", "attempts", "metrics", "params", "tags", "inputs", "step_results", "run_artifacts"}
LARGE |= {"logged_models", "model_files", "ledger"}


def _story(store: SqlStore) -> dict[str, Callable[[], Any]]:
    """The calls that pipelines, people and gates make, each with what it needs made already."""
    new = samples.new_run("new", "grown/7")
    first = samples.new_attempt(new.run_id, "open_run", {"depth": "3"})
    attempt = samples.begun(store, run_id(1234), "more")
    release = samples.released(store, "champion")
    judged = samples.judged(store, "challenger", generation=1)
    return {
        "open_run": lambda: store.open_run(replace(new, first=first, logged=LogBatch(params={"depth": "3"}))),
        "begin_attempt": lambda: samples.begun(store, run_id(77), "more"),
        "log": lambda: store.log(attempt, replace(samples.metrics(a=1.0), params={"b": "c"}, tags={"d": "e"})),
        "end_attempt": lambda: store.end_attempt(samples.done(attempt, 1)),
        "end_run": lambda: store.end_run(run_id(1000), RunStatus.FINISHED, "", samples.ACTOR),
        "get_run": lambda: store.get_run(run_id(1234)),
        "get_run_details": lambda: store.get_run_details(run_id(1234)),
        "list_runs": lambda: store.list_runs(None, 50),
        "list_runs of an experiment": lambda: store.list_runs("grown/7", 50),
        "list_metric_points": lambda: store.list_metric_points(run_id(1234), "m3"),
        "reap": lambda: store.reap(samples.ACTOR),
        "add_model": lambda: store.add_model(samples.begun(store, run_id(78)), samples.logged_model(run_id(78))),
        "find_model": lambda: store.find_model(run_id(78), "model"),
        "get_model": lambda: store.get_model(judged.model.model_id),
        "list_artifacts": lambda: store.list_artifacts(run_id(78)),
        "list_evaluations": lambda: store.list_evaluations(judged.model.run_id),
        "list_decisions": lambda: store.list_decisions(judged.model.run_id),
        "list_judged_runs": lambda: store.list_judged_runs(run_id(78), 10),
        "find_authorization": lambda: store.find_authorization(judged.decision.decision_id),
        "list_authors": lambda: store.list_authors(judged.model.run_id),
        "record_version": lambda: samples.registered(store, judged),
        "find_version": lambda: store.find_version(samples.MODEL, None),
        "list_versions": lambda: store.list_versions(samples.MODEL),
        "find_alias": lambda: store.find_alias(samples.MODEL, samples.ALIAS),
        "list_alias_moves": lambda: store.list_alias_moves(samples.MODEL),
        "read_ledger of a chain": lambda: list(store.read_ledger(samples.event("x").chain)),
        "released": lambda: release,
    }


@contextmanager
def _sent(store: SqlStore) -> Iterator[list[Statement]]:
    """Collect the statements that are sent in the block."""
    sent: list[Statement] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        sent.append((statement, parameters[0] if many else parameters))

    engine = store._database.engine()
    sa.event.listen(engine, "before_cursor_execute", note)
    yield sent
    sa.event.remove(engine, "before_cursor_execute", note)


def _plan(store: SqlStore, statement: Statement) -> list[str]:
    """Return how the database would answer a statement, in its own words, a line each."""
    text, parameters = statement
    if text.split()[0] not in {"SELECT", "WITH", "UPDATE", "DELETE", "INSERT"}:
        return []
    with store._database.engine().connect() as connection:
        explain = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
        return [row[-1] for row in connection.exec_driver_sql(f"{explain} {text}", parameters)]


def _whole_reads(store: SqlStore, statement: Statement) -> list[str]:
    """Return what the database would read from one end to the other to answer a statement."""
    found = (re.search(r"^SCAN (\w+)|Seq Scan on (\w+)", line) for line in _plan(store, statement))
    return [scan[0] for scan in found if scan and (scan[1] or scan[2]) in LARGE]


def _assert_no_whole_reads(url: str) -> dict[str, float]:
    """Make every call, ask for its statements' plans, and return what each call took, in milliseconds."""
    took = {}
    with closing(SqlStore(url)) as store:
        for name, call in _story(store).items():
            with _sent(store) as sent:
                started = time.perf_counter()
                call()
                took[name] = (time.perf_counter() - started) * 1000
            assert [(name, read) for statement in sent for read in _whole_reads(store, statement)] == []
            if name == "list_authors":  # not by way of the chain of its experiment, which grows with the runs
                assert "ix_ledger_of_run" in "".join(line for statement in sent for line in _plan(store, statement))
        unindexed = ("SELECT run_id FROM runs WHERE reason = 'why not'", ())
        assert len(_whole_reads(store, unindexed)) == 1
    return took


@pytest.mark.parametrize(("runs", "points"), [(20_000, 100_000)])
def test_no_call_reads_a_table_from_one_end_to_the_other(empty_url: str, runs: int, points: int) -> None:
    grow(empty_url, runs, points)
    _assert_no_whole_reads(empty_url)


@pytest.mark.soak
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_hundred_thousand_runs_and_ten_million_metrics_cost_no_more_than_a_handful(
    request: pytest.FixtureRequest, tmp_path: Path, database: str
) -> None:
    """Plans hold at full size, and no call takes longer than a quarter of a second (the largest: a whole list)."""
    url = f"sqlite:///{tmp_path / 'penstock.db'}"
    if database == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.url(server.new_database())
    grow(url, 100_000, 10_000_000)
    took = _assert_no_whole_reads(url)
    assert {name: ms for name, ms in took.items() if ms > 250} == {}
