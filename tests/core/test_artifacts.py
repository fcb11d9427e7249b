"""Bytes in a local folder: by content, verified, never partly visible."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from penstock.artifacts.local import LocalArtifacts
from penstock.errors import Corrupted, InvalidValue, NotFound, StoreUnavailable


@pytest.fixture
def artifacts(tmp_path: Path) -> LocalArtifacts:
    return LocalArtifacts(tmp_path / "artifacts")


def _put(artifacts: LocalArtifacts, folder: Path, content: bytes) -> str:
    file = folder / "file.bin"
    file.write_bytes(content)
    return artifacts.put_file(file)[0]


def _blob(artifacts: LocalArtifacts, sha256: str) -> Path:
    return next(path for path in artifacts.root.rglob(sha256) if path.is_file())


@pytest.mark.parametrize("content", [b"", b"x", os.urandom(3_000_000)])
def test_what_was_put_comes_back(artifacts: LocalArtifacts, tmp_path: Path, content: bytes) -> None:
    sha256 = _put(artifacts, tmp_path, content)
    artifacts.fetch(sha256, tmp_path / "back" / "file.bin")
    assert (tmp_path / "back" / "file.bin").read_bytes() == content


def test_the_same_bytes_are_stored_once(artifacts: LocalArtifacts, tmp_path: Path) -> None:
    assert _put(artifacts, tmp_path, b"same") == _put(artifacts, tmp_path, b"same")
    assert len([p for p in artifacts.root.rglob("*") if p.is_file()]) == 1


@pytest.mark.parametrize("damage", ["flip", "cut", "delete"])
def test_damaged_bytes_are_refused_and_not_handed_out(artifacts: LocalArtifacts, tmp_path: Path, damage: str) -> None:
    sha256 = _put(artifacts, tmp_path, b"a model" * 1000)
    blob = _blob(artifacts, sha256)
    content = bytearray(blob.read_bytes())
    if damage == "flip":
        content[123] ^= 1
        blob.write_bytes(content)
    elif damage == "cut":
        blob.write_bytes(content[:-1])
    else:
        blob.unlink()
    with pytest.raises(Corrupted, match=sha256):
        artifacts.fetch(sha256, tmp_path / "back.bin")
    assert not (tmp_path / "back.bin").exists()


def test_damaged_bytes_are_mended_by_storing_them_again(artifacts: LocalArtifacts, tmp_path: Path) -> None:
    sha256 = _put(artifacts, tmp_path, b"content")
    _blob(artifacts, sha256).write_bytes(b"damaged")
    assert _put(artifacts, tmp_path, b"content") == sha256
    artifacts.fetch(sha256, tmp_path / "back.bin")


def test_only_regular_files_are_stored_and_a_fifo_does_not_hang(artifacts: LocalArtifacts, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/etc/passwd")
    for name, kind in (("fifo", "FIFO"), ("link", "symbolic link"), (".", "folder")):
        with pytest.raises(InvalidValue, match=kind):
            artifacts.put_file(tmp_path / name)
    with pytest.raises(NotFound, match="missing"):
        artifacts.put_file(tmp_path / "missing")


def test_a_writer_that_is_killed_leaves_nothing_visible(artifacts: LocalArtifacts, tmp_path: Path) -> None:
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
    assert list(artifacts.root.glob("incoming/*"))
    assert not (artifacts.root / "blobs").exists()
    for left in artifacts.root.glob("incoming/*"):
        left.unlink()


def test_a_store_that_cannot_be_written_is_a_passing_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    artifacts = LocalArtifacts(tmp_path / "file")
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(StoreUnavailable, match=r"Not a directory|File exists"):
        artifacts.put_file(tmp_path / "a.txt")
    with pytest.raises(StoreUnavailable, match="not there"):
        LocalArtifacts(tmp_path / "nowhere").fetch("0" * 64, tmp_path / "b")
