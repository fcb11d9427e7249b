"""What a store does for a run's artifacts and logged models."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

from penstock.model.runs import Attempt
from penstock.model.versions import FileEntry, LoggedModel


class ModelRecords(Protocol):
    """What a store does for a run's artifacts and logged models."""

    def put_artifacts(self, attempt: Attempt, files: Sequence[FileEntry], sweeps: Collection[str] = ()) -> None:
        """Enter files into the run's path → blob index, replacing those with the same path.

        `BlobsCollected` where bytes have been deleted as nobody's since they were stored; `sweeps` are those deletions
        that were over before the bytes were stored (again). `NotFound` for a run that is not there.
        """
        ...

    def list_artifacts(self, run_id: str) -> Sequence[FileEntry]:
        """Return the run's artifacts by path."""
        ...

    def list_blobs(self, after: str, limit: int) -> Sequence[str]:
        """Return the SHA-256 of blobs that a record refers to, each once and in order: the first after `after`."""
        ...

    def find_referrer(self, sha256: str) -> str:
        """Return a file that a blob is the bytes of, as a person may read it; empty if no record refers to the blob.

        `runs:/<run id>/<model> <path>` of a logged model, else `runs:/<run id> <path>` of a run: the first in order.
        """
        ...

    def add_model(self, attempt: Attempt, model: LoggedModel, sweeps: Collection[str] = ()) -> LoggedModel:
        """Seal a model with its files; the same model again returns the one stored first.

        `BlobsCollected` and `NotFound` as in `put_artifacts`. `Conflict` for a model whose files have been collected.
        """
        ...

    def read_model_stages(self) -> Iterator[tuple[str, str, str]]:
        """Yield every logged model's id, stage (active, deleted, purged) and its run's stage, not all held at once."""
        ...

    def get_model(self, model_id: str) -> LoggedModel:
        """Return a logged model with its files; `NotFound` if there is none."""
        ...

    def find_model(self, run_id: str, name: str) -> LoggedModel | None:
        """Return the model logged last under this name by a current attempt of the run."""
        ...
