"""Where bytes live."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

# Called with the bytes so far and the bytes in all.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class StoredObject:
    """An object of a store: its name, its size, and how long ago it was written."""

    sha256: str
    size_bytes: int
    age_s: float


class ArtifactStore(Protocol):
    """Where bytes live: content-addressed by SHA-256, verified on every read.

    What is not wholly written is not visible. Nothing is ever overwritten, but for an object found damaged. Memory
    stays bounded whatever the size. `StoreUnavailable` when the store cannot be reached.
    """

    def put_file(self, path: Path, progress: Progress | None = None) -> tuple[str, int]:
        """Store a regular file's bytes durably; return (sha256, size in bytes). Storing them again costs a hash.

        `InvalidValue` for what is not a regular file or changes meanwhile, `NotFound` if there is none.
        """
        ...

    def put_files(self, paths: Sequence[Path]) -> list[tuple[str, int]]:
        """Store files, several at a time; return `put_file`'s answer for each, in order: all of them or an error."""
        ...

    def fetch(self, sha256: str, target: Path, progress: Progress | None = None) -> None:
        """Write the object's verified bytes to `target`; `Corrupted` if they are missing or not what was stored.

        Folders above `target` are made. After an error there is no `target`.
        """
        ...

    def fetch_all(self, objects: Sequence[tuple[str, Path]]) -> None:
        """Fetch (sha256, target) pairs, several at a time: all of them or an error."""
        ...

    def sweep_incoming(self, older_than_s: float) -> list[str]:
        """Remove what interrupted writers left, if it is older than this; return what was removed. Never an object.

        A writer that is still at work on something older fails with `StoreUnavailable`.
        """
        ...

    def list_objects(self) -> Iterator[StoredObject]:
        """Yield the objects there are, by SHA-256, without reading them. A listing may lag behind what was written."""
        ...

    def delete_objects(self, sha256s: Sequence[str], within_s: float) -> list[str]:
        """Delete objects, beginning none later than `within_s` from now; return those that were not there.

        Only for who has made sure that no record refers to them, nor will: see `RetentionRecords`.
        `StoreUnavailable` when the time is over, with some of them deleted.
        """
        ...

    @property
    def origin(self) -> ArtifactStore:
        """The store itself, without a cache before it: what is verified are the bytes that lie there."""
        ...

    @property
    def location(self) -> str:
        """Where the bytes are, as a person may read it (no secrets)."""
        ...
