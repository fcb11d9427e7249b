"""The registry in one process, against SQLAlchemy Core on the same rows: register, set alias, get and load by alias.

The floor writes the same rows, as long as ours, with the same indexes and the same durability, in one transaction on a
pooled connection: a step that was done, the version or the move, and the ledger's entry after its locked head. It
decides nothing: it reads no decision, no model and no run, looks at no generation, and computes no hash chain.
What is done once per version, the load check in a process of its own, is measured apart. History is measured where it
is long: a model with 10,000 versions, each of which was champion.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa
from sklearn.linear_model import LogisticRegression

import penstock
from penstock.models import skops_file, trial
from penstock.stores.sql import tables as t
from penstock.stores.sql.store import SqlStore
from penstock.stores.sql.tables.versions import load_checks
from tests.benchmarks import floor, records
from tests.contracts import samples

Databases = Mapping[str, Callable[[], str]]  # what makes an empty database, by the name of its kind
Seconds = tuple[float, float]  # the floor's, and ours, for one call
CALLS, VERSIONS = 60, 10_000
GOAL, HISTORY_GOAL_S = 1.5, 0.005
_OURS = {"workspace": "default", "model": samples.MODEL}
_ACTOR = json.dumps(samples.ACTOR)
_WHY = "roc_auc 0.81 is at least 0.8"


@dataclass(frozen=True)
class Prepared:
    """A store with a decision for each call, and a client of it."""

    client: penstock.Client
    judged: list[samples.Judged]

    @property
    def engine(self) -> sa.Engine:
        """The floor's way into the same store."""
        return floor.engine_of(str(self.client.wiring.store.url))  # type: ignore[attr-defined]


def _prepared(url: str, *, registered: bool) -> Prepared:
    store = SqlStore(url)
    judged = [samples.judged(store, f"run-{n}", generation=n) for n in range(CALLS + 1)]
    if registered:
        for found in judged:
            samples.registered(store, found)
    else:
        samples.registered(store, judged[0])
    return Prepared(penstock.connect(url, tempfile.gettempdir()), judged)


def register(new_url: Callable[[], str]) -> Seconds:
    """Register a model under its decision."""
    theirs, ours = _prepared(new_url(), registered=False), _prepared(new_url(), registered=False)
    engine = theirs.engine

    def write(number: int) -> None:
        found = theirs.judged[number]
        with engine.begin() as connection:
            inputs = {"decision": found.decision.decision_id, "model": samples.MODEL}
            _step_done(connection, found.model.run_id, "register", inputs, number + 1)
            connection.execute(sa.update(t.registered_models).values(last_version=number + 1))
            row = {
                **_OURS,
                "version": number + 1,
                "model_id": found.model.model_id,
                "run_id": found.model.run_id,
                "payload_digest": found.model.payload_digest,
                "authorization_id": found.authorization.authorization_id,
                "created_ms": _now_ms(),
            }
            connection.execute(sa.insert(t.model_versions), row)
            subject = {"model": samples.MODEL, "run_id": found.model.run_id, "decision_id": found.decision.decision_id}
            after = {"version": number + 1, "payload_digest": found.model.payload_digest}
            _event(connection, "version_registered", subject, None, after)

    def call(number: int) -> None:
        found = ours.judged[number]
        ours.client.register(samples.MODEL, found.model, found.decision.ref)

    return _in_turn(write, call)


