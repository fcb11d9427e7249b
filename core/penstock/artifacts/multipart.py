"""One large object to S3 in parts: in bounded memory, and carried on where an interrupted upload stopped.

An upload is carried on if the ETag of every part that is there is the MD5 of our bytes. ETags that are something else
(of encrypted objects) only cost sending everything again: nothing is ever concluded from an ETag that differs.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from penstock.artifacts.content import changed, check_unchanged
from penstock.artifacts.parallel import in_order
from penstock.artifacts.s3_client import Answer, S3Client
from penstock.errors import PenstockError, StoreUnavailable, Terminal
from penstock.failpoints import failpoint
from penstock.ports import Progress

PART_BYTES = 8 << 20
PART_THREADS = 4
_MOST_PARTS = 10_000
_TRIES = 3

# Somebody else has completed this upload, aborted it, or sent one of its parts again.
_TAKEN_OVER = ("NoSuchUpload", "InvalidPart")


class _TakenOver(Exception):
    """The upload is no longer ours to carry on."""


@dataclass(frozen=True)
class Upload:
    """What is to be sent: an open file that was `before` when its SHA-256 was taken, and the key it goes to."""

    client: S3Client
    key: str
    source: BinaryIO
    path: Path
    before: os.stat_result
    only_if_absent: bool
    progress: Progress | None = None

    def send(self) -> None:
        """Send the object; it becomes visible as a whole, at the end.

        Two processes may send the same object through the same upload: whoever loses it finds the object stored, or
        begins anew. What a passing fault or a kill interrupts stays, for the next try to carry on or a sweep to
        remove; anything else aborts the upload.
        """
        for _ in range(_TRIES):
            upload_id, there = self._interrupted() or (self._begun(), {})
            try:
                if not self._sent(upload_id, there).code:
                    return
                self._abort(upload_id)
            except _TakenOver:
                pass
            except StoreUnavailable:
                raise
            except BaseException:
                self._abort(upload_id)
                raise
            if self.client.size_of(self.key) == self.before.st_size:
                return
        raise StoreUnavailable(str(self.client.location), f"an upload was aborted {_TRIES} times by somebody else")

    def _begun(self) -> str:
        begun = self.client.call("create_multipart_upload", Key=self.key)
        failpoint("multipart.begun")
        return str(begun.fields["UploadId"])

    def _interrupted(self) -> tuple[str, Mapping[int, str]] | None:
        """Return the newest unfinished upload whose parts are all ours, and the ETags of its parts by number."""
        try:
            listed = self.client.call("list_multipart_uploads", Prefix=self.key).fields.get("Uploads", [])
            ours = [upload for upload in listed if upload["Key"] == self.key]
            for upload in sorted(ours, key=lambda upload: upload["Initiated"], reverse=True):
                parts = list(self._parts_there(upload["UploadId"]))
                if all(in_order(self._is_ours, parts, PART_THREADS)):
                    return upload["UploadId"], {part["PartNumber"]: part["ETag"] for part in parts}
        except Terminal:
            pass  # gone meanwhile, or a store that does not list: carrying on is a saving, not a need
        return None

    def _is_ours(self, part: Mapping[str, Any]) -> bool:
        start, length = self._span(part["PartNumber"])
        if part.get("Size") != length:
            return False
        md5 = hashlib.md5(self._read(start, length), usedforsecurity=False).hexdigest()
        return str(part["ETag"]).strip('"') == md5

    def _parts_there(self, upload_id: str) -> Iterator[Mapping[str, Any]]:
        marker = 0
        while True:
            page = self.client.call("list_parts", Key=self.key, UploadId=upload_id, PartNumberMarker=marker).fields
            yield from page.get("Parts", [])
            if not page.get("IsTruncated"):
                return
            marker = page["NextPartNumberMarker"]

    def _sent(self, upload_id: str, there: Mapping[int, str]) -> Answer:
        size, numbers = self.before.st_size, range(1, self._count() + 1)
        parts = []
        for part in in_order(lambda number: self._send_part(upload_id, number, there), numbers, PART_THREADS):
            parts.append(part)
            if self.progress is not None:
                self.progress(sum(self._span(part["PartNumber"])), size)
        check_unchanged(self.before, self.source, self.path)
        failpoint("multipart.sent")
        condition = {"IfNoneMatch": "*"} if self.only_if_absent else {}
        completed = self.client.call(
            "complete_multipart_upload",
            ("PreconditionFailed", *_TAKEN_OVER),
            Key=self.key,
            UploadId=upload_id,
            MultipartUpload={"Parts": parts},
            **condition,
        )
        failpoint("multipart.completed")
        if completed.code in _TAKEN_OVER:
            raise _TakenOver
        return completed

    def _send_part(self, upload_id: str, number: int, there: Mapping[int, str]) -> dict[str, Any]:
        if number in there:
            return {"PartNumber": number, "ETag": there[number]}
        content = self._read(*self._span(number))
        sent = self.client.call(
            "upload_part",
            _TAKEN_OVER,
            Key=self.key,
            UploadId=upload_id,
            PartNumber=number,
            **self.client.body(content),
        )
        if sent.code:
            raise _TakenOver
        failpoint("multipart.part")
        return {"PartNumber": number, "ETag": sent.fields["ETag"]}

    def _read(self, start: int, length: int) -> bytes:
        content = os.pread(self.source.fileno(), length, start)
        if len(content) != length:
            raise changed(self.path)
        return content

    def _count(self) -> int:
        return -(-self.before.st_size // _part_bytes(self.before.st_size))

    def _span(self, number: int) -> tuple[int, int]:
        """Return where a part begins and how long it is."""
        size, length = self.before.st_size, _part_bytes(self.before.st_size)
        start = (number - 1) * length
        return start, max(0, min(length, size - start))

    def _abort(self, upload_id: str) -> None:
        with suppress(PenstockError):  # the error that led here is the one to tell; a sweep removes the rest
            self.client.call("abort_multipart_upload", ("NoSuchUpload",), Key=self.key, UploadId=upload_id)


def _part_bytes(size: int) -> int:
    """Return the length of a part: the same for the same size, so that an interrupted upload fits."""
    needed = -(-size // _MOST_PARTS)
    return max(PART_BYTES, -(-needed // (1 << 20)) << 20)
