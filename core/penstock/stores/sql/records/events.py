"""Events out, in a SQL database, each method one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from penstock.model.audit import AuditEvent, ChainId
from penstock.model.webhooks import Answer, Delivery, Due, Webhook
from penstock.stores.sql import webhooks
from penstock.stores.sql.database import retried
from penstock.stores.sql.records.base import OnDatabase


class SqlEventRecords(OnDatabase):
    """Implements `penstock.ports.EventRecords`, where its methods are documented."""

    def read_entries(self, chain: ChainId, after: int, limit: int) -> Sequence[AuditEvent]:
        with self._database.reading() as connection:
            return webhooks.entries(connection, chain, after, limit)

    def load_cursor(self, name: str) -> Mapping[str, int] | None:
        with self._database.reading() as connection:
            return webhooks.load_cursor(connection, name)

    @retried
    def save_cursor(self, name: str, cursor: Mapping[str, int]) -> None:
        with self._database.writing() as connection:
            webhooks.save_cursor(connection, name, cursor)

    @retried
    def add_webhook(self, webhook: Webhook) -> Webhook:
        with self._database.writing() as connection:
            return webhooks.add(connection, webhook)

    @retried
    def remove_webhook(self, name: str) -> None:
        with self._database.writing() as connection:
            webhooks.remove(connection, name)

    def list_webhooks(self) -> Sequence[Webhook]:
        with self._database.reading() as connection:
            return webhooks.every(connection)

    @retried
    def claim_webhook(self, name: str, token: str, lease_s: float) -> bool:
        with self._database.writing() as connection:
            return webhooks.claim(connection, name, token, lease_s)

    @retried
    def release_webhook(self, name: str, token: str) -> None:
        with self._database.writing() as connection:
            webhooks.release(connection, name, token)

    def list_due(self, name: str, limit: int) -> Sequence[Due]:
        with self._database.reading() as connection:
            return webhooks.due(connection, name, limit)

    @retried
    def skip_entries(self, name: str, token: str, chain: ChainId, sequence: int) -> bool:
        with self._database.writing() as connection:
            return webhooks.skip(connection, name, token, chain, sequence)

    @retried
    def record_delivery(
        self, name: str, token: str, entry: AuditEvent, answer: Answer, duration_ms: int
    ) -> Delivery | None:
        with self._database.writing() as connection:
            return webhooks.record(connection, name, token, entry, answer, duration_ms)

    def list_deliveries(self, name: str | None, limit: int) -> Sequence[Delivery]:
        with self._database.reading() as connection:
            return webhooks.deliveries(connection, name, limit)
