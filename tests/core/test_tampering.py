"""Random tampering by somebody with a shell: every single one is found by `verify`."""

from __future__ import annotations

import json
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import penstock
from penstock.model.probation import Probation
from tests import tiny
from tests.tiny_pipeline import retrain

HOLDS = {"name": "holds", "rules": [{"at_least": {"metric": "roc_auc", "value": 0.5}}]}

# Columns that governance rests on: bound by the ledger's entries, by its hashes, or by a digest that an entry holds.
GUARDED = {
    "ledger": ["kind", "subject", "actor", "why", "before", "after", "time_ms", "hash", "previous_hash", "sequence"],
    "ledger_heads": ["sequence", "hash"],
    "aliases": ["version", "generation"],
    "alias_moves": ["to_version", "generation", "moved_ms", "authorization_id", "actor"],
    "alias_protections": ["actors", "lifted"],
    "model_versions": ["payload_digest", "authorization_id"],
    "model_files": ["sha256", "size_bytes", "path"],
    "logged_models": ["payload_digest", "manifest_digest"],
    "load_checks": ["passed", "facts", "number"],
    "runs": ["status"],
    "overrides": ["document", "expires_ms"],
    "gate_declarations": ["gated", "reason", "actor", "number"],
    "probations": ["document", "state", "started_ms", "ends_ms"],
    "probation_judgements": ["document"],
    "retention_policies": ["keep_last"],
}


