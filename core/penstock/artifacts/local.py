"""Bytes in a local folder.

    <root>/blobs/ab/abcdef...      an object, under the SHA-256 of its bytes
    <root>/blobs/ab/incoming-...   a small one that is being written: a rename within a folder costs half as much
    <root>/incoming/incoming-...   a large one, whose name is not known before its last byte

What is incoming is never read, and of no meaning after a crash. An object appears under its name by one atomic rename
after its bytes have been synced: what is partial is never visible (law L4).
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from penstock.artifacts.content import (
    changed,
    check_in_time,
    check_unchanged,
    copy_hashed,
    corrupted,
    folder_and_name,
    hash_file,
    make_folders,
    new_file,
    open_regular,
    sync_folder,
)
from penstock.artifacts.parallel import in_order
from penstock.errors import StoreUnavailable
from penstock.failpoints import failpoint
from penstock.ports import ArtifactStore, Progress, StoredObject

_SMALL_BYTES = 1 << 20
_PREFIX = "incoming-"


class LocalArtifacts:
    """An `ArtifactStore` in a folder, which is made if it is not there."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._blobs = self.root / "blobs"

    def __repr__(self) -> str:
        return f"LocalArtifacts({str(self.root)!r})"

    @property
    def origin(self) -> ArtifactStore:
        return self

    @property
    def location(self) -> str:
        return str(self.root)

    def put_file(self, path: Path, progress: Progress | None = None) -> tuple[str, int]:
        with self._told():
            stored = self._put(path, progress)
            self._sync([stored[0]])
        return stored

    def put_files(self, paths: Sequence[Path]) -> list[tuple[str, int]]:
        with self._told():
            stored = list(in_order(self._put, paths))
            self._sync([sha256 for sha256, _ in stored])
        return stored

    def _put(self, path: Path, progress: Progress | None = None) -> tuple[str, int]:
        """Store a file's bytes under their name; the name is durable once its folder has been synced."""
        with open_regular(path) as source:
            before = os.fstat(source.fileno())
            if before.st_size > _SMALL_BYTES:
                return self._put_large(path, source, before, progress)
            content = source.read(_SMALL_BYTES)
            check_unchanged(before, source, path)
        sha256 = hashlib.sha256(content).hexdigest()
        final = self._blob(sha256)
        if not self._is_there(final):
            self._make(final.parent)
            with _incoming(final.parent) as (target, name):
                target.write(content)
                failpoint("local.written")
                _sync_file(target)
                failpoint("local.synced")
                os.replace(name, final)
                failpoint("local.renamed")
        if progress is not None:
            progress(len(content), len(content))
        return sha256, len(content)

    def _put_large(
        self, path: Path, source: BufferedReader, before: os.stat_result, progress: Progress | None
    ) -> tuple[str, int]:
        def on_chunk(so_far: int) -> None:
            if so_far > before.st_size:
                raise changed(path)  # or a file that grows as fast as it is read would never end
            if progress is not None:
                progress(so_far, before.st_size)

        folder = self.root / "incoming"
        self._make(folder)
        with _incoming(folder) as (target, name):
            sha256, size = copy_hashed(source, target, on_chunk)
            check_unchanged(before, source, path)
            final = self._blob(sha256)
            failpoint("local.large.written")
            if not self._is_there(final):
                _sync_file(target)
                self._make(final.parent)
                failpoint("local.large.synced")
                os.replace(name, final)
                failpoint("local.large.renamed")
        return sha256, size

    def _make(self, folder: Path) -> None:
        if not folder.is_dir():
            make_folders(self.root)
            folder.mkdir(parents=True, exist_ok=True)

    def _is_there(self, final: Path) -> bool:
        try:
            return hash_file(final) == final.name
        except FileNotFoundError:  # perhaps since a moment ago: a collector may be at work
            return False

    def _sync(self, stored: Sequence[str]) -> None:
        """Make names durable: also those found there, which another writer may not have synced yet."""
        folders = {self._blob(sha256).parent for sha256 in stored}
        above = [self._blobs, self.root] if folders else []
        for _ in in_order(sync_folder, [*sorted(folders), *above]):
            pass
        failpoint("local.durable")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Tell what the system has to say of this folder."""
        try:
            yield
        except OSError as error:
            raise StoreUnavailable(self.location, f"{error.strerror or error}") from error

    def fetch(self, sha256: str, target: Path, progress: Progress | None = None) -> None:
        if progress is None and self._fetch_small(sha256, target):
            return
        with self._open(sha256) as source, new_file(target) as written:
            total = os.fstat(source.fileno()).st_size
            on_chunk = None if progress is None else lambda so_far: progress(so_far, total)
            found, _ = copy_hashed(source, written, on_chunk)
            if found != sha256:
                raise corrupted(sha256, f"bytes of sha256 {found}")

    def fetch_all(self, objects: Sequence[tuple[str, Path]]) -> None:
        # A thread takes longer to start than a small file to copy.
        large = [one for one in objects if not self._fetch_small(*one)]
        for _ in in_order(lambda one: self.fetch(*one), large):
            pass

    def _fetch_small(self, sha256: str, target: Path) -> bool:
        """Fetch an object of few bytes at one go; of more, do nothing and return False."""
        with self._open(sha256) as source:
            if os.fstat(source.fileno()).st_size > _SMALL_BYTES:
                return False
            content = source.read()
        found = hashlib.sha256(content).hexdigest()
        if found != sha256:
            raise corrupted(sha256, f"bytes of sha256 {found}")
        with new_file(target) as written:
            written.write(content)
        return True

    def sweep_incoming(self, older_than_s: float) -> list[str]:
        limit, removed = time.time() - older_than_s, []
        for left in sorted([*self.root.glob("incoming/*"), *self.root.glob(f"blobs/*/{_PREFIX}*")]):
            try:
                if left.stat().st_mtime > limit:
                    continue
                left.unlink()
            except FileNotFoundError:
                continue  # its writer has just finished
            removed.append(str(left))
        return removed

    def list_objects(self) -> Iterator[StoredObject]:
        with self._told():
            for folder in sorted(self.root.glob("blobs/*")):
                for path in sorted(folder.iterdir()):
                    if path.name.startswith(_PREFIX):
                        continue
                    try:
                        status = path.stat()
                    except FileNotFoundError:
                        continue  # a collector has just deleted it
                    yield StoredObject(path.name, status.st_size, max(0.0, time.time() - status.st_mtime))

    def delete_objects(self, sha256s: Sequence[str], within_s: float) -> list[str]:
        missing, until = [], time.monotonic() + within_s
        with self._told():
            for sha256 in sha256s:
                check_in_time(until, self.location)
                try:
                    self._blob(sha256).unlink()
                except FileNotFoundError:
                    missing.append(sha256)
                failpoint("local.deleted")
        return missing

    def _open(self, sha256: str) -> BufferedReader:
        try:
            return self._blob(sha256).open("rb")
        except OSError as error:
            if not self.root.is_dir():
                raise StoreUnavailable(self.location, "the folder is not there") from error
            if isinstance(error, FileNotFoundError):
                raise corrupted(sha256) from error
            raise StoreUnavailable(self.location, f"{error.strerror or error}") from error

    def _blob(self, sha256: str) -> Path:
        folder, name = folder_and_name(sha256)
        return self._blobs / folder / name


@contextmanager
def _incoming(folder: Path) -> Iterator[tuple[BinaryIO, str]]:
    """Open a file of a name of its own, which is gone afterwards unless it was renamed."""
    name = f"{folder}/{_PREFIX}{os.urandom(16).hex()}"  # `tempfile` and `Path` cost as much as what they are asked for
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as target:
            yield target, name
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)


def _sync_file(target: BinaryIO) -> None:
    target.flush()
    os.fsync(target.fileno())
