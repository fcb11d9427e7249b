"""What a collector does on S3 to the object that a writer is just storing: what is gone a moment later is stored again.

A writer that had found its object there, and is done, is told by the records: `RetentionRecords`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.artifacts.s3 import S3Artifacts
from penstock.artifacts.s3_client import Answer
from tests.artifacts.insides import BucketInside
from tests.artifacts.scripted_s3 import scripted_s3
from tests.contracts.artifact_store import LARGE_BYTES, sha256_of, written
from tests.s3_servers import S3Server


def _at_each(monkeypatch: pytest.MonkeyPatch, store: S3Artifacts, meanwhile: Callable[[str, str], None]) -> None:
    """Let something happen after each answer: `meanwhile(operation, code)`, before the writer comes to see it."""
    original = store._client.call

    def call(operation: str, *arguments: Any, **parameters: Any) -> Any:
        answer = original(operation, *arguments, **parameters)
        meanwhile(operation, answer.code)
        return answer

    monkeypatch.setattr(store._client, "call", call)


def test_an_object_that_stood_in_the_way_and_is_gone_is_stored_again(
    moto: S3Server, s3_credentials: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store = moto.artifacts()
    inside = BucketInside(moto, store)
    sha256, _ = store.put_file(written(tmp_path / "a", b"content"))
    seen = []

    def collected(operation: str, code: str) -> None:
        if (operation, code) == ("put_object", "PreconditionFailed"):
            inside.delete(sha256)
            seen.append(code)

    _at_each(monkeypatch, store, collected)
    store.put_file(tmp_path / "a")
    assert len(seen) == 1
    assert inside.read(sha256) == b"content"


def test_an_upload_overtaken_by_another_whose_object_is_gone_is_begun_anew(
    moto: S3Server, s3_credentials: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store, content = moto.artifacts(), os.urandom(LARGE_BYTES)
    inside, sha256 = BucketInside(moto, store), sha256_of(content)
    seen: list[str] = []
    store.put_file(written(tmp_path / "small", b"small"))  # asks whether conditions are honoured

    def overtaken(operation: str, code: str) -> None:
        if operation == "create_multipart_upload" and not seen:
            inside.replace(sha256, content)
        if code == "PreconditionFailed":
            inside.delete(sha256)
            seen.append(code)

    _at_each(monkeypatch, store, overtaken)
    assert store.put_file(written(tmp_path / "a", content)) == (sha256, LARGE_BYTES)
    assert seen == ["PreconditionFailed"]
    assert inside.read(sha256) == content
    assert inside.uploads() == []


@pytest.mark.parametrize("honoured", [True, False])
def test_whether_a_store_honours_conditions_is_asked_once(s3_credentials: None, tmp_path: Path, honoured: bool) -> None:
    second_probe = (412, "PreconditionFailed") if honoured else (200, "")
    with scripted_s3((200, ""), second_probe, (200, "")) as server:
        store = S3Server(server.server_port).artifacts()
        for number in range(3):
            store.put_file(written(tmp_path / "file", b"%d" % number))
    assert server.puts == 2 + 3


@pytest.mark.parametrize("listable", [True, False])
def test_a_store_without_conditions_is_asked_for_a_file_only_if_a_listing_leaves_it_open(
    rclone: S3Server, s3_credentials: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, listable: bool
) -> None:
    store = rclone.artifacts()
    files = [written(tmp_path / str(number), b"%d" % number) for number in range(200)]
    original, asked = store._client.call, Counter[str]()

    def call(operation: str, *arguments: Any, **parameters: Any) -> Any:
        asked[operation] += 1
        if operation == "list_objects_v2":
            parameters["MaxKeys"] = 50
            return original(operation, *arguments, **parameters) if listable else Answer(code="AccessDenied")
        return original(operation, *arguments, **parameters)

    monkeypatch.setattr(store._client, "call", call)
    stored = store.put_files(files[:100])
    if listable:
        assert asked == {"list_objects_v2": 1, "put_object": 2 + 100}  # it was empty
        first_page = sorted(sha256 for sha256, _ in stored)[:50]
        asked.clear()
        later = store.put_files(files[100:])
        assert asked["head_object"] == sum(sha256 > first_page[-1] for sha256, _ in later)
        assert asked["put_object"] == 100
    asked.clear()
    assert store.put_files(files[:100]) == stored
    assert asked == {"list_objects_v2": 1, "head_object": 100}  # a listing may be stale: who is in it is asked for
