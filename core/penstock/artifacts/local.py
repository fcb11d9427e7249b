"""Bytes in a local folder.

    <root>/blobs/ab/abcdef...   an object, under the SHA-256 of its bytes
    <root>/incoming/...         what is being written; never read, and of no meaning after a crash

An object appears under its name by one atomic rename after its bytes have been synced: what is partial is never
visible (law L4).
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import BinaryIO

from penstock.artifacts.content import copy_hashed, hash_file, open_regular, sync_folder
from penstock.errors import Corrupted, InvalidValue, StoreUnavailable


class LocalArtifacts:
    """An `ArtifactStore` in a folder, which is made if it is not there."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def __repr__(self) -> str:
        return f"LocalArtifacts({str(self.root)!r})"

    @property
    def location(self) -> str:
        return str(self.root)

    def put_file(self, path: Path) -> tuple[str, int]:
        with open_regular(path) as source:
            try:
                return self._put(source, path)
            except OSError as error:
                raise StoreUnavailable(self.location, f"{error.strerror or error}") from error

    def _put(self, source: BinaryIO, path: Path) -> tuple[str, int]:
        incoming = self.root / "incoming"
        incoming.mkdir(parents=True, exist_ok=True)
        before = os.fstat(source.fileno())
        descriptor, name = tempfile.mkstemp(dir=incoming)
        try:
            with os.fdopen(descriptor, "wb") as target:
                sha256, size = copy_hashed(source, target)
                target.flush()
                os.fsync(target.fileno())
            after = os.fstat(source.fileno())
            if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                raise InvalidValue("artifact", str(path), "a file that does not change while it is stored")
            final = self._blob(sha256)
            if not (final.exists() and hash_file(final) == sha256):
                final.parent.mkdir(parents=True, exist_ok=True)
                os.replace(name, final)
                sync_folder(final.parent)
                return sha256, size
        finally:
            Path(name).unlink(missing_ok=True)
        return sha256, size

    def fetch(self, sha256: str, target: Path) -> None:
        blob = self._blob(sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with blob.open("rb") as source, target.open("wb") as written:
                found, _ = copy_hashed(source, written)
        except FileNotFoundError as error:
            if self.root.is_dir():
                raise Corrupted(
                    "artifact", sha256, "the bytes of that sha256", "nothing: the object is missing"
                ) from error
            raise StoreUnavailable(self.location, "the folder is not there") from error
        if found != sha256:
            target.unlink()
            raise Corrupted("artifact", sha256, "the bytes of that sha256", f"bytes of sha256 {found}")

    def _blob(self, sha256: str) -> Path:
        return self.root / "blobs" / sha256[:2] / sha256
