"""Events out, in this process's memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from penstock.errors import Conflict, NotFound
from penstock.model.audit import AuditEvent, ChainId
from penstock.model.webhooks import Answer, Delivery, DeliveryState, Due, Webhook, state_after, wait_s
from penstock.stores.memory.records.base import InMemory
from penstock.stores.memory.state import State, WebhookRecord, time_of


class MemoryEventRecords(InMemory):
    """Implements `penstock.ports.EventRecords`, where its methods are documented."""

    def read_entries(self, chain: ChainId, after: int, limit: int) -> Sequence[AuditEvent]:
        return self._state.chains.get(chain, [])[after : after + limit]

    def load_cursor(self, name: str) -> Mapping[str, int] | None:
        return self._state.cursors.get(name)

    def save_cursor(self, name: str, cursor: Mapping[str, int]) -> None:
        with self._changing() as (state, _):
            state.cursors[name] = dict(cursor)

    def add_webhook(self, webhook: Webhook) -> Webhook:
        with self._changing() as (state, now):
            if webhook.name not in state.webhooks:
                cursors = {chain: (len(entries), 0, 0) for chain, entries in state.chains.items()}
                state.webhooks[webhook.name] = WebhookRecord(replace(webhook, created_at=time_of(now)), cursors=cursors)
            stored = state.webhooks[webhook.name].webhook
            if replace(stored, created_at=None, created_by={}) != replace(webhook, created_at=None, created_by={}):
                raise Conflict("webhook", webhook.name, "the same webhook", f"one that goes to {stored.target}")
            return stored

    def remove_webhook(self, name: str) -> None:
        with self._changing() as (state, _):
            _get(state, name)
            del state.webhooks[name]

    def list_webhooks(self) -> Sequence[Webhook]:
        return [self._state.webhooks[name].webhook for name in sorted(self._state.webhooks)]

    def claim_webhook(self, name: str, token: str, lease_s: float) -> bool:
        with self._changing() as (state, now):
            record = state.webhooks.get(name)
            if record is None or (record.claim != token and record.claimed_until_ms >= now):
                return False
            record.claim, record.claimed_until_ms = token, now + round(lease_s * 1000)
            return True

    def release_webhook(self, name: str, token: str) -> None:
        with self._changing() as (state, _):
            record = state.webhooks.get(name)
            if record is not None and record.claim == token:
                record.claim, record.claimed_until_ms = "", 0

    def list_due(self, name: str, limit: int) -> Sequence[Due]:
        record, now = self._state.webhooks.get(name), self._now_ms()
        cursors = {} if record is None else record.cursors
        found = []
        for chain, entries in self._state.chains.items():
            sequence, failures, not_before = cursors.get(chain, (0, 0, 0))
            if len(entries) > sequence and not_before <= now:
                found.append((not_before, chain.kind, chain.name, Due(chain, sequence, failures)))
        return [item[3] for item in sorted(found, key=lambda item: item[:3])][:limit]

    def skip_entries(self, name: str, token: str, chain: ChainId, sequence: int) -> bool:
        with self._changing() as (state, _):
            record = state.webhooks.get(name)
            if record is None or record.claim != token:
                return False
            record.cursors[chain] = (sequence, 0, 0)
            return True

    def record_delivery(
        self, name: str, token: str, entry: AuditEvent, answer: Answer, duration_ms: int
    ) -> Delivery | None:
        with self._changing() as (state, now):
            record = state.webhooks.get(name)
            if record is None or record.claim != token:
                return None
            number = 1 + sum(done.event_id == entry.hash for done in record.deliveries)
            made = state_after(answer, number)
            delivery = Delivery(
                name,
                entry.hash,
                entry.chain,
                entry.sequence,
                number,
                made,
                answer.status,
                answer.error,
                duration_ms,
                time_of(now),
            )
            record.deliveries.append(delivery)
            again = (entry.sequence - 1, number, now + round(wait_s(number) * 1000))
            record.cursors[entry.chain] = again if made is DeliveryState.FAILED else (entry.sequence, 0, 0)
            return delivery

    def list_deliveries(self, name: str | None, limit: int) -> Sequence[Delivery]:
        found = [
            made
            for record in self._state.webhooks.values()
            for made in record.deliveries
            if name in {None, made.webhook}
        ]
        found.sort(key=lambda made: (-made.sequence, -made.number))
        found.sort(key=lambda made: (made.webhook, made.chain.kind, made.chain.name))
        found.sort(key=lambda made: made.at or time_of(0), reverse=True)
        return found[:limit]


def _get(state: State, name: str) -> WebhookRecord:
    if name not in state.webhooks:
        raise NotFound("webhook", name)
    return state.webhooks[name]
