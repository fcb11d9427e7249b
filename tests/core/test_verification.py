"""`verify`: a sound store has no findings, and whatever is changed behind its back is found."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import penstock
from penstock.artifacts.cache import CachedArtifacts
from penstock.errors import Corrupted
from penstock.services.active_run import ActiveRun
from penstock.services.verification import verify
from tests import tiny
from tests.artifacts.insides import FolderInside
from tests.tiny_pipeline import retrain

RUNS = (("2013-03", 1.0), ("2013-04", 0.5), ("2013-05", 1.0))


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


def _tampered(sound: Path, tmp_path: Path, change: Callable[[sqlite3.Connection], object]) -> str:
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


def test_a_decision_that_an_earlier_code_put_in_other_words_is_sound(sound: Path, tmp_path: Path) -> None:
    def reworded(code: str) -> list[str]:
        document = f"replace(replace(document, 'must be', 'should be'), 'penstock 0.1', '{code}')"
        (tmp_path / code).mkdir()
        tampered = _tampered(
            sound, tmp_path / code, lambda connection: connection.execute(f"UPDATE decisions SET document = {document}")
        )
        return _found(tampered, sound)

    assert (set(reworded("penstock 0.1")), reworded("penstock 0.0")) == ({"replay"}, [])


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


def _damaged(blob: Path, damage: str, rng: random.Random) -> None:
    """Flip one bit anywhere, cut the file anywhere, or delete it."""
    content = bytearray(blob.read_bytes())
    at = rng.randrange(len(content))
    if damage == "flip":
        content[at] ^= 1 << rng.randrange(8)
        blob.write_bytes(content)
    elif damage == "cut":
        blob.write_bytes(content[:at])
    else:
        blob.unlink()


@pytest.fixture
def copied(sound: Path, tmp_path: Path) -> Path:
    """A copy of the sound store in the test's own folder."""
    shutil.copytree(sound / "artifacts", tmp_path / "artifacts")
    shutil.copy(sound / "penstock.db", tmp_path / "penstock.db")
    return tmp_path


@pytest.mark.parametrize("damage", ["flip", "cut", "delete"])
def test_every_stored_byte_that_is_damaged_is_refused_on_loading_and_named(copied: Path, damage: str) -> None:
    rng = random.Random(damage)
    with penstock.connect(f"sqlite:///{copied / 'penstock.db'}") as client:
        store, blobs = client.wiring.store, sorted((copied / "artifacts" / "blobs").glob("*/*"))
        files = store.get_model(client.get_version(tiny.MODEL, 1).model_id).files
        for file in files:
            blob = copied / "artifacts" / "blobs" / file.sha256[:2] / file.sha256
            content = blob.read_bytes()
            _damaged(blob, damage, rng)
            with pytest.raises(Corrupted, match=file.sha256):
                client.load_model(f"models:/{tiny.MODEL}/1")
            findings = list(client.verify())
            assert {f.check for f in findings} == {"bytes"}
            assert f"models:/{tiny.MODEL}/1 {file.path}" in {f.subject for f in findings}
            blob.write_bytes(content)
        for _ in range(1 if damage == "delete" else 5):
            whole = {blob: blob.read_bytes() for blob in blobs}
            for blob in blobs:
                _damaged(blob, damage, rng)
                with pytest.raises(Corrupted, match=blob.name):
                    client.wiring.artifacts.fetch(blob.name, copied / "back")
            told = " ".join(f.problem for f in client.verify() if f.check == "bytes")
            assert [blob.name for blob in blobs if blob.name not in told] == []
            for blob, content in whole.items():
                blob.write_bytes(content)
        assert len(blobs) > len(files)  # those of versions, of another model, and artifacts of runs
        assert list(client.verify()) == []