def set_alias(new_url: Callable[[], str]) -> Seconds:
    """Move the alias to a version that was seen to load."""
    theirs, ours = _prepared(new_url(), registered=True), _prepared(new_url(), registered=True)
    engine = theirs.engine
    for prepared in (theirs, ours):
        _promote(prepared, 0)

    def write(number: int) -> None:
        found = theirs.judged[number]
        row = {"authorization_id": found.authorization.authorization_id, "moved_ms": _now_ms()}
        with engine.begin() as connection:
            pointed = {"model": samples.MODEL, "alias": samples.ALIAS}
            decided = {"decision": found.decision.decision_id, **pointed, "version": number + 1}
            _step_done(connection, found.model.run_id, "promote", decided, number + 1)
            move = {"generation": number + 1, "from_version": number, "to_version": number + 1, "actor": _ACTOR}
            connection.execute(sa.insert(t.alias_moves), {**_OURS, "alias": samples.ALIAS, **move, **row})
            pointing = {"version": number + 1, "generation": number + 1, **row}
            connection.execute(sa.update(t.aliases).values(**pointing))
            subject = {**pointed, "decision_id": found.decision.decision_id}
            versions = ({"version": at, "generation": at} for at in (number, number + 1))
            _event(connection, "alias_moved", subject, *versions)

    return _in_turn(write, lambda number: _promote(ours, number))


def _promote(prepared: Prepared, number: int) -> None:
    found = prepared.judged[number]
    prepared.client.promote(samples.MODEL, samples.ALIAS, number + 1, found.decision.ref)


def get_by_alias(new_url: Callable[[], str]) -> Seconds:
    """Return the version that an alias points to, with what authorized it."""
    prepared = _prepared(new_url(), registered=True)
    _promote(prepared, 0)
    engine = prepared.engine
    query = (
        sa.select(t.model_versions, t.authorizations, t.aliases.c.generation)
        .select_from(t.aliases.join(t.model_versions, t.aliases.c.version == t.model_versions.c.version))
        .join(t.authorizations, t.authorizations.c.authorization_id == t.model_versions.c.authorization_id)
        .where(t.aliases.c.model == samples.MODEL, t.aliases.c.alias == samples.ALIAS)
        .where(t.model_versions.c.model == samples.MODEL)
    )

    def read(_: int) -> None:
        with engine.connect() as connection:
            assert connection.execute(query).mappings().one()["version"] == 1

    def call(_: int) -> None:
        assert prepared.client.get_version_by_alias(samples.MODEL, samples.ALIAS).version == 1

    return _in_turn(read, call)


def load_by_alias(new_url: Callable[[], str]) -> Seconds:
    """Load the model an alias points to: every file's checksum verified, then skops."""
    with tempfile.TemporaryDirectory() as folder:
        url = new_url()
        with penstock.connect(url, folder) as client:
            run = client.open_run(samples.EXPERIMENT, "real")
            rows = pd.DataFrame(np.random.default_rng(0).random((50, 4)), columns=list("abcd"))
            model = run.log_model(LogisticRegression().fit(rows, rows["a"] > 0.5), input_example=rows.head(3))
            store = client.wiring.store
            evaluation, attempt = samples.evaluation_of(model), samples.begun(store, run.run_id, "evaluate")
            store.record_evaluation(evaluation, samples.event("evaluation_recorded"), samples.done(attempt))
            decision, attempt = samples.decision_on(evaluation), samples.begun(store, run.run_id, "decide")
            store.record_decision(decision, samples.event("decision_made"), samples.done(attempt))
            version = samples.registered(store, samples.Judged(model, evaluation, decision))
            client.promote(samples.MODEL, samples.ALIAS, version, decision)
            engine = floor.engine_of(url)
            query = (
                sa.select(t.model_files)
                .join(t.model_versions, t.model_versions.c.model_id == t.model_files.c.model_id)
                .join(t.aliases, t.aliases.c.version == t.model_versions.c.version)
                .where(t.aliases.c.model == samples.MODEL, t.aliases.c.alias == samples.ALIAS)
            )
            bytes_of = {path.name: path for path in Path(folder).rglob("*") if path.is_file()}

            def read(_: int) -> None:
                with engine.connect() as connection, tempfile.TemporaryDirectory() as scratch:
                    for file in connection.execute(query):
                        found = next(path for name, path in bytes_of.items() if file.sha256.endswith(name[-32:]))
                        content = found.read_bytes()
                        assert hashlib.sha256(content).hexdigest() == file.sha256
                        (Path(scratch) / file.path).write_bytes(content)
                    skops_file.load(Path(scratch) / "model.skops", "floor")

            def call(_: int) -> None:
                client.load_model(f"models:/{samples.MODEL}@{samples.ALIAS}")

            return _in_turn(read, call)


