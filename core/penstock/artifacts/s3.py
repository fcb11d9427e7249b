"""Bytes on S3 or anything that speaks it.

    <prefix>/blobs/ab/abcdef...     an object, under the SHA-256 of its bytes

An object appears under its key when its last byte has arrived: S3 shows no partial objects. Keys follow from content,
so that two writers of a key write the same bytes; correctness needs neither conditional writes nor listings (ADR 0009).
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import islice
from pathlib import Path
from typing import Any

from penstock.artifacts.content import (
    check_in_time,
    check_unchanged,
    corrupted,
    folder_and_name,
    new_file,
    open_regular,
)
from penstock.artifacts.multipart import PART_BYTES, PART_THREADS, Upload
from penstock.artifacts.parallel import in_order
from penstock.artifacts.s3_client import S3Client
from penstock.artifacts.urls import S3Location, S3Options
from penstock.failpoints import failpoint
from penstock.ports import ArtifactStore, Progress, StoredObject

# Below this a conditional PUT is tried without asking first: one round trip instead of two.
_UNASKED_BYTES = 64 << 10
# A store without conditions is asked for a page of names (up to 1,000) per so many files, before it is asked for each.
_FILES_PER_PAGE = 100
_PROBE = "conditional-writes-probe"
_UNLISTABLE = ("AccessDenied", "403", "NotImplemented", "501")


@dataclass
class _Listed:
    """The first keys that a store listed, in order: what is missing among them was not there."""

    keys: set[str] = field(default_factory=set)
    last: str | None = ""  # None: the list is complete

    def lack(self, key: str) -> bool:
        return key not in self.keys and (self.last is None or key <= self.last)


class S3Artifacts:
    """An `ArtifactStore` in a bucket, which must be there. Usable in several threads, and after a fork.

    Passing faults are tried again within `options.deadline_s` for each request, then `StoreUnavailable`. A missing
    bucket is `NotFound`; refused credentials, permissions or region are `InvalidValue`, at once.
    """

    def __init__(self, location: S3Location, options: S3Options | None = None) -> None:
        self._client = S3Client(location, options or S3Options.from_environment())
        self._conditional: bool | None = None

    def __repr__(self) -> str:
        return f"S3Artifacts({self.location!r})"

    @property
    def origin(self) -> ArtifactStore:
        return self

    @property
    def location(self) -> str:
        return str(self._client.location)

    def put_file(self, path: Path, progress: Progress | None = None) -> tuple[str, int]:
        return self._put_file(path, _Listed(), progress)

    def put_files(self, paths: Sequence[Path]) -> list[tuple[str, int]]:
        listed = self._listed(len(paths) // _FILES_PER_PAGE)
        return list(in_order(lambda path: self._put_file(path, listed), paths))

    def _put_file(self, path: Path, listed: _Listed, progress: Progress | None = None) -> tuple[str, int]:
        with open_regular(path) as source:
            before = os.fstat(source.fileno())
            if before.st_size > PART_BYTES:
                sha256 = hashlib.file_digest(source, "sha256").hexdigest()
                check_unchanged(before, source, path)
                key = self._key(sha256)
                with self._client.large:
                    there = self._client.size_of(key)
                    if there != before.st_size:
                        only_if_absent = there is None and self._honours_conditions()
                        Upload(self._client, key, source, path, before, only_if_absent, progress).send()
            else:
                content = source.read(PART_BYTES + 1)
                check_unchanged(before, source, path)
                sha256 = hashlib.sha256(content).hexdigest()
                self._put(self._key(sha256), content, listed)
        if progress is not None:
            progress(before.st_size, before.st_size)
        return sha256, before.st_size

    def fetch(self, sha256: str, target: Path, progress: Progress | None = None) -> None:
        hashed, written_bytes = hashlib.sha256(), 0
        with new_file(target) as written, closing(self._pieces(sha256)) as pieces:
            for content, total in pieces:
                hashed.update(content)
                written.write(content)
                written_bytes += len(content)
                if progress is not None:
                    progress(written_bytes, total)
            if hashed.hexdigest() != sha256:
                raise corrupted(sha256, f"bytes of sha256 {hashed.hexdigest()}")

    def fetch_all(self, objects: Sequence[tuple[str, Path]]) -> None:
        for _ in in_order(lambda one: self.fetch(*one), objects):
            pass

    def sweep_incoming(self, older_than_s: float) -> list[str]:
        removed = []
        for upload, now in self._uploads(self._client.location.key("blobs", "")):
            if now - upload["Initiated"] >= timedelta(seconds=older_than_s):
                key, upload_id = upload["Key"], upload["UploadId"]
                self._client.call("abort_multipart_upload", ("NoSuchUpload",), Key=key, UploadId=upload_id)
                removed.append(f"s3://{self._client.location.bucket}/{key} (upload {upload_id})")
        return removed

    def list_objects(self) -> Iterator[StoredObject]:
        for page in self._pages():
            now = _store_time(page)
            for found in page.get("Contents", []):
                age_s = max(0.0, (now - found["LastModified"]).total_seconds())
                yield StoredObject(found["Key"].rpartition("/")[2], found["Size"], age_s)

    def delete_objects(self, sha256s: Sequence[str], within_s: float) -> list[str]:
        until = time.monotonic() + within_s

        def delete(sha256: str) -> str:
            key = self._key(sha256)
            gone = "" if self._client.size_of(key) is not None else sha256
            check_in_time(until, self.location)
            self._client.call("delete_object", ("NoSuchKey", "404"), Key=key)
            failpoint("s3.deleted")
            return gone

        return [gone for gone in in_order(delete, sha256s) if gone]

    # ---------------------------------------------------------------------------------------------------- pieces

    def _put(self, key: str, content: bytes, listed: _Listed) -> None:
        asks = len(content) > _UNASKED_BYTES or not self._honours_conditions()
        if asks and not listed.lack(key) and self._is_there(key, content):
            return
        if self._honours_conditions():
            answer = self._put_object(key, content, IfNoneMatch="*")
            if not answer or self._is_there(key, content):
                return
        # Either the store knows no conditions, or what lies there is not as long as it should be.
        self._put_object(key, content)

    def _is_there(self, key: str, content: bytes) -> bool:
        return self._client.size_of(key) == len(content)

    def _put_object(self, key: str, content: bytes, **condition: str) -> str:
        seen = ("PreconditionFailed", "NotImplemented") if condition else ()
        failpoint("s3.before_put")
        answer = self._client.call("put_object", seen, Key=key, **self._client.body(content), **condition)
        failpoint("s3.put")
        return answer.code

    def _honours_conditions(self) -> bool:
        """Whether the store refuses to overwrite when told so; found out once, by writing the same key twice."""
        if self._conditional is None:
            key = self._client.location.key(_PROBE)
            answers = (self._put_object(key, b"", IfNoneMatch="*") for _ in range(2))
            self._conditional = "PreconditionFailed" in answers
        return self._conditional

    def _pieces(self, sha256: str) -> Generator[tuple[bytes, int]]:
        """Yield an object's bytes in order, with its size; a large one in ranges, several at a time."""
        key = self._key(sha256)
        first = self._client.read(key, PART_BYTES)
        if first.code:
            raise corrupted(sha256)
        total = first.fields["total"]
        yield first.fields["content"], total
        if total <= PART_BYTES:
            return
        starts = range(PART_BYTES, total, PART_BYTES)
        with self._client.large:
            for answer in in_order(
                lambda at: self._client.read(key, PART_BYTES, at), starts, PART_THREADS, PART_THREADS
            ):
                if answer.code:
                    raise corrupted(sha256)
                yield answer.fields["content"], total

    def _listed(self, pages: int) -> _Listed:
        """Return the first pages of what is stored; nothing where the store honours conditions or will not list."""
        listed = _Listed()
        if pages > 0 and not self._honours_conditions():
            for page in islice(self._pages(_UNLISTABLE), pages):
                keys = [found["Key"] for found in page.get("Contents", [])]
                listed.keys.update(keys)
                listed.last = max(keys, default="") if page.get("IsTruncated", True) else None
        return listed

    def _pages(self, seen: Sequence[str] = ()) -> Iterator[Mapping[str, Any]]:
        """Yield the pages of what is stored, in the order of the keys; an empty one for an error `seen`."""
        marker: dict[str, str] = {}
        while True:
            prefix = self._client.location.key("blobs", "")
            page = self._client.call("list_objects_v2", seen, Prefix=prefix, **marker).fields
            yield page
            if not page.get("IsTruncated"):
                return
            marker = {"ContinuationToken": page["NextContinuationToken"]}

    def _uploads(self, prefix: str) -> Iterator[tuple[dict[str, Any], datetime]]:
        """Yield the unfinished uploads below `prefix`, each with the store's own time."""
        markers: dict[str, str] = {}
        while True:
            page = self._client.call("list_multipart_uploads", Prefix=prefix, **markers).fields
            for upload in page.get("Uploads", []):
                yield upload, _store_time(page)
            if not page.get("IsTruncated"):
                return
            markers = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def _key(self, sha256: str) -> str:
        return self._client.location.key("blobs", *folder_and_name(sha256))


def _store_time(answer: Any) -> datetime:
    """Return the end of the second that the store's clock showed."""
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    return parsedate_to_datetime(date) + timedelta(seconds=1) if date else datetime.now(UTC)
