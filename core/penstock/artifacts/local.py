"""Bytes in a local folder.

    <root>/blobs/ab/abcdef...   an object, under the SHA-256 of its bytes
    <root>/incoming/...         what is being written; never read, and of no meaning after a crash

An object appears under its name by one atomic rename after its bytes have been synced: what is partial is never
visible (law L4).
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from penstock.artifacts.content import (
    changed,
    check_unchanged,
    copy_hashed,
    corrupted,
    hash_file,
    make_folders,
    new_file,
    open_regular,
    sync_folder,
)
from penstock.artifacts.parallel import in_order
from penstock.errors import StoreUnavailable
from penstock.ports import Progress


class LocalArtifacts:
    """An `ArtifactStore` in a folder, which is made if it is not there."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def __repr__(self) -> str:
        return f"LocalArtifacts({str(self.root)!r})"

    @property
    def location(self) -> str:
        return str(self.root)

    def put_file(self, path: Path, progress: Progress | None = None) -> tuple[str, int]:
        with open_regular(path) as source:
            try:
                return self._put(source, path, progress)
            except OSError as error:
                raise StoreUnavailable(self.location, f"{error.strerror or error}") from error

    def put_files(self, paths: Sequence[Path]) -> list[tuple[str, int]]:
        return list(in_order(self.put_file, paths))

    def _put(self, source: BinaryIO, path: Path, progress: Progress | None) -> tuple[str, int]:
        incoming = self.root / "incoming"
        make_folders(incoming)
        before = os.fstat(source.fileno())

        def on_chunk(so_far: int) -> None:
            if so_far > before.st_size:
                raise changed(path)  # or a file that grows as fast as it is read would never end
            if progress is not None:
                progress(so_far, before.st_size)

        descriptor, name = tempfile.mkstemp(dir=incoming)
        try:
            with os.fdopen(descriptor, "wb") as target:
                sha256, size = copy_hashed(source, target, on_chunk)
                target.flush()
                os.fsync(target.fileno())
            check_unchanged(before, source, path)
            final = self._blob(sha256)
            if not (final.exists() and hash_file(final) == sha256):
                make_folders(final.parent)
                os.replace(name, final)
                sync_folder(final.parent)
                return sha256, size
        finally:
            Path(name).unlink(missing_ok=True)
        return sha256, size

    def fetch(self, sha256: str, target: Path, progress: Progress | None = None) -> None:
        with self._open(sha256) as source, new_file(target) as written:
            total = os.fstat(source.fileno()).st_size
            on_chunk = None if progress is None else lambda so_far: progress(so_far, total)
            found, _ = copy_hashed(source, written, on_chunk)
            if found != sha256:
                raise corrupted(sha256, f"bytes of sha256 {found}")

    def fetch_all(self, objects: Sequence[tuple[str, Path]]) -> None:
        for _ in in_order(lambda one: self.fetch(*one), objects):
            pass

    def sweep_incoming(self, older_than_s: float) -> list[str]:
        limit, removed = time.time() - older_than_s, []
        for left in sorted((self.root / "incoming").glob("*")):
            try:
                if left.stat().st_mtime > limit:
                    continue
                left.unlink()
            except FileNotFoundError:
                continue  # its writer has just finished
            removed.append(str(left))
        return removed

    def _open(self, sha256: str) -> BinaryIO:
        try:
            return self._blob(sha256).open("rb")
        except OSError as error:
            if not self.root.is_dir():
                raise StoreUnavailable(self.location, "the folder is not there") from error
            if isinstance(error, FileNotFoundError):
                raise corrupted(sha256) from error
            raise StoreUnavailable(self.location, f"{error.strerror or error}") from error

    def _blob(self, sha256: str) -> Path:
        return self.root / "blobs" / sha256[:2] / sha256
