"""Writers and collectors at the same time: nothing that a record refers to is ever deleted (law L4).

Few texts, so that the same bytes are stored, forgotten, condemned and stored again all the time.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import penstock
from penstock.errors import Busy
from penstock.services import gc
from tests.artifacts.insides import BucketInside
from tests.contracts.artifact_store import sha256_of
from tests.core.retention.stage import Stage
from tests.s3_servers import S3Server, moto, rclone, s3_credentials, s3_server

__all__ = ["moto", "rclone", "s3_credentials", "s3_server"]

EXPERIMENT = "team/race/runs"
TEXTS = [f"text {number}" for number in range(24)]


class Race:
    """Writers that store a few texts over and over, and collectors that let go of all but the newest runs."""

    def __init__(self, url: str, artifacts: str | Path, folder: Path, seconds: float) -> None:
        self.url, self.artifacts, self.folder, self.seconds = url, artifacts, folder, seconds
        self.failures: list[str] = []
        self.stored, self.deleted = 0, 0

    def run(self, writers: int) -> None:
        """Run for the time given, longer where a busy machine needs it; what went wrong is in `failures`."""
        with penstock.connect(self.url, self.artifacts) as client:
            client.open_run(EXPERIMENT, key="first").close()
            client.set_retention(EXPERIMENT, keep_last=2)
        threads = [threading.Thread(target=self._told, args=(self._write, number)) for number in range(writers)]
        threads += [threading.Thread(target=self._told, args=(self._collect, number)) for number in range(2)]
        self.until = time.monotonic() + self.seconds
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _is_on(self) -> bool:
        over_s = time.monotonic() - self.until
        return over_s < 0 or (over_s < 60 and not (self.stored > 10 and self.deleted))

    def _told(self, work: Callable[[int], None], number: int) -> None:
        try:
            work(number)
        except Exception as error:
            self.failures.append(f"{type(error).__name__}: {error}")

    def _write(self, number: int) -> None:
        chance = random.Random(number)
        folder = self.folder / f"writer-{number}"
        folder.mkdir()
        with penstock.connect(self.url, self.artifacts) as client:
            turn = 0
            while self._is_on():
                turn += 1
                with client.open_run(EXPERIMENT, key=f"{number}-{turn}") as run:
                    texts = chance.sample(TEXTS, 3)
                    for text in texts:
                        (folder / text).write_text(text)
                        run.log_artifact(folder / text)
                        self.stored += 1
                    for text in texts:  # the run is unfinished: nobody may have touched what it holds
                        client.wiring.artifacts.fetch(sha256_of(text.encode()), folder / "back")

    def _collect(self, _number: int) -> None:
        with penstock.connect(self.url, self.artifacts) as client:
            while self._is_on():
                try:
                    self.deleted += client.collect(dry_run=False, grace_s=0).blobs
                except Busy:
                    time.sleep(0.02)


def _race(url: str, folder: Path, seconds: float, writers: int) -> Race:
    race = Race(url, folder / "bytes", folder, seconds)
    race.run(writers)
    assert race.failures == []
    with penstock.connect(url, folder / "bytes") as client:
        stage = Stage(client, folder, url)
        assert stage.lost() == []
        assert list(client.verify()) == []
        stage.collect()
        assert stage.inside.hashes() == list(client.wiring.store.list_blobs("", 100))
    return race


def test_a_collector_never_deletes_what_a_writer_comes_to_refer_to(
    empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gc, "LEASE_S", 60.0)
    race = _race(empty_url, tmp_path, 4.0, writers=3)
    assert race.stored > 10
    assert race.deleted > 0


@pytest.mark.slow
def test_a_collector_never_deletes_what_many_writers_come_to_refer_to(
    empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gc, "LEASE_S", 60.0)
    # Three: with more of them nearly every text is in use nearly all the time, and there is little to delete.
    race = _race(empty_url, tmp_path, 45.0, writers=3)
    assert race.deleted > 0


def test_on_s3_a_collector_never_deletes_what_a_writer_comes_to_refer_to(
    store_url: str, tmp_path: Path, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where conditional writes are honoured, and where they are not."""
    monkeypatch.setattr(gc, "LEASE_S", 60.0)
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    store = s3_server.artifacts()
    race = Race(store_url, store.location, tmp_path, 4.0)
    race.run(writers=3)
    assert race.failures == []
    assert race.stored > 10
    assert race.deleted > 0
    with penstock.connect(store_url, store.location) as client:
        assert list(client.verify()) == []
        client.collect(dry_run=False, grace_s=0)
        assert BucketInside(s3_server, store).hashes() == list(client.wiring.store.list_blobs("", 100))
