"""Bytes: many small files and one large one, put and fetched, against shutil or boto3 plus SHA-256 and fsync.

The floor has the same threads, and gives every file a name by its content; it asks nothing, verifies on reading what we
verify, and knows neither interrupted uploads nor files that change.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from penstock.artifacts.local import LocalArtifacts
from tests.benchmarks.processes import Timing
from tests.s3_servers import BUCKET, S3Server, new_prefix, running_moto, running_rclone

SMALL_FILES, SMALL_BYTES = 1000, 10 << 10
LARGE_BYTES, MOTO_BYTES = 1 << 30, 128 << 20  # moto keeps three copies of everything in memory
THREADS = 8
REPEATS = 5
WORK = ("put", "fetch")

Sections = dict[str, dict[str, Timing]]
Stores = dict[str, Callable[[Path], Any]]  # given a folder of their own


class FloorFolder:
    """What a folder costs: hash, copy, fsync, and of the folder once; and the other way without fsync."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put_files(self, files: list[Path]) -> None:
        _at_once(self._put, files)
        descriptor = os.open(self._root, os.O_RDONLY)
        os.fsync(descriptor)  # without it the names may be gone with the power
        os.close(descriptor)

    def fetch_all(self, objects: list[tuple[str, Path]]) -> None:
        _at_once(self._fetch, objects)

    def _put(self, path: Path) -> None:
        sha256 = _hash(path)
        with path.open("rb") as source, (self._root / sha256).open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
            target.flush()
            os.fsync(target.fileno())

    def _fetch(self, wanted: tuple[str, Path]) -> None:
        sha256, target = wanted
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self._root / sha256, target)
        assert _hash(target) == sha256


class FloorBucket:
    """What S3 costs: boto3's single requests for small files, its managed transfers for large ones, and the hash."""

    def __init__(self, client: Any) -> None:
        self._client, self._prefix = client, new_prefix()
        self._large: set[str] = set()

    def put_files(self, files: list[Path]) -> None:
        _at_once(self._put, files)

    def fetch_all(self, objects: list[tuple[str, Path]]) -> None:
        _at_once(self._fetch, objects)

    def _put(self, path: Path) -> None:
        sha256 = _hash(path)
        if path.stat().st_size > SMALL_BYTES:
            self._large.add(sha256)
            self._client.upload_file(str(path), BUCKET, f"{self._prefix}/{sha256}")
        else:
            self._client.put_object(Bucket=BUCKET, Key=f"{self._prefix}/{sha256}", Body=path.read_bytes())

    def _fetch(self, wanted: tuple[str, Path]) -> None:
        sha256, target = wanted
        target.parent.mkdir(parents=True, exist_ok=True)
        if sha256 in self._large:
            self._client.download_file(BUCKET, f"{self._prefix}/{sha256}", str(target))
        else:
            answer = self._client.get_object(Bucket=BUCKET, Key=f"{self._prefix}/{sha256}")
            target.write_bytes(answer["Body"].read())
        assert _hash(target) == sha256


def measure(scratch: Path) -> Sections:
    """Return title → name → timing, with the floor among the names."""
    small = _random_files(scratch / "small", SMALL_FILES, SMALL_BYTES)
    large = _random_files(scratch / "large", 1, LARGE_BYTES)
    medium = _random_files(scratch / "medium", 1, MOTO_BYTES)
    folders: Stores = {"floor": FloorFolder, "penstock": LocalArtifacts}
    sections = _compared("1,000 x 10 KiB, local folder", small, folders, scratch)
    sections |= _compared("1 GiB, local folder", large, folders, scratch)
    for name, running, one in (("moto", running_moto, medium), ("rclone", running_rclone, large)):
        (scratch / name).mkdir()
        with running(scratch / name) as server:
            os.environ.update(server.environment())
            buckets = _buckets(server)
            sections |= _compared(f"1,000 x 10 KiB, S3 ({name})", small, buckets, scratch)
            sections |= _compared(f"{'128 MiB' if one is medium else '1 GiB'}, S3 ({name})", one, buckets, scratch)
    return sections


def _buckets(server: S3Server) -> Stores:
    return {"floor": lambda _: FloorBucket(server.client()), "penstock": lambda _: server.artifacts()}


def _compared(title: str, files: list[Path], stores: Stores, scratch: Path) -> Sections:
    """Put and fetch the files through each store in turn, every time in an empty one; the first turn is a warm-up.

    Everything is removed after each, and who comes first changes. Each is timed right after as many bytes were written
    to the same disk and removed again: memory that this machine has not used lately costs whoever writes to it more
    than the work does, and would be paid by one of the two.
    """
    size = 2 * sum(file.stat().st_size for file in files)  # ours, and a server's
    taken: dict[str, dict[str, list[tuple[float, float]]]] = {what: {name: [] for name in stores} for what in WORK}
    folder, back = scratch / "store", scratch / "back"
    objects = [(_hash(file), back / file.name) for file in files]
    for turn in range(REPEATS + 1):
        for name in sorted(stores, reverse=turn % 2 == 0):
            folder.mkdir()
            store = stores[name](folder)
            times = {}
            for what, work, given in (("put", store.put_files, files), ("fetch", store.fetch_all, objects)):
                _warm_up(scratch / "ballast", size)
                times[what] = _timed(work, given)
            shutil.rmtree(folder)
            shutil.rmtree(back)
            for what in WORK if turn > 0 else ():
                taken[what][name].append(times[what])
    return {f"{what} {title}": _medians(taken[what]) for what in WORK}


def _warm_up(ballast: Path, size: int) -> None:
    with ballast.open("wb") as written:
        for _ in range(0, size, 1 << 20):
            written.write(bytes(1 << 20))
    ballast.unlink()


def _at_once(work: Callable[[Any], None], items: Sequence[Any]) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, items))


def _timed(work: Callable[[Any], object], argument: Any) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    work(argument)
    return time.perf_counter() - wall, time.process_time() - cpu


def _medians(times: Mapping[str, list[tuple[float, float]]]) -> dict[str, Timing]:
    return {
        name: Timing(statistics.median(w for w, _ in each), statistics.median(c for _, c in each), len(each))
        for name, each in times.items()
    }


def _random_files(folder: Path, count: int, size: int) -> list[Path]:
    folder.mkdir(exist_ok=True)
    files = [folder / f"{number}" for number in range(count)]
    for file in files:
        with file.open("wb") as written:
            for start in range(0, size, 1 << 20):
                written.write(os.urandom(min(1 << 20, size - start)))
    return files


def _hash(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
