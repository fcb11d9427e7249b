"""Collecting: what policies let go of, what is always kept, and that it happens once however often it is killed."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

import penstock
from penstock.errors import BlobsCollected, Busy, Conflict, InvalidValue
from penstock.model.retention import Contents
from penstock.ports import StoredObject
from penstock.services.storing import referred_to
from tests import tiny
from tests.contracts.artifact_store import sha256_of
from tests.core.retention.stage import EXPERIMENT, Stage
from tests.scenarios.killing import killed_at, reached_in
from tests.tiny_pipeline import retrain

# Where a collector is killed on every test run; the slow test kills it everywhere it comes past.
SAMPLE = (("purge.rows", 1), ("gc.purged", 1), ("blobs.sweeping", 1), ("gc.sweeping", 1), ("local.deleted", 2))


def test_without_a_policy_everything_with_a_record_is_kept(stage: Stage) -> None:
    stage.run("a", "one")
    stage.orphan("nobody's")
    found = stage.collect()
    assert (found.runs, found.blobs, found.freed_bytes, found.missing) == (0, 1, 8, ())
    assert stage.is_there("one")
    assert not stage.is_there("nobody's")


def test_a_dry_run_says_what_the_real_one_then_does_and_changes_nothing(stage: Stage) -> None:
    for key in ("a", "b", "c"):
        stage.run(key, f"text of {key}", "shared")
    stage.orphan("nobody's")
    stage.client.set_retention(EXPERIMENT, keep_last=1)
    before = stage.inside.hashes()
    foreseen = stage.client.collect(grace_s=0)
    assert stage.inside.hashes() == before
    assert len(stage.client.list_runs()) == 3
    assert foreseen.dry_run
    assert (foreseen.runs, foreseen.contents) == (2, Contents(0, 4, 2, 2 * (9 + 6)))
    assert (foreseen.blobs, foreseen.freed_bytes) == (3, 9 + 9 + 8)
    done = stage.collect()
    assert (done.runs, done.contents, done.blobs, done.freed_bytes) == (
        foreseen.runs,
        foreseen.contents,
        foreseen.blobs,
        foreseen.freed_bytes,
    )
    assert stage.is_there("text of c")
    assert stage.is_there("shared")
    again = stage.collect()
    assert (again.runs, again.blobs) == (0, 0)
    assert list(stage.client.verify()) == []
    told = [e for e in stage.client.read_ledger() if e.kind == "run_purged"]
    assert [(e.after["artifacts"], e.after["size_bytes"]) for e in told] == [(2, 15), (2, 15)]
    assert "keep the last 1" in told[0].why


def test_young_bytes_and_recent_runs_are_left_alone(stage: Stage) -> None:
    stage.run("a", "one")
    stage.orphan("nobody's")
    stage.client.set_retention(EXPERIMENT, keep_days=1)
    found = stage.client.collect(dry_run=False)
    assert (found.runs, found.blobs) == (0, 0)
    assert stage.is_there("nobody's")
    with pytest.raises(InvalidValue, match="grace_s"):
        stage.client.collect(grace_s=float("nan"))


def test_what_a_version_or_a_decision_refers_to_outlives_every_policy(stage: Stage) -> None:
    held_out = tiny.held_out_file(stage.folder)
    retrain(stage.client, "passed", held_out)
    retrain(stage.client, "refused", held_out, strength=1e-6)
    with stage.client.open_run(tiny.EXPERIMENT, key="plain") as run:
        plain = run.step("train", tiny.train, strength=0.5)
    stage.client.set_retention(tiny.EXPERIMENT, keep_last=0)
    stage.client.set_retention(tiny.EXPERIMENT, model="model", keep_last=0)
    found = stage.collect()
    assert (found.runs, found.contents.models, found.kept) == (1, 1, 4)
    assert stage.lost() == []
    assert list(stage.client.verify()) == []
    stage.client.load_model(tiny.CHAMPION)
    with pytest.raises(Conflict, match="collected"):
        stage.client.open_run(tiny.EXPERIMENT, key="plain")
    assert plain["run_id"] == run.run_id


def test_the_models_of_a_run_may_go_while_its_metrics_stay(stage: Stage) -> None:
    runs = []
    for key in ("a", "b"):
        with stage.client.open_run(EXPERIMENT, key=key) as run:
            run.step("train", tiny.train, strength=1.0 if key == "a" else 0.5)
        runs.append(run.run_id)
    stage.client.set_retention(EXPERIMENT, model="model", keep_last=1)
    found = stage.collect()
    assert (found.runs, found.contents.models) == (0, 1)
    assert stage.client.get_run(runs[0]).metrics == {"train_rows": 379}
    assert stage.lost() == []
    assert list(stage.client.verify()) == []


def test_what_people_have_deleted_goes_only_when_asked_for(stage: Stage) -> None:
    run_id = stage.run("a", "one")
    stage.client.delete_run(run_id, reason="by mistake")
    assert stage.collect().runs == 0
    assert stage.collect(deleted=True).runs == 1
    with pytest.raises(Conflict, match="collected"):
        stage.client.restore_run(run_id, reason="back")
    assert list(stage.client.verify()) == []


def test_a_missing_object_is_reported_and_nothing_else_suffers(stage: Stage) -> None:
    stage.run("a", "one", "two")
    stage.orphan("nobody's")
    stage.inside.delete(sha256_of(b"one"))
    assert stage.client.collect(grace_s=0).missing == (sha256_of(b"one"),)
    found = stage.collect()
    assert (found.missing, found.blobs) == ((sha256_of(b"one"),), 1)


def _doomed(folder: Path, name: str) -> Stage:
    """A store in which something of everything is to be collected; the client is the caller's to close."""
    here = folder / name
    here.mkdir()
    url = f"sqlite:///{here / 'penstock.db'}"
    made = Stage(penstock.connect(url, here / "bytes", actor="ana"), here, url)
    for key in ("a", "b", "c"):
        made.run(key, f"text of {key}", "shared")
    made.orphan("nobody's")
    made.orphan("nobody's either")
    made.client.set_retention(EXPERIMENT, keep_last=1)
    return made