@pytest.fixture(scope="module")
def governed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which everything that is governed has happened: promotions, a refusal, a rollback, an override, …"""
    folder = tmp_path_factory.mktemp("governed")
    held_out = tiny.held_out_file(folder)
    with penstock.connect(f"sqlite:///{folder / 'penstock.db'}", actor="tester") as client:
        for key, strength in (("2013-03", 1.0), ("2013-04", 0.5), ("2013-05", 1.0)):
            retrain(client, key, held_out, strength=strength)
        client.protect_alias(tiny.MODEL, "champion", actors=["tester"], reason="it is live")
        client.rollback(tiny.MODEL, "champion", reason="it was worse")
        model = client.wiring.store.get_model(client.get_version(tiny.MODEL, 1).model_id)
        allowed = client.override("tried", model, aliases=["trial"], reason="to see it run", expires_hours=1)
        client.promote("tried", "trial", client.register("tried", model, allowed), allowed)
        client.declare_ungated("toy", "only a demonstration")
        version = client.register("toy", model)
        client.promote("toy", "live", version, probation=Probation(HOLDS, days=14, evaluations=3))
        later = client.evaluate("models:/toy@live", held_out, label=tiny.LABEL, step="later")
        client.judge_probation("toy", "live", later)
        client.declare_gated("toy", "no longer")
        client.set_retention(tiny.EXPERIMENT, keep_last=3)
        (folder / "anchor.json").write_text(json.dumps(client.anchor()))
    with closing(sqlite3.connect(folder / "penstock.db")) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")  # out of the way, as they would be of somebody with a shell
    assert list(_findings(folder / "penstock.db", folder)) == []
    return folder


def _findings(database: Path, folder: Path, anchor: Any = None) -> Iterator[str]:
    with penstock.connect(f"sqlite:///{database}", folder / "artifacts") as client:
        for finding in client.verify(anchor, read_bytes=False):
            yield finding.check


def _rowids(connection: sqlite3.Connection, table: str) -> list[int]:
    return [row for (row,) in connection.execute(f"SELECT rowid FROM {table} ORDER BY rowid")]


def _edit(rng: random.Random, connection: sqlite3.Connection) -> str:
    """Change one cell that is guarded."""
    table = rng.choice(list(GUARDED))
    column, row = rng.choice(GUARDED[table]), rng.choice(_rowids(connection, table))
    (value,) = connection.execute(f"SELECT {column} FROM {table} WHERE rowid = ?", (row,)).fetchone()
    other = _other_id(connection, table) if column == "authorization_id" else _other(column, value, rng)
    connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (other, row))
    return f"{table}.{column}"


def _delete(rng: random.Random, connection: sqlite3.Connection) -> str:
    """Delete a row that is guarded, from the ledger as often as from all others."""
    table = rng.choice(["ledger", rng.choice([name for name in GUARDED if name != "model_files"])])
    connection.execute(f"DELETE FROM {table} WHERE rowid = ?", (rng.choice(_rowids(connection, table)),))
    return table


def _insert(rng: random.Random, connection: sqlite3.Connection) -> str:
    """Copy an entry to the end of its chain, or past it."""
    row, after = rng.choice(_rowids(connection, "ledger")), rng.choice([1, 1000])
    connection.execute(
        "INSERT INTO ledger SELECT workspace, chain_kind, chain_name, ? + (SELECT max(sequence) FROM ledger AS all_of"
        " WHERE all_of.chain_kind = ledger.chain_kind AND all_of.chain_name = ledger.chain_name), kind, subject, actor,"
        " why, before, after, time_ms, previous_hash, hash FROM ledger WHERE rowid = ?",
        (after, row),
    )
    return "ledger"


def _reorder(rng: random.Random, connection: sqlite3.Connection) -> str:
    """Let two entries of a chain change places, their numbers kept."""
    rows = connection.execute("SELECT rowid, chain_name, kind, why, after FROM ledger").fetchall()
    one = rng.choice(rows)
    other = rng.choice([row for row in rows if row[1] == one[1] and row[2:] != one[2:]])
    for (_, _, *content), (target, *_) in ((one, other), (other, one)):
        connection.execute("UPDATE ledger SET kind = ?, why = ?, after = ? WHERE rowid = ?", (*content, target))
    return "ledger"


def _cut(rng: random.Random, connection: sqlite3.Connection) -> str:
    """Cut the last entries off a chain, and let its head say that it ends there."""
    chains = connection.execute("SELECT chain_kind, chain_name, sequence FROM ledger_heads WHERE sequence > 1")
    kind, name, length = rng.choice(chains.fetchall())
    left, here = rng.randrange(1, length), "chain_kind = ? AND chain_name = ?"
    connection.execute(f"DELETE FROM ledger WHERE {here} AND sequence > ?", (kind, name, left))
    (end,) = connection.execute(f"SELECT hash FROM ledger WHERE {here} AND sequence = ?", (kind, name, left)).fetchone()
    connection.execute(f"UPDATE ledger_heads SET sequence = ?, hash = ? WHERE {here}", (left, end, kind, name))
    return f"{kind} chain"


WAYS: dict[str, Callable[[random.Random, sqlite3.Connection], str]] = {
    "edit": _edit,
    "delete": _delete,
    "insert": _insert,
    "reorder": _reorder,
    "cut the tail": _cut,
}


def _other_id(connection: sqlite3.Connection, table: str) -> str:
    """Another authorization that is on record. Of one that the table has already the database itself says no."""
    taken = f"SELECT authorization_id FROM {table}"
    query = f"SELECT authorization_id FROM authorizations WHERE authorization_id NOT IN ({taken}) ORDER BY 1 LIMIT 1"
    return str(connection.execute(query).fetchone()[0])


def _other(column: str, value: object, rng: random.Random) -> object:
    if column in {"passed", "lifted", "gated"}:
        return not value
    if column.endswith("_ms"):
        return (value if isinstance(value, int) else 0) + rng.choice((-1, 1)) * rng.randrange(1000, 10**9)
    if isinstance(value, int):
        return value + 100 if column in {"sequence", "number", "generation"} else value + rng.randrange(1, 6)
    if column == "status":
        return "KILLED"
    if column == "state":
        return "passed" if value != "passed" else "open"
    if column in {"subject", "before", "facts"}:
        return json.dumps({"forged": rng.random()})
    if column in {"actor", "actors", "after", "document"}:
        return _forged(str(value), rng)
    text = str(value)
    return f"{text[:-1]}{'0' if text[-1:] != '0' else '1'}"


def _forged(text: str, rng: random.Random) -> str:
    """Another document, which can still be read: one of its words or numbers is another."""
    told = (place for place in _places(json.loads(text)) if place[-1] in _TOLD or place[0] == 0)
    places = [place for place in told if place[0] not in _COPIES]
    return json.dumps(_with_other(json.loads(text), rng.choice(places)) if places else {"forged": rng.random()})


# Of what documents hold, that which the ledger tells or a digest covers.
_TOLD = {
    *("subject", "version", "from_version", "payload_digest", "verdict", "state"),
    *("days", "evaluations", "name", "policy_name"),
}

# A judgement's copies of what it was made from: the evaluation itself is compared, and so are verdict and reasons.
_COPIES = {"inputs", "outcomes"}


def _places(value: Any, *so_far: Any) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, held in items:
        if isinstance(held, dict | list):
            yield from _places(held, *so_far, key)
        else:
            yield (*so_far, key)


def _with_other(value: Any, place: tuple[Any, ...]) -> Any:
    if not place:
        if isinstance(value, str) and value in {"PASS", "FAIL"}:
            return "FAIL" if value == "PASS" else "PASS"
        if isinstance(value, str) and value in {"open", "passed"}:
            return "failed"
        return f"{value}0" if isinstance(value, str) else (value or 0) + 1
    value[place[0]] = _with_other(value[place[0]], place[1:])
    return value


def _all_found(governed: Path, tmp_path: Path, seeds: range) -> Counter[str]:
    """Tamper once for each seed, with a copy; return how often in which way."""
    anchor = json.loads((governed / "anchor.json").read_text())
    sound, made, missed = (governed / "penstock.db").read_bytes(), Counter[str](), list[str]()
    for seed in seeds:
        rng, database = random.Random(seed), tmp_path / "penstock.db"
        database.write_bytes(sound)
        way = list(WAYS)[seed % len(WAYS)]
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            where = WAYS[way](rng, connection)
        made[way] += 1
        if next(_findings(database, governed, anchor if way == "cut the tail" else None), None) is None:
            missed.append(f"{seed}: {way} {where}")
    assert missed == []
    return made


def test_every_random_tampering_is_found_in_a_sample(governed: Path, tmp_path: Path) -> None:
    assert set(_all_found(governed, tmp_path, range(50))) == set(WAYS)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_of_a_thousand_random_tamperings_a_thousand_are_found(governed: Path, tmp_path: Path) -> None:
    made = _all_found(governed, tmp_path, range(1000))
    assert made == dict.fromkeys(WAYS, 200)