def test_a_damaged_artifact_is_named_by_its_run_and_one_let_go_of_meanwhile_is_not(
    client: penstock.Client, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("notes")
    with client.open_run("e", "p") as run:
        sha256 = run.log_artifact(tmp_path / "notes.txt").sha256
        next((tmp_path / "artifacts" / "blobs").rglob(sha256)).unlink()
        (finding,) = client.verify()
        assert (finding.check, finding.subject) == ("bytes", f"runs:/{run.run_id} notes.txt")
        findings = client.verify()
        (tmp_path / "notes.txt").write_text("others")
        original = client.wiring.store.list_blobs
        client.wiring.store.list_blobs = lambda *asked: _replaced_after(original(*asked), run, tmp_path)  # type: ignore[method-assign]
        assert list(findings) == []


def _replaced_after(blobs: Sequence[str], run: ActiveRun, folder: Path) -> Sequence[str]:
    run.log_artifact(folder / "notes.txt")
    return blobs


def test_what_is_verified_are_the_bytes_that_are_stored_and_no_copy_in_a_cache(copied: Path) -> None:
    with penstock.connect(f"sqlite:///{copied / 'penstock.db'}") as client:
        cached = replace(client.wiring, artifacts=CachedArtifacts(client.wiring.artifacts, copied / "cache"))
        (file, *_) = client.wiring.store.get_model(client.get_version(tiny.MODEL, 1).model_id).files
        cached.artifacts.fetch(file.sha256, copied / "back")
        FolderInside(copied / "artifacts").delete(file.sha256)
        cached.artifacts.fetch(file.sha256, copied / "back")
        assert {finding.check for finding in verify(cached)} == {"bytes"}


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


# ------------------------------------------------------------------------------------------------- what is left behind


def test_bytes_that_no_record_refers_to_are_named_once_they_are_old(sound: Path, tmp_path: Path) -> None:
    shutil.copytree(sound / "artifacts", tmp_path / "artifacts")
    shutil.copy(sound / "penstock.db", tmp_path / "penstock.db")
    with penstock.connect(f"sqlite:///{tmp_path / 'penstock.db'}") as client:
        (tmp_path / "nobody's").write_bytes(b"nobody's")
        sha256, _ = client.wiring.artifacts.put_file(tmp_path / "nobody's")
        assert list(client.verify()) == []  # its record may be about to be written
        blob = next((tmp_path / "artifacts").rglob(sha256))
        os.utime(blob, (0, 0))
        assert [(f.check, f.subject) for f in client.verify()] == [("orphan", sha256)]
        for known in (tmp_path / "artifacts").rglob("*"):
            os.utime(known, (0, 0))
        assert [(f.check, f.subject) for f in client.verify()] == [("orphan", sha256)]


def test_a_row_whose_owner_is_gone_is_named(sound: Path, tmp_path: Path) -> None:
    def change(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO tags SELECT 'f' || substr(run_id, 2), 'team', 'nobody' FROM runs LIMIT 1")

    assert _found(_tampered(sound, tmp_path, change), sound) == ["stray"]


def test_a_run_that_nobody_works_on_any_more_is_named_until_it_is_reaped(client: penstock.Client) -> None:
    run = client.open_run("e", "p", deadline_s=0.001)
    time.sleep(0.01)
    assert [(f.check, f.subject) for f in client.verify()] == [("lease", f"run {run.run_id}")]
    client.reap()
    assert list(client.verify()) == []


def test_a_store_that_is_written_to_while_it_is_verified_is_sound(client: penstock.Client) -> None:
    for number in range(5):
        client.open_run("e", str(number)).close()
    entries = client.wiring.store.read_ledger
    client.wiring.store.read_ledger = _written_to_in_between(client, entries)  # type: ignore[method-assign]
    assert [f for f in client.verify() if f.check == "ledger"] == []


def _written_to_in_between(client: penstock.Client, entries: Callable[..., Iterator[Any]]) -> Callable[..., Any]:
    def read(*arguments: Any) -> Iterator[Any]:
        client.open_run("e", "meanwhile")
        yield from entries(*arguments)

    return read
