"""`verify`: a sound store has no findings, and whatever is changed behind its back is found."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

import penstock
from tests import tiny
from tests.tiny_pipeline import retrain

RUNS = (("2013-03", 1.0), ("2013-04", 0.5), ("2013-05", 1.0))

# Columns that governance rests on: bound by the ledger's entries, by its hashes, or by a digest that an entry holds.
GUARDED = {
    "ledger": ["kind", "subject", "actor", "why", "before", "after", "time_ms", "hash", "previous_hash", "sequence"],
    "ledger_heads": ["sequence", "hash"],
    "aliases": ["version", "generation"],
    "model_versions": ["payload_digest"],
    "runs": ["status"],
    "model_files": ["sha256", "size_bytes", "path"],
    "logged_models": ["payload_digest", "manifest_digest"],
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two promotions and a refusal, as one file."""
    folder = tmp_path_factory.mktemp("sound")
    held_out = tiny.held_out_file(folder)
    with penstock.connect(f"sqlite:///{folder / 'penstock.db'}", actor="tester") as client:
        for key, strength in RUNS:
            retrain(client, key, held_out, strength=strength)
    with sqlite3.connect(folder / "penstock.db") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return folder


def _tampered(sound: Path, tmp_path: Path, change: Callable[[sqlite3.Connection], None]) -> str:
    """Copy the store and change it as somebody with a shell would: triggers and foreign keys out of the way."""
    path = tmp_path / "penstock.db"
    shutil.copy(sound / "penstock.db", path)
    with sqlite3.connect(path) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        change(connection)
    return f"sqlite:///{path}"


def _found(url: str, sound: Path, anchor: object = None, *, read_bytes: bool = False) -> list[str]:
    with penstock.connect(url, sound / "artifacts") as client:
        return [f.check for f in client.verify(anchor, read_bytes=read_bytes)]  # type: ignore[arg-type]


def test_a_sound_store_has_no_findings(sound: Path) -> None:
    url = f"sqlite:///{sound / 'penstock.db'}"
    assert _found(url, sound, read_bytes=True) == []
    with penstock.connect(url) as client:
        assert _found(url, sound, client.anchor()) == []


def _tampering(rng: random.Random) -> tuple[str, Callable[[sqlite3.Connection], None]]:
    """One random change: a cell edited, or a ledger entry deleted, copied or swapped with another."""
    kind = rng.choice(["edit"] * 6 + ["delete", "insert", "swap"])
    table = rng.choice(list(GUARDED)) if kind == "edit" else "ledger"
    column = rng.choice(GUARDED[table])
    salt = rng.random()

    def change(connection: sqlite3.Connection) -> None:
        rows = [row[0] for row in connection.execute(f"SELECT rowid FROM {table}")]
        row, other = rng.sample(rows, 2) if len(rows) > 1 else (rows[0], rows[0])
        if kind == "delete":
            connection.execute("DELETE FROM ledger WHERE rowid = ?", (row,))
        elif kind == "insert":
            connection.execute(
                "INSERT INTO ledger SELECT workspace, chain_kind, chain_name, sequence + 1000, kind, subject, actor,"
                " why, before, after, time_ms, previous_hash, hash FROM ledger WHERE rowid = ?",
                (row,),
            )
        elif kind == "swap":
            texts = dict(connection.execute("SELECT rowid, why || after FROM ledger").fetchall())
            other = next((r for r in rows if texts[r] != texts[row]), other)
            pair = [
                connection.execute("SELECT why, after FROM ledger WHERE rowid = ?", (r,)).fetchone()
                for r in (row, other)
            ]
            for target, content in zip((other, row), pair, strict=True):
                connection.execute("UPDATE ledger SET why = ?, after = ? WHERE rowid = ?", (*content, target))
        else:
            (value,) = connection.execute(f"SELECT {column} FROM {table} WHERE rowid = ?", (row,)).fetchone()
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (_other(column, value, salt), row))

    return f"{kind} {table}.{column}", change


def _other(column: str, value: object, salt: float) -> object:
    if isinstance(value, int):
        return value + 1 + int(salt * 5) if column != "version" else (1 if value != 1 else 2)
    if column == "status":
        return "KILLED"
    if column in {"subject", "actor", "before", "after"}:
        return json.dumps({"forged": salt})
    text = str(value)
    return f"{text[:-1]}{'0' if text[-1:] != '0' else '1'}"


