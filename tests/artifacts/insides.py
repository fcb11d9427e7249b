"""Stored objects, past the store: in a folder, and in a bucket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from penstock.artifacts.s3 import S3Artifacts
from tests.s3_servers import BUCKET, S3Server


class FolderInside:
    """The objects of a local store."""

    def __init__(self, root: Path) -> None:
        self._blobs = root / "blobs"

    def hashes(self) -> list[str]:
        found = [path.name for path in self._blobs.rglob("*") if path.is_file()]
        return sorted(name for name in found if not name.startswith("incoming-"))

    def read(self, sha256: str) -> bytes:
        return self._path(sha256).read_bytes()

    def replace(self, sha256: str, content: bytes) -> None:
        self._path(sha256).write_bytes(content)

    def delete(self, sha256: str) -> None:
        self._path(sha256).unlink()

    def _path(self, sha256: str) -> Path:
        return self._blobs / sha256[:2] / sha256


class BucketInside:
    """The objects of a store on S3, through a client of its own."""

    def __init__(self, server: S3Server, store: S3Artifacts) -> None:
        self._client: Any = server.client()
        self._blobs = store.location.removeprefix(f"s3://{BUCKET}/") + "/blobs/"

    def hashes(self) -> list[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=self._blobs)
        return sorted(item["Key"].rpartition("/")[2] for page in pages for item in page.get("Contents", []))

    def read(self, sha256: str) -> bytes:
        return bytes(self._client.get_object(Bucket=BUCKET, Key=self.key(sha256))["Body"].read())

    def replace(self, sha256: str, content: bytes) -> None:
        self._client.put_object(Bucket=BUCKET, Key=self.key(sha256), Body=content)

    def delete(self, sha256: str) -> None:
        self._client.delete_object(Bucket=BUCKET, Key=self.key(sha256))

    def key(self, sha256: str) -> str:
        return f"{self._blobs}{sha256[:2]}/{sha256}"

    def begun(self, sha256: str, parts: dict[int, bytes]) -> str:
        """Leave an interrupted upload behind, with these parts; return its id."""
        name = {"Bucket": BUCKET, "Key": self.key(sha256)}
        upload_id = str(self._client.create_multipart_upload(**name)["UploadId"])
        for number, content in parts.items():
            self._client.upload_part(**name, UploadId=upload_id, PartNumber=number, Body=content)
        return upload_id

    def uploads(self) -> list[str]:
        """The ids of unfinished uploads."""
        listed = self._client.list_multipart_uploads(Bucket=BUCKET, Prefix=self._blobs)
        return [upload["UploadId"] for upload in listed.get("Uploads", [])]
