"""What a store does for retention: policies, what may go, and bytes about to be deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from penstock.model.retention import Candidate, Contents, RetentionPolicy
from penstock.ports.artifact_store import StoredObject


class RetentionRecords(Protocol):
    """What a store does for retention: policies, what may go, and bytes about to be deleted.

    Bytes are deleted in three steps, so that no writer ever refers to bytes that are going: what nothing refers to is
    *condemned*; it is *sweeping* from the transaction on that finds it still unreferred to, alone among all who would
    refer to it; it is *swept* when its bytes are gone. `put_artifacts` and `add_model` reprieve what is condemned, and
    raise `BlobsCollected` for the rest, unless told that its bytes were stored again after it had been seen swept.
    """

    def set_retention(self, policy: RetentionPolicy) -> RetentionPolicy:
        """Set a policy, with its event; the same terms again change nothing."""
        ...

    def remove_retention(self, experiment: str, model: str, actor: Mapping[str, Any]) -> None:
        """Remove a policy, with its event; `NotFound` if there is none."""
        ...

    def list_retention(self) -> Sequence[RetentionPolicy]:
        """Return the policies by experiment and model."""
        ...

    def list_candidates(self, experiment: str | None, model: str | None) -> Sequence[Candidate]:
        """Return ended runs that are not purged yet or, with `model`, logged models of this name (empty: any name).

        Of one experiment, or of all. Models of runs that have not ended are `held_by` that.
        """
        ...

    def count_contents(self, candidate: Candidate) -> Contents:
        """Return what a run or a logged model holds now."""
        ...

    def list_contents(self, candidate: Candidate) -> Sequence[tuple[str, int]]:
        """Return (SHA-256, size in bytes) of each file of a run or a logged model."""
        ...

    def count_references(self, sha256s: Sequence[str]) -> Mapping[str, int]:
        """Return how many files refer to each of these blobs; those that none refers to are left out."""
        ...

    def purge(self, candidate: Candidate, why: str, actor: Mapping[str, Any]) -> Contents | None:
        """Remove what a run or a logged model holds, with its event, unless something refers to it (None then).

        Its row, its steps and its ledger stay. Purging it again returns None, too.
        """
        ...

    def claim_collection(self, token: str, lease_s: float) -> bool:
        """Make `token` the only collector, for `lease_s` by the database's clock; again: extend it.

        False while another one's claim runs.
        """
        ...

    def release_collection(self, token: str) -> None:
        """Give the claim back, if it is still this token's."""
        ...

    def condemn_blobs(self, objects: Sequence[StoredObject]) -> None:
        """Say that these are to be deleted; those that are already on their way stay where they are."""
        ...

    def list_condemned(self, state: str, limit: int) -> Sequence[tuple[str, int]]:
        """Return (SHA-256, size in bytes) of blobs in a state: `condemned`, `sweeping` or `swept`; longest first."""
        ...

    def begin_sweep(self, sha256s: Sequence[str], sweep: str) -> Sequence[str]:
        """Take condemned blobs for deletion, under the sweep's name; return those that nothing refers to.

        Alone among all transactions that refer to blobs. The others are reprieved.
        """
        ...

    def end_sweep(self, sha256s: Sequence[str], sweep: str) -> None:
        """Say that the bytes of these blobs, which were sweeping, are gone, under the name of the sweep that knows."""
        ...

    def forget_swept(self, older_than_s: float) -> int:
        """Forget blobs swept longer ago than this; return how many."""
        ...