@pytest.mark.parametrize("seed", range(10))
def test_every_random_tampering_is_found_from_the_database_alone(sound: Path, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    for number in range(20):
        name, change = _tampering(rng)
        url = _tampered(sound, tmp_path, change)
        assert _found(url, sound), f"tampering {number} of seed {seed}: {name}"


@pytest.mark.parametrize(
    ("statement", "check"),
    [
        ("UPDATE decisions SET document = replace(document, '\"FAIL\"', '\"PASS\"')", "decision"),
        ("UPDATE decisions SET document = replace(document, '\"value\":0.9', '\"value\":0.1')", "record"),
        ("UPDATE evaluations SET document = replace(document, '\"rows\":190', '\"rows\":999')", "evaluation"),
        ("DELETE FROM aliases", "alias"),
        ("DELETE FROM decisions WHERE verdict = 'FAIL'", "decision"),
        ("UPDATE runs SET status = 'FAILED'", "run"),
        (
            "INSERT INTO evaluations SELECT 'f' || substr(evaluation_id, 2), run_id, model_id, payload_digest,"
            ' dataset_digest, replace(document, \'"evaluation_id":"\', \'"evaluation_id":"f\'), created_ms'
            " FROM evaluations LIMIT 1",
            "evaluation",
        ),
    ],
)
def test_a_record_that_no_longer_says_what_the_ledger_says_is_named(
    sound: Path, tmp_path: Path, statement: str, check: str
) -> None:
    def change(connection: sqlite3.Connection) -> None:
        connection.execute(statement)

    assert check in _found(_tampered(sound, tmp_path, change), sound)


def test_a_tail_cut_off_with_its_head_is_found_against_an_anchor_only(sound: Path, tmp_path: Path) -> None:
    def change(connection: sqlite3.Connection) -> None:
        """Take back the last promotion without a trace: alias, move, ledger entry and head."""
        row = connection.execute(
            "SELECT sequence, hash FROM ledger WHERE chain_kind = 'model' ORDER BY sequence"
        ).fetchall()
        connection.execute("DELETE FROM ledger WHERE chain_kind = 'model' AND sequence = ?", (row[-1][0],))
        connection.execute("UPDATE ledger_heads SET sequence = ?, hash = ? WHERE chain_kind = 'model'", row[-2])
        connection.execute("DELETE FROM alias_moves WHERE generation = 2")
        connection.execute("UPDATE aliases SET version = 1, generation = 1")

    with penstock.connect(f"sqlite:///{sound / 'penstock.db'}") as client:
        anchor = client.anchor()
    url = _tampered(sound, tmp_path, change)
    assert _found(url, sound) == []
    assert _found(url, sound, anchor) == ["anchor"]


@pytest.mark.parametrize("damage", ["flip", "cut", "delete"])
def test_damaged_bytes_of_a_version_are_named(sound: Path, tmp_path: Path, damage: str) -> None:
    shutil.copytree(sound / "artifacts", tmp_path / "artifacts")
    shutil.copy(sound / "penstock.db", tmp_path / "penstock.db")
    with penstock.connect(f"sqlite:///{tmp_path / 'penstock.db'}") as client:
        version = client.get_version(tiny.MODEL, 1)
        file = next(f for f in client.wiring.store.get_model(version.model_id).files if f.path == "MLmodel")
        blob = next((tmp_path / "artifacts").rglob(file.sha256))
        content = bytearray(blob.read_bytes())
        if damage == "flip":
            content[5] ^= 1
            blob.write_bytes(content)
        elif damage == "cut":
            blob.write_bytes(content[:-3])
        else:
            blob.unlink()
        findings = list(client.verify())
    assert {f.check for f in findings} == {"bytes"}
    assert "models:/benign/1 MLmodel" in {f.subject for f in findings}


def test_another_models_files_under_a_versions_name_are_found(sound: Path, tmp_path: Path) -> None:
    """Files, sizes and manifest exchanged consistently: only computing the payload again shows it."""

    def change(connection: sqlite3.Connection) -> None:
        query = "SELECT model_id, manifest_digest FROM logged_models ORDER BY payload_digest = (SELECT payload_digest"
        rows = connection.execute(f"{query} FROM model_versions WHERE version = 1)").fetchall()
        weak, good = rows[0], rows[-1]
        connection.execute("DELETE FROM model_files WHERE model_id = ?", (good[0],))
        connection.execute(
            "INSERT INTO model_files SELECT ?, path, sha256, size_bytes FROM model_files WHERE model_id = ?",
            (good[0], weak[0]),
        )
        connection.execute("UPDATE logged_models SET manifest_digest = ? WHERE model_id = ?", (weak[1], good[0]))

    url = _tampered(sound, tmp_path, change)
    assert "payload" in _found(url, sound, read_bytes=True)


def _forge_reasons(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE ledger SET why = 'because'")


def test_the_command_says_so_and_exits_with_1(sound: Path, tmp_path: Path) -> None:
    from click.testing import CliRunner

    from penstock.cli import main

    url, anchor = f"sqlite:///{sound / 'penstock.db'}", str(tmp_path / "anchor.json")
    assert CliRunner().invoke(main, ["--url", url, "db", "anchor", anchor]).exit_code == 0
    good = CliRunner().invoke(main, ["--url", url, "verify", "--anchor", anchor])
    assert (good.exit_code, good.output.count("Everything is as it was written")) == (0, 1)
    forged = _tampered(sound, tmp_path, _forge_reasons)
    bad = CliRunner().invoke(main, ["--url", forged, "verify", "--no-bytes", "--json"])
    assert bad.exit_code == 1
    assert {"check", "subject", "problem"} == set(json.loads(bad.stdout)[0])
    missing = CliRunner().invoke(main, ["--url", url, "verify", "--anchor", "nowhere.json"])
    assert (missing.exit_code, "penstock db anchor" in missing.stderr) == (2, True)
