"""What only a local folder can meet: its own crashes, and a folder that cannot be used."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from penstock.artifacts import local
from penstock.artifacts.content import hash_file
from penstock.artifacts.local import LocalArtifacts
from penstock.errors import StoreUnavailable
from tests.contracts.artifact_store import written


@pytest.fixture
def artifacts(tmp_path: Path) -> LocalArtifacts:
    return LocalArtifacts(tmp_path / "artifacts")


def test_damaged_bytes_of_the_right_length_are_mended_by_storing_them_again(
    artifacts: LocalArtifacts, tmp_path: Path
) -> None:
    sha256, _ = artifacts.put_file(written(tmp_path / "a", b"content"))
    next(artifacts.root.rglob(sha256)).write_bytes(b"damaged")
    assert artifacts.put_file(tmp_path / "a")[0] == sha256
    artifacts.fetch(sha256, tmp_path / "back.bin")


def test_an_object_that_a_collector_deletes_while_it_is_compared_is_stored_again(
    artifacts: LocalArtifacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256, _ = artifacts.put_file(written(tmp_path / "a", b"content"))

    def deleted_first(path: Path) -> str:
        path.unlink()
        return hash_file(path)

    monkeypatch.setattr(local, "hash_file", deleted_first)
    assert artifacts.put_file(tmp_path / "a")[0] == sha256
    artifacts.fetch(sha256, tmp_path / "back")


def test_an_object_that_a_collector_deletes_during_a_listing_is_not_listed(artifacts: LocalArtifacts) -> None:
    first, second = ("ab" + digit * 62 for digit in "01")
    (artifacts.root / "blobs" / "ab").mkdir(parents=True)
    for sha256 in (first, second):
        written(artifacts.root / "blobs" / "ab" / sha256, b"content")
    listing = artifacts.list_objects()
    assert next(listing).sha256 == first
    (artifacts.root / "blobs" / "ab" / second).unlink()
    assert list(listing) == []


def test_a_writer_that_is_killed_leaves_nothing_visible_and_is_swept(artifacts: LocalArtifacts, tmp_path: Path) -> None:
    big = tmp_path / "big.bin"
    with big.open("wb") as file:
        file.truncate(4 << 30)
    code = (
        "import sys; from pathlib import Path; from penstock.artifacts.local import LocalArtifacts;"
        "LocalArtifacts(Path(sys.argv[1])).put_file(Path(sys.argv[2]))"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(artifacts.root), str(big)])
    deadline = time.monotonic() + 30
    while not list(artifacts.root.glob("incoming/*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    child.kill()
    child.wait()
    left = [str(path) for path in artifacts.root.glob("incoming/*")]
    assert len(left) == 1
    assert not (artifacts.root / "blobs").exists()
    assert artifacts.sweep_incoming(60) == []
    assert artifacts.sweep_incoming(0) == left
    assert artifacts.sweep_incoming(0) == []


def test_what_a_killed_writer_of_a_small_file_left_is_swept_too(artifacts: LocalArtifacts, tmp_path: Path) -> None:
    sha256, _ = artifacts.put_file(written(tmp_path / "a", b"content"))
    left = written(artifacts.root / "blobs" / sha256[:2] / "incoming-x", b"cont")
    assert artifacts.sweep_incoming(0) == [str(left)]
    artifacts.fetch(sha256, tmp_path / "back")


def test_a_folder_that_cannot_be_used_is_a_passing_fault(tmp_path: Path) -> None:
    file = written(tmp_path / "file", b"in the way")
    with pytest.raises(StoreUnavailable, match=r"Not a directory|File exists"):
        LocalArtifacts(file).put_file(file)
    with pytest.raises(StoreUnavailable, match="not there"):
        LocalArtifacts(tmp_path / "nowhere").fetch("0" * 64, tmp_path / "b")
    assert LocalArtifacts(tmp_path / "nowhere").sweep_incoming(0) == []
