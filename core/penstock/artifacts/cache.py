"""A local copy of what has been fetched: verified on every read, bounded, and never in the way.

    <folder>/blobs/ab/abcdef...   an object, under the SHA-256 of its bytes
    <folder>/incoming/...         what is being copied in

Several processes share it: objects appear by an atomic rename, and one that disappears is fetched again. Whatever goes
wrong with the cache itself costs time, nothing else. Objects of several stores may lie in it: their name is their
content.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from penstock.artifacts.content import copy_hashed, corrupted, folder_and_name, new_file
from penstock.artifacts.parallel import in_order
from penstock.errors import Corrupted, StoreUnavailable
from penstock.failpoints import failpoint
from penstock.ports import ArtifactStore, Progress, StoredObject

CACHE_VARIABLE = "PENSTOCK_CACHE"
DEFAULT_LIMIT_BYTES = 10 << 30
_ABANDONED_S = 3600.0


class CachedArtifacts:
    """An `ArtifactStore` that remembers in `folder` what it has fetched from `store`, up to `limit_bytes`.

    The least recently read goes first. What is there is counted after every sixteenth of the limit that this process
    has added, so that several processes may exceed the limit for a while, by a sixteenth each.
    """

    def __init__(self, store: ArtifactStore, folder: Path, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        self.store = store
        self.folder = folder
        self.limit_bytes = limit_bytes
        self._added_bytes = limit_bytes  # nothing is known yet: the first object that is added counts what is there

    def __repr__(self) -> str:
        return f"CachedArtifacts({self.store!r}, {str(self.folder)!r})"

    @property
    def origin(self) -> ArtifactStore:
        return self.store

    @property
    def location(self) -> str:
        return self.store.location

    def put_file(self, path: Path, progress: Progress | None = None) -> tuple[str, int]:
        return self.store.put_file(path, progress)

    def put_files(self, paths: Sequence[Path]) -> list[tuple[str, int]]:
        return self.store.put_files(paths)

    def list_objects(self) -> Iterator[StoredObject]:
        return self.store.list_objects()

    def sweep_incoming(self, older_than_s: float) -> list[str]:
        return self.store.sweep_incoming(older_than_s)

    def delete_objects(self, sha256s: Sequence[str], within_s: float) -> list[str]:
        missing = self.store.delete_objects(sha256s, within_s)
        for sha256 in sha256s:
            with suppress(OSError):
                self._path(sha256).unlink(missing_ok=True)
        return missing

    def fetch(self, sha256: str, target: Path, progress: Progress | None = None) -> None:
        if not self._taken(sha256, target, progress):
            self.store.fetch(sha256, target, progress)
            self._keep(sha256, target)

    def fetch_all(self, objects: Sequence[tuple[str, Path]]) -> None:
        taken = in_order(lambda one: self._taken(*one), objects)
        missing = [one for one, found in zip(objects, list(taken), strict=True) if not found]
        self.store.fetch_all(missing)
        for one in missing:
            self._keep(*one)

    def _taken(self, sha256: str, target: Path, progress: Progress | None = None) -> bool:
        cached = self._path(sha256)
        try:
            with cached.open("rb") as source, new_file(target) as written:
                found, size = copy_hashed(source, written)
                if found != sha256:
                    raise corrupted(sha256, f"bytes of sha256 {found}")
        except Corrupted:
            with suppress(OSError):  # else it stays, and is refused every time
                cached.unlink(missing_ok=True)
            return False
        except (OSError, StoreUnavailable):
            return False
        with suppress(OSError):
            os.utime(cached)  # read just now: the last to go
        if progress is not None:
            progress(size, size)
        return True

    def _keep(self, sha256: str, verified: Path) -> None:
        with suppress(OSError):
            size = verified.stat().st_size
            if size > self.limit_bytes // 2 or not self._is_ours():
                return
            incoming, cached = self.folder / "incoming", self._path(sha256)
            incoming.mkdir(exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=incoming)
            try:
                with os.fdopen(descriptor, "wb") as copy, verified.open("rb") as source:
                    shutil.copyfileobj(source, copy, 1 << 20)
                cached.parent.mkdir(parents=True, exist_ok=True)
                failpoint("cache.copied")
                os.replace(name, cached)
                failpoint("cache.kept")
            finally:
                Path(name).unlink(missing_ok=True)
            self._added_bytes += size
            if self._added_bytes > self.limit_bytes // 16:
                self._evict()

    def _is_ours(self) -> bool:
        """Make the folder for this user alone; one that belongs to somebody else is not used."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.folder.stat().st_uid != os.getuid():
            return False
        self.folder.chmod(0o700)
        return True

    def _evict(self) -> None:
        self._added_bytes = 0
        for left in (self.folder / "incoming").iterdir():
            with suppress(FileNotFoundError):
                if left.stat().st_mtime < time.time() - _ABANDONED_S:
                    left.unlink()
        found = []
        for path in (self.folder / "blobs").glob("*/*"):
            with suppress(FileNotFoundError):
                status = path.stat()
                found.append((status.st_mtime_ns, status.st_size, path))
        excess = sum(size for _, size, _ in found) - self.limit_bytes * 15 // 16
        for _, size, path in sorted(found):
            if excess <= 0:
                return
            path.unlink(missing_ok=True)
            excess -= size

    def _path(self, sha256: str) -> Path:
        return self.folder.joinpath("blobs", *folder_and_name(sha256))


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return where this user's cache is: `PENSTOCK_CACHE`, else the user's cache folder; None if it is turned off."""
    named = environ.get(CACHE_VARIABLE, "")
    if named:
        return None if named == "0" else Path(named).absolute()
    base = environ.get("XDG_CACHE_HOME", "")
    try:
        home = Path(base) if base else Path.home() / ".cache"
    except RuntimeError:  # a user without a home
        return None
    return home / "penstock" / "artifacts"
