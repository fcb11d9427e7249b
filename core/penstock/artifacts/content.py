"""Hashing and copying bytes: the part every artifact store shares."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import BinaryIO

from penstock.errors import InvalidValue, NotFound

CHUNK_BYTES = 1 << 20

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading; anything else (link, FIFO, device) is refused at once, without hanging."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError as error:
        raise NotFound("file", path) from error
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "not a regular file")
        raise InvalidValue("artifact", str(path), f"a regular file (this is {kind})")
    return path.open("rb")


def copy_hashed(source: BinaryIO, target: BinaryIO) -> tuple[str, int]:
    """Copy a stream in bounded memory; return (sha256, size in bytes) of what was copied."""
    hashed, size = hashlib.sha256(), 0
    while chunk := source.read(CHUNK_BYTES):
        hashed.update(chunk)
        target.write(chunk)
        size += len(chunk)
    return hashed.hexdigest(), size


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, read in bounded memory."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
