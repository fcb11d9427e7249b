"""PostgreSQL that deadlocks, is full of waiting, loses answers, or is killed: what was acknowledged is there, once."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa

from penstock.errors import Busy, InvalidValue, MissingExtra, NotFound, StoreUnavailable, Transient
from penstock.model.runs import LogBatch, Metric, RunStatus
from penstock.stores.sql.database import retried
from penstock.stores.sql.dialects import open_database, unasked
from penstock.stores.sql.postgres import STATEMENT_TIMEOUT_S
from penstock.stores.sql.store import SqlStore
from penstock.stores.sql.tables import registered_models
from penstock.stores.sql.urls import parse_store_url
from tests.contracts import samples
from tests.postgres_server import PostgresServer, running_server
from tests.scenarios.test_races import assert_whole, at_once
from tests.tcp_proxy import TcpProxy

T = TypeVar("T")
NOON = datetime(2013, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def store(postgres_url: str) -> Iterator[SqlStore]:
    with closing(SqlStore(postgres_url)) as store:
        yield store


def _until_done(call: Callable[[], T], give_up_s: float = 60.0) -> T:
    """Call as an orchestrator does that retries what is `Transient`, and nothing else."""
    deadline = time.monotonic() + give_up_s
    while True:
        try:
            return call()
        except Transient:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


class TimeIsUp(BaseException):
    """What a host raises in a task whose time is up."""


def _after(seconds: float, work: Callable[[], object]) -> None:
    """Work; after so long raise `TimeIsUp` wherever it is."""

    def strike(*_: object) -> None:
        raise TimeIsUp

    before = signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        work()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_task_whose_time_is_up_during_a_commit_is_told_so_and_the_next_one_works(postgres_url: str) -> None:
    add = unasked(sa.insert(registered_models))
    model = {"workspace": "default", "name": "a", "last_version": 0, "created_ms": 1}
    with closing(SqlStore(postgres_url)), closing(open_database(parse_store_url(postgres_url))) as database:
        with database.writing() as connection:
            connection.exec_driver_sql(
                "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS "
                "'BEGIN PERFORM pg_sleep(2); RETURN NULL; END'; "
                "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON registered_models DEFERRABLE INITIALLY DEFERRED "
                "FOR EACH ROW WHEN (NEW.name = 'a') EXECUTE FUNCTION slow()"
            )

        def commit_slowly() -> None:
            with database.writing() as connection:
                connection.execute(add, model)

        def ask_slowly() -> None:
            with database.writing() as connection:
                connection.execute(add, {**model, "name": "b"})
                connection.exec_driver_sql("SELECT pg_sleep(2)").all()

        for work in (commit_slowly, ask_slowly):
            began = time.monotonic()
            with pytest.raises(TimeIsUp):
                _after(0.3, work)
            assert time.monotonic() - began < 1.5
            with database.writing() as connection:
                assert connection.execute(sa.select(1)).scalar() == 1


def test_a_process_with_many_open_files_reaches_its_database(postgres_url: str) -> None:
    with closing(SqlStore(postgres_url)) as store, ExitStack() as files:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
        files.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(1100):
            files.enter_context(closing(os.fdopen(os.open(os.devnull, os.O_RDONLY))))
        for name in ("a", "b"):  # the second asks a connection that is known already
            assert samples.opened(store, name).run_id


# ----------------------------------------------------------------------------------------- rolled back, and retried


def test_a_deadlock_is_tried_again_without_the_caller_noticing(store: SqlStore) -> None:
    ids = [samples.opened(store, name).run_id for name in ("a", "b")]
    both_hold_one = threading.Barrier(2)
    tries: list[str] = []

    @retried
    def touch(first: str, second: str) -> None:
        from penstock.stores.sql import runs

        with store._database.writing() as connection:
            tries.append(first)
            runs.get(connection, first, lock=True)
            if len(tries) <= 2:
                both_hold_one.wait(10)
            runs.get(connection, second, lock=True)

    assert at_once([lambda: touch(*ids), lambda: touch(*reversed(ids))]) == [None, None]
    assert len(tries) == 3


def test_who_waits_too_long_for_a_lock_is_told_that_the_store_is_busy(store: SqlStore) -> None:
    from penstock.stores.sql import runs

    run_id = samples.opened(store).run_id
    with store._database.writing() as holder:
        runs.get(holder, run_id, lock=True)
        with pytest.raises(Busy, match="gave up after 30 s"), store._database.writing() as connection:
            connection.exec_driver_sql("SET LOCAL lock_timeout = '50ms'")
            runs.get(connection, run_id, lock=True)


def test_readers_do_not_wait_for_writers_and_see_one_moment(store: SqlStore) -> None:
    from penstock.stores.sql import runs

    run_id = samples.opened(store).run_id
    with store._database.writing() as connection:
        runs.end(connection, run_id, RunStatus.FAILED, "", samples.ACTOR)
        assert store.get_run(run_id).status is RunStatus.RUNNING
    assert store.get_run(run_id).status is RunStatus.FAILED


# ---------------------------------------------------------------------------------------------- connections that end


def test_a_lost_answer_to_a_commit_is_a_passing_fault_and_the_retry_finds_what_was_done(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    proxy = TcpProxy(postgres_server.port)
    with closing(SqlStore(postgres_url.replace(str(postgres_server.port), str(proxy.port)))) as store:
        judgement = samples.judged(store, "a")
        version = samples.registered(store, judgement)
        attempt = samples.begun(store, judgement.model.run_id, "promote")
        event, end = samples.event("alias_moved"), samples.done(attempt)
        new = samples.new_run("b")
        point = LogBatch(metrics=(Metric("loss", 0.5, 1, NOON),))
        other = samples.begun(store, judgement.model.run_id, "train", "more")
        calls: list[Callable[[], Any]] = [
            lambda: store.open_run(new),
            lambda: store.log(other, point),
            lambda: store.end_attempt(samples.done(other, 1)),
            lambda: store.move_alias(version, samples.ALIAS, judgement.authorization, 0, event, end),
            lambda: store.end_run(new.run_id, RunStatus.FINISHED, "", samples.ACTOR),
        ]
        for number, call in enumerate(calls, start=1):
            proxy.lose_after = (
                b"COMMIT" if number != 2 else b"INSERT INTO metrics"
            )  # one statement, its own transaction
            with pytest.raises(StoreUnavailable, match="cannot be reached"):
                call()
            assert proxy.lost == number
            call()
        assert store.open_run(new)[1] is False
        assert len(store.list_alias_moves(samples.MODEL)) == 1
        assert len(store.list_metric_points(judgement.model.run_id, "loss")) == 1
        kinds = [entry.kind for entry in store.read_ledger()]
        assert [kinds.count(kind) for kind in ("run_opened", "run_ended", "alias_moved")] == [2, 1, 1]
        assert_whole(store)
    proxy.close()


def test_a_slow_network_only_takes_longer_and_a_reset_request_is_a_passing_fault(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    proxy = TcpProxy(postgres_server.port)
    with closing(SqlStore(postgres_url.replace(str(postgres_server.port), str(proxy.port)))) as store:
        proxy.delay_s = 0.02
        judgement, version, move = samples.released(store, "slow")
        assert samples.promoted(store, judgement, version, map_index=1) == move  # delivered twice
        proxy.delay_s = 0.0
        for number, statement in enumerate((b"INSERT INTO runs", b"COMMIT", b"INSERT INTO ledger"), start=1):
            new = samples.new_run(f"reset {number}")
            proxy.reset_at = statement
            with pytest.raises(StoreUnavailable, match="cannot be reached"):
                store.open_run(new)
            assert proxy.reset == number
            assert store.open_run(new)[1] is True
            assert store.open_run(new)[1] is False
        assert [move.to_version for move in store.list_alias_moves(samples.MODEL)] == [1]
        assert_whole(store)
    proxy.close()


def test_a_server_that_falls_silent_is_given_up_in_time_and_found_again(
    postgres_server: PostgresServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.stores.sql.postgres.PATIENCE_S", 0.5 - STATEMENT_TIMEOUT_S)
    proxy = TcpProxy(postgres_server.port)
    with closing(SqlStore(postgres_url.replace(str(postgres_server.port), str(proxy.port)))) as store:
        samples.opened(store)
        proxy.silent = True
        started = time.monotonic()
        with pytest.raises(StoreUnavailable, match=r"no answer for 0\.5 s"):
            store.list_runs(None, 1)
        assert time.monotonic() - started < 10
        proxy.silent = False
        assert len(store.list_runs(None, 10)) == 1
    proxy.close()


def test_a_connection_that_the_server_ended_is_replaced(postgres_server: PostgresServer, store: SqlStore) -> None:
    samples.opened(store)
    database = str(store.url).rpartition("/")[2]
    # With a timeout the server answers once they have ended: until then it has only told them to.
    end_all = f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{database}'"
    postgres_server.execute(end_all)
    assert len(store.list_runs(None, 10)) == 1
    with pytest.raises(StoreUnavailable), store._database.writing() as connection:
        connection.exec_driver_sql("SELECT 1")
        postgres_server.execute(end_all)
        connection.exec_driver_sql("SELECT 1")
    assert len(store.list_runs(None, 10)) == 1


def test_eight_forked_children_have_connections_of_their_own(store: SqlStore) -> None:
    samples.opened(store, "before")
    children = []
    for number in range(8):
        child = os.fork()
        if child == 0:
            try:
                for time_of_it in range(3):
                    samples.opened(store, f"child {number}, {time_of_it}")
                store.close()
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
        samples.opened(store, f"parent {number}")
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 8
    assert len(store.list_runs(None, 100)) == 1 + 8 * 3 + 8
    assert_whole(store)


def test_a_slow_reader_of_the_ledger_holds_no_transaction_open(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.stores.sql.records.ledger._PAGE", 3)
    for number in range(7):
        samples.opened(store, f"{number}")
    open_ones = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL"
    read: list[int] = []
    at_work: list[int] = []
    for entry in store.read_ledger():
        if not read:
            samples.opened(store, "while it is read")
        read.append(entry.sequence)
        with store._database.engine().connect() as connection:
            at_work.append(connection.exec_driver_sql(open_ones).scalar_one())
    assert read == list(range(1, 9))  # the entry written meanwhile, too
    assert set(at_work) == {1}  # the one that asks


def test_sixty_four_threads_share_the_connections_of_one_store(store: SqlStore) -> None:
    answers = at_once([lambda name=str(number): samples.opened(store, name) for number in range(64)])  # type: ignore[misc]
    assert [answer for answer in answers if isinstance(answer, Exception)] == []
    assert_whole(store)


# -------------------------------------------------------------------------------------------- servers not to be had


def test_a_server_that_is_not_there_is_a_passing_fault_that_shows_no_password() -> None:
    with pytest.raises(StoreUnavailable, match=r"postgresql\+psycopg://me:\*\*\*@127\.0\.0\.1:9/p") as caught:
        SqlStore("postgresql://me:S3CR3T@127.0.0.1:9/p?connect_timeout=2")
    error: BaseException | None = caught.value
    while error is not None:
        assert "S3CR3T" not in str(error) + repr(error)
        error = error.__cause__ or error.__context__


def test_a_database_that_does_not_exist_is_said_by_name(postgres_server: PostgresServer) -> None:
    with pytest.raises(NotFound, match=r"nowhere.*does not exist"):
        SqlStore(postgres_server.url("nowhere"))


def test_a_text_that_postgresql_cannot_store_is_refused_whole(store: SqlStore) -> None:
    run = samples.opened(store)
    attempt = samples.begun(store, run.run_id)
    with pytest.raises(InvalidValue, match="NUL"):
        store.log(attempt, LogBatch(tags={"a": "b"}, params={"p": "nul\0byte"}))
    assert store.get_run_details(run.run_id).tags == {}


def test_a_user_who_may_not_create_tables_is_told_so(postgres_server: PostgresServer, empty_postgres_url: str) -> None:
    postgres_server.execute("DROP ROLE IF EXISTS reader")
    postgres_server.execute("CREATE ROLE reader LOGIN")
    url = empty_postgres_url.replace("postgres@", "reader@")
    with pytest.raises(InvalidValue, match=r"permission denied for schema public"):
        SqlStore(url)


def test_without_its_driver_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from penstock.errors import MissingExtra\n"
        "from penstock.stores.sql.store import SqlStore\n"
        "try: SqlStore('postgresql://me:S3CR3T@127.0.0.1:9/p')\n"
        "except MissingExtra as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(MissingExtra("PostgreSQL", "postgres"))


# --------------------------------------------------------------------------------------------------- kill -9


def test_a_killed_server_loses_nothing_acknowledged_and_doubles_nothing() -> None:
    acknowledged: list[str] = []
    faults: list[Exception] = []
    over = threading.Event()

    def work(store: SqlStore, worker: int) -> None:
        number = 0
        while not over.is_set():
            number += 1
            new = samples.new_run(f"{worker}-{number}")
            beginning = samples.new_attempt(new.run_id)
            _until_done(lambda new=new: store.open_run(new))  # type: ignore[misc]
            attempt: Any = _until_done(lambda beginning=beginning: store.begin_attempt(beginning))  # type: ignore[misc]
            batch = LogBatch(metrics=(Metric("loss", 0.5, 1, NOON),), params={"n": str(number)})
            _until_done(lambda a=attempt, b=batch: store.log(a, b))  # type: ignore[misc]
            end = samples.done(attempt, number)
            _until_done(
                lambda n=new, e=end: store.end_run(n.run_id, RunStatus.FINISHED, "", samples.ACTOR, e)  # type: ignore[misc]
            )
            acknowledged.append(new.run_id)

    def guarded(store: SqlStore, worker: int) -> None:
        try:
            work(store, worker)
        except Exception as error:
            faults.append(error)

    with running_server() as server, closing(SqlStore(server.url())) as store:
        threads = [threading.Thread(target=guarded, args=(store, worker)) for worker in range(6)]
        for thread in threads:
            thread.start()
        for _ in range(3):
            time.sleep(0.6)
            before = len(acknowledged)
            server.kill()
            server.restart()
        time.sleep(0.5)
        over.set()
        for thread in threads:
            thread.join(90)
        assert faults == []
        assert len(acknowledged) > before > 0
        runs = {run.run_id: run for run in store.list_runs(None, 100_000)}
        assert set(runs) == set(acknowledged)
        assert len(acknowledged) == len(set(acknowledged))
        assert {run.status for run in runs.values()} == {RunStatus.FINISHED}
        for run_id in acknowledged:
            assert len(store.list_metric_points(run_id, "loss")) == 1
            assert set(store.get_run_details(run_id).params) == {"n"}
        entries = [(entry.kind, entry.subject["run_id"]) for entry in store.read_ledger()]
        assert len(entries) == len(set(entries)) == 2 * len(acknowledged)
        assert_whole(store)
