"""The read cache: verified on every read, bounded, shared, and never in the way."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.artifacts.cache import CachedArtifacts, cache_folder
from penstock.artifacts.local import LocalArtifacts
from penstock.artifacts.opening import open_artifacts
from penstock.artifacts.s3 import S3Artifacts
from penstock.errors import Corrupted
from tests.artifacts.insides import FolderInside
from tests.contracts.artifact_store import written

KIB = 1024


@pytest.fixture
def store(tmp_path: Path) -> LocalArtifacts:
    return LocalArtifacts(tmp_path / "artifacts")


@pytest.fixture
def cached(store: LocalArtifacts, tmp_path: Path) -> CachedArtifacts:
    return CachedArtifacts(store, tmp_path / "cache", 100 * KIB)


def _fetched(cached: CachedArtifacts, sha256: str, tmp_path: Path) -> bytes:
    cached.fetch(sha256, tmp_path / "back")
    return (tmp_path / "back").read_bytes()


def test_what_was_fetched_once_is_read_from_the_cache(
    store: LocalArtifacts, cached: CachedArtifacts, tmp_path: Path
) -> None:
    stored = store.put_files([written(tmp_path / f"{i}", b"%d" % i) for i in range(3)])
    cached.fetch_all([(sha, tmp_path / "first" / sha) for sha, _ in stored])
    for sha, _ in stored:
        FolderInside(store.root).delete(sha)
    cached.fetch_all([(sha, tmp_path / "second" / sha) for sha, _ in stored])
    assert [_fetched(cached, sha, tmp_path) for sha, _ in stored] == [b"0", b"1", b"2"]


@pytest.mark.parametrize("damage", [b"", b"content?", b"c0ntent"])
def test_a_damaged_copy_is_fetched_again_and_replaced(
    store: LocalArtifacts, cached: CachedArtifacts, tmp_path: Path, damage: bytes
) -> None:
    sha256, _ = store.put_file(written(tmp_path / "a", b"content"))
    assert _fetched(cached, sha256, tmp_path) == b"content"
    FolderInside(cached.folder).replace(sha256, damage)
    assert _fetched(cached, sha256, tmp_path) == b"content"
    FolderInside(store.root).delete(sha256)
    assert _fetched(cached, sha256, tmp_path) == b"content"
    FolderInside(cached.folder).replace(sha256, damage)
    with pytest.raises(Corrupted, match=sha256):
        cached.fetch(sha256, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_the_cache_stays_within_its_limit_and_the_least_recently_read_goes_first(
    store: LocalArtifacts, cached: CachedArtifacts, tmp_path: Path
) -> None:
    stored = store.put_files([written(tmp_path / f"{i}", os.urandom(10 * KIB)) for i in range(30)])
    inside = FolderInside(cached.folder)
    favourite = stored[0][0]
    for number, (sha, _) in enumerate(stored):
        _fetched(cached, sha, tmp_path)
        os.utime(inside._path(sha), (number, number))
        _fetched(cached, favourite, tmp_path)
        assert sum(len(inside.read(each)) for each in inside.hashes()) <= 100 * KIB
    assert favourite in inside.hashes()
    assert stored[1][0] not in inside.hashes()
    assert len(inside.hashes()) >= 8


def test_an_object_that_would_fill_the_cache_is_not_kept(
    store: LocalArtifacts, cached: CachedArtifacts, tmp_path: Path
) -> None:
    sha256, _ = store.put_file(written(tmp_path / "a", os.urandom(90 * KIB)))
    _fetched(cached, sha256, tmp_path)
    assert FolderInside(cached.folder).hashes() == []


def test_the_cache_is_its_users_alone(store: LocalArtifacts, cached: CachedArtifacts, tmp_path: Path) -> None:
    sha256, _ = store.put_file(written(tmp_path / "a", b"content"))
    _fetched(cached, sha256, tmp_path)
    assert stat.S_IMODE(cached.folder.stat().st_mode) == 0o700


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(store: LocalArtifacts, tmp_path: Path) -> None:
    sha256, _ = store.put_file(written(tmp_path / "a", b"content"))
    in_the_way = written(tmp_path / "in-the-way", b"")
    assert _fetched(CachedArtifacts(store, in_the_way), sha256, tmp_path) == b"content"
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    os.chown(foreign, os.getuid() + 1, -1)
    assert _fetched(CachedArtifacts(store, foreign), sha256, tmp_path) == b"content"
    assert list(foreign.iterdir()) == []


def test_a_damaged_copy_that_cannot_be_removed_is_passed_over(
    store: LocalArtifacts, cached: CachedArtifacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256, _ = store.put_file(written(tmp_path / "a", b"content"))
    _fetched(cached, sha256, tmp_path)
    FolderInside(cached.folder).replace(sha256, b"c0ntent")
    unlink = Path.unlink

    def refused(path: Path, missing_ok: bool = False) -> None:
        if path.is_relative_to(cached.folder / "blobs"):
            raise PermissionError(30, "Read-only file system")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refused)
    assert _fetched(cached, sha256, tmp_path) == b"content"


def test_progress_is_told_of_what_is_cached_too(store: LocalArtifacts, cached: CachedArtifacts, tmp_path: Path) -> None:
    sha256, _ = store.put_file(written(tmp_path / "a", b"content"))
    for _ in range(2):
        seen: list[tuple[int, int]] = []
        cached.fetch(sha256, tmp_path / "back", lambda *at: seen.append(at))  # noqa: B023 - called in this turn only
        assert seen == [(7, 7)]


def test_processes_that_share_a_cache_too_small_for_them_read_what_was_stored(
    store: LocalArtifacts, tmp_path: Path
) -> None:
    stored = store.put_files([written(tmp_path / f"{i}", os.urandom(4 * KIB)) for i in range(40)])
    code = (
        "import sys; from pathlib import Path; from penstock.artifacts.cache import CachedArtifacts\n"
        "from penstock.artifacts.local import LocalArtifacts\n"
        "cached = CachedArtifacts(LocalArtifacts(Path(sys.argv[1])), Path(sys.argv[2]), 60_000)\n"
        "for turn in range(5):\n"
        "    for sha in sys.argv[4:]: cached.fetch(sha, Path(sys.argv[3]))\n"
    )
    hashes = [sha for sha, _ in stored]
    command = [sys.executable, "-c", code, str(store.root), str(tmp_path / "cache")]
    children = [
        subprocess.Popen([*command, str(tmp_path / f"back-{i}"), *hashes[i * 5 :], *hashes[: i * 5]]) for i in range(4)
    ]
    assert [child.wait() for child in children] == [0] * 4
    assert list((tmp_path / "cache" / "incoming").iterdir()) == []


def test_where_the_cache_is_and_how_it_is_turned_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = {"XDG_CACHE_HOME": str(tmp_path)}
    assert cache_folder(home) == tmp_path / "penstock" / "artifacts"
    assert cache_folder({**home, "PENSTOCK_CACHE": "0"}) is None
    assert cache_folder({**home, "PENSTOCK_CACHE": str(tmp_path / "mine")}) == tmp_path / "mine"
    monkeypatch.setenv("PENSTOCK_CACHE", str(tmp_path / "mine"))
    assert isinstance(open_artifacts("s3://bucket"), CachedArtifacts)
    assert isinstance(open_artifacts(tmp_path), LocalArtifacts)
    monkeypatch.setenv("PENSTOCK_CACHE", "0")
    assert isinstance(open_artifacts("s3://bucket"), S3Artifacts)
