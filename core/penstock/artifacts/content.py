"""Hashing and copying bytes: the part every artifact store shares."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from penstock.errors import Corrupted, InvalidValue, NotFound, StoreUnavailable

CHUNK_BYTES = 256 << 10

_SHA256 = re.compile("[0-9a-f]{64}")

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file for reading; anything else (link, FIFO, device) is refused at once, without hanging."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError as error:
        raise NotFound("file", path) from error
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "not a regular file")
        raise InvalidValue("artifact", str(path), f"a regular file (this is {kind})")
    try:
        return path.open("rb")
    except PermissionError as error:
        raise InvalidValue("artifact", str(path), "a file that this user may read") from error


def check_unchanged(before: os.stat_result, source: BinaryIO, path: Path) -> None:
    """Raise `InvalidValue` if the open file is not as it was when `before` was taken."""
    after = os.fstat(source.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise changed(path)


def changed(path: Path) -> InvalidValue:
    """Return the error for a file that was changed while it was read."""
    return InvalidValue("artifact", str(path), "a file that does not change while it is stored")


def folder_and_name(sha256: str) -> tuple[str, str]:
    """Return where an object stands below `blobs`; `Corrupted` for a name that is no SHA-256 and may lead elsewhere.

    Names come from records, which somebody with a shell may have changed.
    """
    if not _SHA256.fullmatch(sha256):
        raise Corrupted("artifact's name", sha256, "64 hexadecimal characters", "something else on record")
    return sha256[:2], sha256


def corrupted(sha256: str, found: str = "nothing: the object is missing") -> Corrupted:
    """Return the error for an object that is not what was stored."""
    return Corrupted("artifact", sha256, "the bytes of that sha256", found)


def copy_hashed(
    source: BufferedReader, target: BinaryIO, on_chunk: Callable[[int], None] | None = None
) -> tuple[str, int]:
    """Copy a stream in bounded memory; return (sha256, size in bytes) of what was copied."""
    hashed, size = hashlib.sha256(), 0
    # One buffer, small enough for the processor's cache: fresh megabytes cost more than the hash does.
    buffer = memoryview(bytearray(CHUNK_BYTES))
    while count := source.readinto(buffer):
        chunk = buffer[:count]
        hashed.update(chunk)
        target.write(chunk)
        size += count
        if on_chunk is not None:
            on_chunk(size)
    return hashed.hexdigest(), size


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, read in bounded memory."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


@contextmanager
def new_file(target: Path) -> Iterator[BinaryIO]:
    """Open `target` for writing, with its folders; whatever is raised on the way removes it again.

    `StoreUnavailable` with the path and the system's own words when it cannot be written.
    """
    try:
        try:
            written = target.open("wb")
        except FileNotFoundError:  # seldom: of a folder's files the first asks for it
            target.parent.mkdir(parents=True, exist_ok=True)
            written = target.open("wb")
        try:
            with written:
                yield written
        except BaseException:
            target.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StoreUnavailable(str(target), f"{error.strerror or error}") from error


def check_in_time(until: float, location: str) -> None:
    """`StoreUnavailable` from `until` on, by this process's monotonic clock: the right to delete may have ended."""
    if time.monotonic() >= until:
        raise StoreUnavailable(location, "deleting took longer than it may. Run it again")


def make_folders(folder: Path) -> None:
    """Make a folder and those above it, durably."""
    if folder.is_dir():
        return
    make_folders(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