def check_seconds() -> float:
    """Return what a load check takes, once per version: a new interpreter, its imports, loading and predicting."""
    from penstock.models.format import MlmodelFormat

    rows = pd.DataFrame(np.random.default_rng(0).random((50, 4)), columns=list("abcd"))
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "model"
        fitted = LogisticRegression().fit(rows, rows["a"] > 0.5)
        MlmodelFormat().save(fitted, target, run_id="0" * 32, name="m", input_example=rows.head(3))
        taken = []
        for _ in range(3):
            started = time.perf_counter()
            assert trial.in_clean_process(target, "m", 60).error == ""
            taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def history_seconds(new_url: Callable[[], str]) -> dict[str, float]:
    """Return what questions about the past take on a model whose 10,000 versions were each champion for a minute."""
    url = new_url()
    client, begin = long_history(url)
    name, alias = samples.MODEL, samples.ALIAS
    moments = [begin + timedelta(minutes=minute, seconds=30) for minute in range(0, VERSIONS, VERSIONS // CALLS)]

    def ask(question: Callable[[datetime], Any]) -> float:
        taken = []
        for moment in moments:
            started = time.perf_counter()
            question(moment)
            taken.append(time.perf_counter() - started)
        return statistics.median(taken)

    asked = {
        "as of a moment": ask(lambda moment: client.as_of(name, alias, moment)),
        "where it is now": ask(lambda _: client.get_version_by_alias(name, alias)),
        "a version's moves": ask(lambda _: client.alias_history(name, alias=alias, limit=20)),
    }
    assert client.as_of(name, alias, moments[3]).to_version == 3 * (VERSIONS // CALLS) + 1
    return asked


def long_history(url: str) -> tuple[penstock.Client, datetime]:
    """Fill a store with 10,000 versions that were champion one after another; return a client and when it began."""
    store = SqlStore(url)
    samples.released(store, "first")
    engine, begin = floor.engine_of(url), datetime(2024, 1, 1, tzinfo=UTC)
    with engine.begin() as connection:
        version = dict(connection.execute(sa.select(t.model_versions)).mappings().one())
        given = dict(connection.execute(sa.select(t.authorizations)).mappings().one())
        move = dict(connection.execute(sa.select(t.alias_moves)).mappings().one())
        check = dict(connection.execute(sa.select(load_checks)).mappings().one())
        _unguard(connection)
        start = int(begin.timestamp() * 1000)
        connection.execute(sa.update(t.alias_moves).values(moved_ms=start))
        numbers = range(2, VERSIONS + 1)
        ids = {n: {"authorization_id": f"{n:032x}"} for n in numbers}
        unnamed = {"kind": "import", "decision_id": None}
        connection.execute(sa.insert(t.authorizations), [{**given, **unnamed, **ids[n]} for n in numbers])
        connection.execute(sa.insert(t.model_versions), [{**version, **ids[n], "version": n} for n in numbers])
        connection.execute(sa.insert(load_checks), [{**check, "version": n} for n in numbers])
        moves = [
            {
                **move,
                **ids[n],
                "generation": n,
                "from_version": n - 1,
                "to_version": n,
                "moved_ms": start + 60_000 * (n - 1),
            }
            for n in numbers
        ]
        connection.execute(sa.insert(t.alias_moves), moves)
        connection.execute(sa.update(t.aliases).values(version=VERSIONS, generation=VERSIONS))
        connection.execute(sa.update(t.registered_models).values(last_version=VERSIONS))
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("ANALYZE")  # as a server does by itself within a minute of so many new rows
    engine.dispose()
    store.close()
    return penstock.connect(url, tempfile.gettempdir()), begin


def _unguard(connection: sa.Connection) -> None:
    """Let moves be dated back, and aliases be set without one."""
    on_sqlite = connection.dialect.name == "sqlite"
    for table, trigger in (
        ("alias_moves", "alias_moves_append_only_update"),
        ("aliases", "aliases_move_on_record_update"),
    ):
        connection.exec_driver_sql(
            f"DROP TRIGGER {trigger}" if on_sqlite else f"ALTER TABLE {table} DISABLE TRIGGER USER"
        )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _step_done(connection: sa.Connection, run_id: str, name: str, inputs: Mapping[str, Any], result: int) -> None:
    """Write a step that was done at its first attempt."""
    now, step = _now_ms(), {"run_id": run_id, "step": name, "map_index": -1, "attempt": 1}
    connection.execute(sa.insert(t.steps), {**step, "visible_from": 1, "generation": 1})
    attempt = {"inputs_digest": "0" * 64, "inputs": json.dumps(inputs), "token": "0" * 32, "host": floor.HOST}
    ended = {"state": "DONE", "error": "", "started_ms": now, "ended_ms": now}
    connection.execute(sa.insert(t.attempts), {**step, **attempt, **ended})
    stored = {"result": json.dumps({"model": samples.MODEL, "version": result}), "ended_ms": now}
    connection.execute(sa.insert(t.step_results), {**step, "inputs_digest": "0" * 64, "generation": 1, **stored})


def _event(connection: sa.Connection, kind: str, subject: Mapping[str, Any], before: Any, after: Any) -> None:
    """Append an entry to the model's chain, whose head is there."""
    chain = {"workspace": "default", "chain_kind": "model", "chain_name": samples.MODEL}
    here = sa.and_(*(t.ledger_heads.c[name] == value for name, value in chain.items()))
    locked = sa.select(t.ledger_heads.c.sequence, t.ledger_heads.c.hash).where(here).with_for_update()
    head = connection.execute(locked).one()
    place = {"sequence": head.sequence + 1, "hash": hashlib.sha256(kind.encode()).hexdigest()}
    what = {"subject": json.dumps(subject), "before": json.dumps(before), "after": json.dumps(after)}
    row = {**chain, **place, **what, "kind": kind, "actor": _ACTOR, "why": _WHY, "time_ms": _now_ms()}
    connection.execute(sa.insert(t.ledger), {**row, "previous_hash": head.hash})
    connection.execute(sa.update(t.ledger_heads).where(here).values(**place))


def _in_turn(at_the_floor: Callable[[int], None], ours: Callable[[int], None]) -> Seconds:
    """Time both in turn, and return the medians of one call."""
    taken: dict[Callable[[int], None], list[float]] = {at_the_floor: [], ours: []}
    for number in range(1, CALLS + 1):
        for work in (at_the_floor, ours) if number % 2 else (ours, at_the_floor):
            started = time.perf_counter()
            work(number)
            taken[work].append(time.perf_counter() - started)
    return statistics.median(taken[at_the_floor]), statistics.median(taken[ours])


MEASURES: dict[str, Callable[[Callable[[], str]], Seconds]] = {
    "register": register,
    "set alias": set_alias,
    "get by alias": get_by_alias,
    "load by alias": load_by_alias,
}


def print_all(databases: Databases) -> None:
    """Measure and print on each database."""
    print(f"\n{'Registry in one process':34}{'':12} floor ms  ours ms  x floor   (medians of {CALLS}, goal {GOAL})")
    for title, measure in MEASURES.items():
        for name, new_url in databases.items():
            theirs, ours = measure(new_url)
            print(f"{title:34}{name:12}{theirs * 1000:9.2f}{ours * 1000:9.2f}{ours / theirs:9.2f}", flush=True)
    print(f"\n{f'History at {VERSIONS:,} versions':34}{'':12}       ms   (goal {HISTORY_GOAL_S * 1000:g})")
    for name, new_url in databases.items():
        for title, seconds in history_seconds(new_url).items():
            print(f"{title:34}{name:12}{seconds * 1000:9.2f}", flush=True)
    print(f"\nLoad check, once per version: {check_seconds():.2f} s")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, records.databases(Path(folder)) as databases:
        print_all(databases)
