"""Transfers that are broken off: resets, lost answers, killed processes. Nothing partial is ever visible (law L4)."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.artifacts.multipart import PART_BYTES
from tests.artifacts.insides import BucketInside
from tests.contracts.artifact_store import LARGE_BYTES, sha256_of, written
from tests.cutting_proxy import CuttingProxy, cutting_proxy
from tests.s3_servers import S3Server, new_prefix
from tests.tcp_proxy import TcpProxy

HOUR_S = 3600.0


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[CuttingProxy]:
    with cutting_proxy(s3_server.port) as proxy:
        yield proxy


@pytest.mark.parametrize("size", [PART_BYTES - 1, LARGE_BYTES])
def test_a_transfer_that_is_reset_in_the_middle_is_taken_up_again(
    s3_server: S3Server, proxy: CuttingProxy, tmp_path: Path, size: int
) -> None:
    store = s3_server.artifacts(port=proxy.port)
    content = os.urandom(size)
    proxy.cuts_up = [size // 4, size // 2]
    sha256, _ = store.put_file(written(tmp_path / "a", content))
    assert BucketInside(s3_server, store).read(sha256) == content
    proxy.cuts_down = [proxy.down_bytes + n for n in (size // 4, size // 2)]
    store.fetch(sha256, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == content
    assert proxy.cut == 4


@pytest.mark.parametrize(
    ("size", "lost"),
    [(1000, b"/blobs/"), (LARGE_BYTES, b"uploads"), (LARGE_BYTES, b"CompleteMultipartUpload")],
    ids=["object", "beginning", "completion"],
)
def test_a_request_whose_answer_is_lost_has_happened_once(
    s3_server: S3Server, tmp_path: Path, size: int, lost: bytes
) -> None:
    proxy = TcpProxy(s3_server.port)
    store = s3_server.artifacts(port=proxy.port)
    inside = BucketInside(s3_server, store)
    store.put_file(written(tmp_path / "first", b"first"))
    proxy.lose_after = lost
    content = os.urandom(size)
    assert store.put_file(written(tmp_path / "a", content)) == (sha256_of(content), size)
    proxy.close()
    assert proxy.lost == 1
    assert inside.read(sha256_of(content)) == content
    assert inside.hashes() == sorted([sha256_of(content), sha256_of(b"first")])


def test_an_interrupted_upload_is_carried_on(s3_server: S3Server, proxy: CuttingProxy, tmp_path: Path) -> None:
    store = s3_server.artifacts(port=proxy.port)
    inside = BucketInside(s3_server, store)
    content = os.urandom(LARGE_BYTES)
    inside.begun(sha256_of(content), {2: content[PART_BYTES : 2 * PART_BYTES]})
    sha256, _ = store.put_file(written(tmp_path / "a", content))
    assert inside.read(sha256) == content
    assert inside.uploads() == []
    assert LARGE_BYTES - PART_BYTES < proxy.up_bytes < LARGE_BYTES


@pytest.mark.parametrize("foreign", [PART_BYTES, 5 << 20])
def test_an_upload_that_holds_a_part_which_is_not_ours_is_left_alone(
    s3_server: S3Server, tmp_path: Path, foreign: int
) -> None:
    store = s3_server.artifacts()
    inside = BucketInside(s3_server, store)
    content = os.urandom(LARGE_BYTES)
    upload_id = inside.begun(sha256_of(content), {1: content[:PART_BYTES], 2: os.urandom(foreign)})
    sha256, _ = store.put_file(written(tmp_path / "a", content))
    assert inside.read(sha256) == content
    assert inside.uploads() == [upload_id]
    assert len(store.sweep_incoming(0)) == 1
    assert inside.read(sha256) == content


def test_an_upload_completed_by_another_process_meanwhile_is_found_stored(
    rclone: S3Server, s3_credentials: None, tmp_path: Path
) -> None:
    store = rclone.artifacts()
    inside, content = BucketInside(rclone, store), os.urandom(LARGE_BYTES)

    def overtaken(so_far: int, _total: int) -> None:
        if so_far == PART_BYTES:
            inside.replace(sha256_of(content), content)
            for upload_id in inside.uploads():
                rclone.client().abort_multipart_upload(
                    Bucket="penstock-tests", Key=inside.key(sha256_of(content)), UploadId=upload_id
                )

    assert store.put_file(written(tmp_path / "a", content), overtaken) == (sha256_of(content), LARGE_BYTES)
    store.fetch(sha256_of(content), tmp_path / "back")
    assert inside.uploads() == []


def test_an_upload_that_a_sweep_took_away_is_begun_anew(rclone: S3Server, s3_credentials: None, tmp_path: Path) -> None:
    store = rclone.artifacts()
    swept: list[str] = []

    def sweep(so_far: int, _total: int) -> None:
        if so_far == PART_BYTES and not swept:
            swept.extend(store.sweep_incoming(0))

    sha256, _ = store.put_file(written(tmp_path / "a", os.urandom(LARGE_BYTES)), sweep)
    assert len(swept) == 1
    store.fetch(sha256, tmp_path / "back")


def test_an_uploading_process_that_is_killed_leaves_nothing_visible_and_the_next_one_succeeds(
    s3_server: S3Server, proxy: CuttingProxy, tmp_path: Path
) -> None:
    content = os.urandom(4 * PART_BYTES)
    file = written(tmp_path / "a", content)
    for carried_on in (True, False):
        store = s3_server.artifacts(prefix := new_prefix())
        inside = BucketInside(s3_server, store)
        _kill_while_it_uploads(s3_server, proxy, prefix, file, 2 * PART_BYTES + PART_BYTES // 2)
        assert inside.hashes() == []
        assert len(inside.uploads()) == 1
        if not carried_on:
            removed = store.sweep_incoming(0)
            assert [store.location + "/blobs/" in name for name in removed] == [True]
            assert inside.uploads() == []
        store.put_file(file)
        assert inside.read(sha256_of(content)) == content
        assert inside.uploads() == []


def _kill_while_it_uploads(server: S3Server, proxy: CuttingProxy, prefix: str, file: Path, after: int) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.s3_servers import S3Server\n"
        "S3Server(int(sys.argv[1])).artifacts(sys.argv[2]).put_file(Path(sys.argv[3]))"
    )
    command = [sys.executable, "-c", code, str(proxy.port), prefix, str(file)]
    start = proxy.up_bytes
    proxy.stop_after = start + after
    child = subprocess.Popen(command, env={**os.environ, **server.environment()})
    deadline = time.monotonic() + 30
    while proxy.up_bytes <= start + after and time.monotonic() < deadline and child.poll() is None:
        time.sleep(0.005)
    child.kill()
    assert child.wait() < 0, "the upload had ended before it could be killed"
    proxy.stop_after = None


def test_a_young_upload_is_not_swept(rclone: S3Server, s3_credentials: None) -> None:
    store = rclone.artifacts()
    inside = BucketInside(rclone, store)
    upload_id = inside.begun("ab" * 32, {1: b"part"})
    inside.begun("cd" * 32, {})
    assert store.sweep_incoming(HOUR_S) == []
    assert rclone.artifacts().sweep_incoming(0) == []  # another store in the same bucket
    assert any(upload_id in name for name in store.sweep_incoming(0))
    assert inside.uploads() == []
