"""What a store does for events out: entries after a cursor, webhooks, and what became of each delivery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from penstock.model.audit import AuditEvent, ChainId
from penstock.model.webhooks import Answer, Delivery, Due, Webhook


class EventRecords(Protocol):
    """What a store does for events out: entries after a cursor, webhooks, and what became of each delivery."""

    def read_entries(self, chain: ChainId, after: int, limit: int) -> Sequence[AuditEvent]:
        """Return a chain's entries after sequence number `after`, in order."""
        ...

    def load_cursor(self, name: str) -> Mapping[str, int] | None:
        """Return where a follower of the ledger had come; None if nobody of this name has followed it."""
        ...

    def save_cursor(self, name: str, cursor: Mapping[str, int]) -> None:
        """Remember where a follower has come. The last one to save is right."""
        ...

    def add_webhook(self, webhook: Webhook) -> Webhook:
        """Add a webhook, to be told of what is recorded from now on; the same one again changes nothing.

        `Conflict` when the name belongs to one that differs.
        """
        ...

    def remove_webhook(self, name: str) -> None:
        """Remove a webhook with its log; `NotFound` if there is none."""
        ...

    def list_webhooks(self) -> Sequence[Webhook]:
        """Return the webhooks by name."""
        ...

    def claim_webhook(self, name: str, token: str, lease_s: float) -> bool:
        """Make `token` the only one who delivers for a webhook, for `lease_s` by the database's clock.

        False while somebody else's claim runs. Claiming again with the same token extends it.
        """
        ...

    def release_webhook(self, name: str, token: str) -> None:
        """Give a claim back, if it is still this token's."""
        ...

    def list_due(self, name: str, limit: int) -> Sequence[Due]:
        """Return chains with entries the webhook has not been told of, that need not wait, longest waiting first."""
        ...

    def skip_entries(self, name: str, token: str, chain: ChainId, sequence: int) -> bool:
        """Say that nothing up to `sequence` is left to send; False, changing nothing, if the claim has been lost."""
        ...

    def record_delivery(
        self, name: str, token: str, entry: AuditEvent, answer: Answer, duration_ms: int
    ) -> Delivery | None:
        """Log one try, in one transaction with what follows from it.

        An accepted event is done with. A refused one is due again after `wait_s`, and abandoned after `MOST_TRIES`.
        None, changing nothing, if the claim has been lost.
        """
        ...

    def list_deliveries(self, name: str | None, limit: int) -> Sequence[Delivery]:
        """Return what became of tries, newest first; of all webhooks when `name` is None."""
        ...
