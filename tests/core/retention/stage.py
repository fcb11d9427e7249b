"""Runs that hold something, and what is left of them in records and in bytes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import penstock
from penstock.errors import Corrupted
from tests.artifacts.insides import FolderInside
from tests.contracts.artifact_store import sha256_of

EXPERIMENT = "team/old/runs"


@dataclass
class Stage:
    """A client, its folder, and its store's URL."""

    client: penstock.Client
    folder: Path
    url: str

    @property
    def inside(self) -> FolderInside:
        """The stored objects, past the store."""
        return FolderInside(self.folder / "bytes")

    def run(self, key: str, *texts: str, experiment: str = EXPERIMENT) -> str:
        """A finished run with an artifact of each text, a metric and a param; return its id."""
        with self.client.open_run(experiment, key=key, params={"key": key}) as run:
            run.log_metrics({"loss": 0.5})
            for number, text in enumerate(texts):
                path = self.folder / f"{number}.txt"
                path.write_text(text)
                run.log_artifact(path)
        return run.run_id

    def orphan(self, text: str) -> str:
        """Bytes that no record refers to; return their SHA-256."""
        path = self.folder / "orphan"
        path.write_text(text)
        return self.client.wiring.artifacts.put_file(path)[0]

    def collect(self, **options: Any) -> Any:
        """Collect for real, whatever the age of bytes."""
        return self.client.collect(dry_run=False, grace_s=0, **options)

    def is_there(self, text: str) -> bool:
        """Whether the bytes of a text can be fetched."""
        target = self.folder / "back"
        try:
            self.client.wiring.artifacts.fetch(sha256_of(text.encode()), target)
        except Corrupted:
            return False
        return target.read_text() == text

    def lost(self) -> list[str]:
        """What a record refers to and cannot be fetched: must be empty whatever happens."""
        wiring, found = self.client.wiring, []
        for sha256 in wiring.store.list_blobs("", 100_000):
            try:
                wiring.artifacts.fetch(sha256, self.folder / "back")
            except Corrupted:
                found.append(sha256)
        return found