def _survives(folder: Path, places: tuple[tuple[str, int], ...] | None) -> None:
    calm = _doomed(folder, "calm")
    reached = reached_in(calm.collect)
    expected = (calm.inside.hashes(), [e.kind for e in calm.client.read_ledger()])
    calm.client.close()
    everywhere = tuple((name, number) for name, times in reached.items() for number in sorted({1, times}))
    for name, number in places or everywhere:
        made = _doomed(folder, f"{name}-{number}")
        made.client.close()
        killed_at((name, number), made.collect)
        assert made.lost() == [], f"after a kill at {name}"
        for _ in range(40):
            try:
                made.collect()
                break
            except Busy:  # the killed one's claim runs on for a while
                time.sleep(0.1)
        assert (made.inside.hashes(), [e.kind for e in made.client.read_ledger()]) == expected, f"at {name} {number}"
        assert made.lost() == []
        assert list(made.client.verify()) == []
        made.client.close()


def test_a_collector_killed_at_some_places_ends_the_same_when_run_again(tmp_path: Path) -> None:
    _survives(tmp_path, SAMPLE)


@pytest.mark.slow
def test_a_collector_killed_anywhere_ends_the_same_when_run_again(tmp_path: Path) -> None:
    _survives(tmp_path, None)


def test_two_collectors_do_not_work_at_the_same_time(stage: Stage) -> None:
    store = stage.client.wiring.store
    assert store.claim_collection("f" * 32, 60)
    with pytest.raises(Busy, match="another 'penstock gc'"):
        stage.collect()
    store.release_collection("f" * 32)
    stage.collect()


def test_a_writer_that_finds_its_bytes_gone_stores_them_again_by_itself(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytes were there when it looked, and are deleted before it refers to them."""
    wiring, path = stage.client.wiring, stage.folder / "text"
    path.write_text("contested")
    sha256 = stage.orphan("contested")
    tries: list[int] = []

    with stage.client.open_run(EXPERIMENT, key="a") as run:
        original = wiring.artifacts.put_file

        def put_file(given: Path, progress: object = None) -> tuple[str, int]:
            stored = original(given)
            tries.append(1)
            if len(tries) == 1:
                assert stage.collect().blobs == 1
            return stored

        monkeypatch.setattr(wiring.artifacts, "put_file", put_file)
        run.log_artifact(path)
    assert len(tries) == 2
    assert stage.is_there("contested")
    assert list(wiring.store.list_blobs("", 10)) == [sha256]


def test_a_writer_waits_while_its_bytes_are_being_deleted(stage: Stage) -> None:
    store = stage.client.wiring.store
    sha256 = stage.orphan("contested")
    store.condemn_blobs([StoredObject(sha256, 9, 1e6)])
    assert list(store.begin_sweep([sha256], "1" * 32)) == [sha256]

    def finish() -> None:
        time.sleep(0.3)
        stage.client.wiring.artifacts.delete_objects([sha256], 10)
        store.end_sweep([sha256], "1" * 32)

    finisher = threading.Thread(target=finish)
    finisher.start()
    stage.run("a", "contested")
    finisher.join()
    assert stage.is_there("contested")


def test_bytes_are_put_again_only_for_that_reason() -> None:
    def refuse(_stored: object, _sweeps: object) -> None:
        raise Conflict("a", "b", "c", "d")

    puts: list[int] = []
    with pytest.raises(Conflict):
        referred_to(lambda: puts.append(1), refuse)
    assert len(puts) == 1
    sweeps = []

    def once_gone(_stored: object, seen: object) -> str:
        sweeps.append(seen)
        if len(sweeps) == 1:
            raise BlobsCollected(("b" * 64,), ("1" * 32,), sweeping=False)
        return "there"

    assert referred_to(lambda: puts.append(1), once_gone) == "there"
    assert sweeps == [(), ("1" * 32,)]


def test_deleting_stops_when_the_right_to_delete_has_ended(stage: Stage) -> None:
    sha256 = stage.orphan("nobody's")
    with pytest.raises(penstock.Transient, match="longer than it may"):
        stage.client.wiring.artifacts.delete_objects([sha256], 0)
    assert stage.is_there("nobody's")
