"""Law L1 under SIGKILL: wherever a process dies, doing the same again ends in the same state.

Places are named in the code (`penstock.failpoints`): after each group of statements inside a transaction, before and
after its COMMIT, around renames and syncs, between the parts of an upload, between the revisions of a migration.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from pprint import pformat
from typing import Any

import pytest

import penstock
from penstock.artifacts.cache import CachedArtifacts
from penstock.artifacts.local import LocalArtifacts
from penstock.model.runs import LogBatch, Metric, RunStatus
from penstock.model.versions import FileEntry
from penstock.stores.sql.store import SqlStore
from tests import tiny
from tests.artifacts.insides import BucketInside
from tests.contracts import samples
from tests.contracts.artifact_store import LARGE_BYTES, sha256_of, written
from tests.contracts.comparing import shown
from tests.migrations.earlier import taken_over
from tests.postgres_server import PostgresServer
from tests.s3_servers import S3Server, moto, new_prefix, rclone, s3_credentials, s3_server
from tests.scenarios.collecting import collected
from tests.scenarios.killing import Place, killed_at, names_in_source, reached_in
from tests.scenarios.ledgers import state
from tests.tiny_pipeline import retrain

__all__ = ["moto", "rclone", "s3_credentials", "s3_server"]

NewUrl = Callable[[Path], str]
Call = Callable[[SqlStore], object]

# What a pipeline is killed at on every test run; `make slow` kills it at every place, every time it is reached.
SAMPLE: tuple[Place, ...] = (
    ("migration.created", 1),
    ("run.inserted", 1),
    ("local.synced", 1),
    ("model.files", 1),
    ("ledger.entry", 3),
    ("decision.inserted", 1),
    ("alias.recorded", 1),
    ("transaction.committed", 7),
)


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny.held_out_file(tmp_path_factory.mktemp("data"))


@pytest.fixture(params=["sqlite", "postgres"])
def new_url(request: pytest.FixtureRequest) -> Iterator[NewUrl]:
    """Make an empty database of its own for every kill, on each server."""
    if request.param == "sqlite":
        yield lambda folder: f"sqlite:///{folder / 'penstock.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    made: list[str] = []

    def make(_folder: Path) -> str:
        made.append(server.new_database())
        return server.url(made[-1])

    yield make
    for name in made:
        server.drop(name)


def _folder(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    return folder


# -------------------------------------------------------------------------------------------------- a whole pipeline


def _pipeline(url: str, folder: Path, held_out: str) -> dict[str, Any]:
    with penstock.connect(url, folder / "artifacts", actor="tester") as client:
        retrain(client, "2013-03", held_out)
        found: dict[str, Any] = _timeless(state(client, tiny.EXPERIMENT, tiny.MODEL))
        return found


def _timeless(value: Any) -> Any:
    """What is left without what only the clock decides: when it was judged, and how long loading took."""
    if isinstance(value, dict):
        return {key: _timeless(item) for key, item in value.items() if key not in {"now_ms", "facts_digest"}}
    return [_timeless(item) for item in value] if isinstance(value, list | tuple) else value


def _survives(tmp_path: Path, held_out: str, new_url: NewUrl, chosen: tuple[Place, ...] | None) -> None:
    calm, expected = _folder(tmp_path, "calm"), {}
    url = new_url(calm)
    reached = reached_in(lambda: expected.update(_pipeline(url, calm, held_out)))
    places = chosen or tuple((name, time) for name, times in reached.items() for time in range(1, times + 1))
    assert {name for name, _ in places} <= set(reached)
    for name, time in places:
        folder = _folder(tmp_path, f"{name}-{time}")
        url = new_url(folder)
        killed_at((name, time), partial(_pipeline, url, folder, held_out))
        assert _pipeline(url, folder, held_out) == expected, f"after a kill at {name}, time {time}"
    with penstock.connect(url, folder / "artifacts") as client:
        assert list(client.verify()) == []


def test_a_pipeline_killed_at_some_places_ends_the_same_when_run_again(
    tmp_path: Path, held_out: str, new_url: NewUrl
) -> None:
    _survives(tmp_path, held_out, new_url, SAMPLE)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_pipeline_killed_anywhere_ends_the_same_when_run_again(
    tmp_path: Path, held_out: str, new_url: NewUrl
) -> None:
    _survives(tmp_path, held_out, new_url, None)


def test_running_a_finished_pipeline_again_changes_nothing_at_all(tmp_path: Path, held_out: str) -> None:
    with penstock.connect(f"sqlite:///{tmp_path / 'penstock.db'}", actor="tester") as client:
        first = retrain(client, "2013-03", held_out)
        before = state(client, tiny.EXPERIMENT, tiny.MODEL)
        database = (tmp_path / "penstock.db").read_bytes()
        assert retrain(client, "2013-03", held_out) == first
        assert state(client, tiny.EXPERIMENT, tiny.MODEL) == before
        assert (tmp_path / "penstock.db").read_bytes() == database


# --------------------------------------------------- one call after another, each delivered again


def _calls() -> list[Call]:
    """What pipelines seldom do, each call as its caller would deliver it again, and what each needs before it."""
    point = Metric("loss", 0.5, 1, datetime(2013, 3, 1, tzinfo=UTC))
    run_id = samples.new_run("2013-03").run_id
    first, second, lost = (samples.new_attempt(run_id, name, 1) for name in ("train", "train", "lost"))
    held: dict[str, Any] = {}  # what the last delivery of a beginning returned: a repeated one is a newer attempt
    everything = LogBatch((point,), {"depth": "3"}, {"team": "ours"}, (samples.held_out(),))
    return [
        lambda store: store.open_run(samples.new_run("2013-03")),
        lambda store: held.update(attempt=store.begin_attempt(first)),
        lambda store: store.log(held["attempt"], everything),
        lambda store: store.log(held["attempt"], LogBatch((point,))),
        lambda store: store.put_artifacts(held["attempt"], [FileEntry("notes.txt", "0" * 64, 3)]),
        lambda store: store.end_run(run_id, RunStatus.FAILED, "it broke", samples.ACTOR),
        lambda store: held.update(attempt=store.begin_attempt(second)),
        lambda store: store.end_attempt(samples.done(held["attempt"], "trained")),
        lambda store: store.begin_attempt(replace(lost, lease_s=-1.0)),
        lambda store: store.reap(samples.ACTOR),
        lambda store: _rolled_back(str(store.url)),
    ]


def _made(url: str) -> None:
    """Make a store in which a second version holds the alias."""
    with closing(SqlStore(url)) as store:
        samples.released(store, "first")
        samples.released(store, "second", generation=1)


def _rolled_back(url: str) -> None:
    with penstock.connect(url, "unused", actor="tester") as client:
        client.rollback(samples.MODEL, samples.ALIAS, reason="it was worse", key="once")


def _settled(url: str) -> str:
    """Everything that a store shows, but how many attempts it took."""
    with closing(SqlStore(url)) as store:
        everything = shown(store)
    for details in everything["details"]:
        details.pop("steps")
    return re.sub(r"attempt \d+", "attempt #", pformat(everything))


def _call(url: str, call: Call) -> None:
    with closing(SqlStore(url)) as store:
        call(store)


def _each_call_survives(tmp_path: Path, new_url: NewUrl) -> Counter[str]:
    calls, calm = _calls(), new_url(_folder(tmp_path, "calm"))
    _made(calm)
    reached = [reached_in(partial(_call, calm, call)) for call in calls]
    expected = _settled(calm)
    for number, names in enumerate(reached):
        for place in sorted(names.items()):
            url = new_url(_folder(tmp_path, f"{number}-{place[0]}"))
            _made(url)
            for call in calls[:number]:
                _call(url, call)
            killed_at(place, partial(_call, url, calls[number]))
            for call in calls[number:]:
                _call(url, call)
            assert _settled(url) == expected, f"after a kill at {place} of call {number}"
    return sum(reached, Counter())


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_call_that_is_killed_anywhere_and_made_again_happens_once(tmp_path: Path, new_url: NewUrl) -> None:
    assert _each_call_survives(tmp_path, new_url)


# ---------------------------------------------------------------------------------------------------- bytes


def _put_locally(folder: Path, file: Path) -> None:
    LocalArtifacts(folder / "artifacts").put_file(file)


def _put_on_s3(server: S3Server, prefix: str, file: Path) -> None:
    server.artifacts(prefix).put_file(file)


def _read_through_cache(folder: Path, sha256: str) -> None:
    cached = CachedArtifacts(LocalArtifacts(folder / "artifacts"), folder / "cache")
    cached.fetch(sha256, folder / "back")


@pytest.mark.parametrize("size", [7_000, LARGE_BYTES])
def test_a_file_stored_by_a_process_that_is_killed_anywhere_is_stored_whole_by_the_next(
    tmp_path: Path, size: int
) -> None:
    file, content = tmp_path / "file", os.urandom(size)
    written(file, content)
    calm = _folder(tmp_path, "calm")
    for place in reached_in(partial(_put_locally, calm, file)).items():
        folder = _folder(tmp_path, place[0])
        killed_at(place, partial(_put_locally, folder, file))
        store = LocalArtifacts(folder / "artifacts")
        for left in (folder / "artifacts").glob("blobs/*/*"):
            assert left.name.startswith("incoming-") or left.read_bytes() == content
        assert store.put_file(file) == (sha256_of(content), size)
        store.fetch(sha256_of(content), folder / "back")
        assert len(store.sweep_incoming(0)) <= 1
        assert [left.name for left in (folder / "artifacts").rglob("*") if left.is_file()] == [sha256_of(content)]


@pytest.mark.parametrize("size", [7_000, pytest.param(LARGE_BYTES, marks=pytest.mark.slow)])
def test_an_upload_killed_anywhere_is_carried_on_or_begun_anew(s3_server: S3Server, tmp_path: Path, size: int) -> None:
    file, content = tmp_path / "file", os.urandom(size)
    written(file, content)
    for place in reached_in(partial(_put_on_s3, s3_server, new_prefix(), file)).items():
        prefix = new_prefix()
        killed_at(place, partial(_put_on_s3, s3_server, prefix, file))
        store = s3_server.artifacts(prefix)
        inside = BucketInside(s3_server, store)
        assert inside.hashes() in ([], [sha256_of(content)])
        assert store.put_file(file) == (sha256_of(content), size)
        assert inside.read(sha256_of(content)) == content
        assert size < LARGE_BYTES or inside.uploads() == []


def test_a_cache_whose_writer_is_killed_anywhere_serves_the_next(tmp_path: Path) -> None:
    file = written(tmp_path / "file", b"content")
    sha256, _ = LocalArtifacts(tmp_path / "calm" / "artifacts").put_file(file)
    for place in reached_in(partial(_read_through_cache, tmp_path / "calm", sha256)).items():
        folder = tmp_path / place[0]
        LocalArtifacts(folder / "artifacts").put_file(file)
        killed_at(place, partial(_read_through_cache, folder, sha256))
        _read_through_cache(folder, sha256)
        assert (folder / "back").read_bytes() == b"content"


# ------------------------------------------------------------------------------------------------ nothing forgotten


def test_every_place_in_the_code_is_reached_by_one_of_the_sweeps(
    tmp_path: Path, held_out: str, rclone: S3Server, s3_credentials: None
) -> None:
    folder, url = _folder(tmp_path, "artifacts"), f"sqlite:///{tmp_path / 'calls.db'}"
    small, large = written(tmp_path / "small", b"s"), written(tmp_path / "large", os.urandom(LARGE_BYTES))
    reached = reached_in(partial(_pipeline, f"sqlite:///{tmp_path / 'pipeline.db'}", folder, held_out))
    _made(url)
    for call in _calls():
        reached += reached_in(partial(_call, url, call))
    for file in (small, large):
        reached += reached_in(partial(_put_locally, folder, file))
        reached += reached_in(partial(_put_on_s3, rclone, new_prefix(), file))
    reached += reached_in(partial(_read_through_cache, folder, sha256_of(b"s")))
    reached += reached_in(partial(taken_over, tmp_path))
    reached += reached_in(partial(collected, _folder(tmp_path, "collected"), rclone.artifacts(new_prefix())))
    assert set(reached) == names_in_source()
    assert len(reached) >= 40
