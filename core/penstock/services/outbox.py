"""Events out: telling webhooks of what the ledger has recorded, at least once and in each chain's order.

Signed as the Standard Webhooks specification says (github.com/standard-webhooks/standard-webhooks): the headers
`webhook-id`, `webhook-timestamp` and `webhook-signature`, the last being `v1,` and the base64 of HMAC-SHA-256 over
`<id>.<timestamp>.<body>`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

from penstock.errors import Corrupted, InvalidValue
from penstock.model.audit import AuditEvent, ChainId
from penstock.model.ids import new_token
from penstock.model.webhooks import Answer, Delivery, DeliveryState, Target, Webhook, event_json
from penstock.ports import MetadataStore
from penstock.ports.courier import Courier
from penstock.services.wiring import Wiring

LEASE_S = 120.0
PAGE = 200
_CHAINS = 50


def add_webhook(
    wiring: Wiring, name: str, target: str, *, secret: str, kinds: Sequence[str] = (), chains: Sequence[str] = ()
) -> Webhook:
    """Add a webhook that is told of what is recorded from now on; the same one again changes nothing."""
    webhook = Webhook(name, target, secret, tuple(kinds), tuple(chains), wiring.actor.to_json())
    return wiring.store.add_webhook(webhook)


def deliver(wiring: Wiring, courier: Courier) -> Iterator[Delivery]:
    """Send what is due to every webhook, yielding each try; ends when nothing is due.

    One process at a time delivers for a webhook. A process killed in the middle leaves a claim that runs out: the next
    one carries on from the last logged try, and what was sent but not logged is sent again under the same id. Raises
    `InvalidValue` for a key that is missing here and `Corrupted` for a chain that has lost its last entries, after
    everything else has been sent.
    """
    missing, cut = list[str](), set[ChainId]()
    for webhook in wiring.store.list_webhooks():
        key = os.environ.get(webhook.secret_variable, "")
        if not key:
            missing.append(f"{webhook.name} ({webhook.secret_variable})")
            continue
        token = new_token()
        if wiring.store.claim_webhook(webhook.name, token, LEASE_S):
            try:
                cut |= yield from _deliver_to(wiring.store, webhook, key.encode(), token, courier)
            finally:
                wiring.store.release_webhook(webhook.name, token)
    if cut:
        chains, hint = ", ".join(sorted(map(str, cut))), "Nothing else was held back; penstock verify says what is gone"
        raise Corrupted("ledger", chains, "the entries its head counts", "none after those that were sent", hint)
    if missing:
        hint = "Set it where events are delivered; the store never holds it"
        raise InvalidValue("webhook keys", ", ".join(missing), "an environment variable that holds each key", hint)


def _deliver_to(
    store: MetadataStore, webhook: Webhook, key: bytes, token: str, courier: Courier
) -> Generator[Delivery, None, set[ChainId]]:
    """Yield each try; return the chains whose head counts entries that are not there."""
    cut = set[ChainId]()
    while due := [one for one in store.list_due(webhook.name, _CHAINS + len(cut)) if one.chain not in cut]:
        for chain in due:
            if not store.read_entries(chain.chain, chain.sequence, 1):
                cut.add(chain.chain)
                continue
            for delivery in _deliver_chain(store, webhook, key, token, courier, chain.chain, chain.sequence):
                if delivery is None:  # somebody else has taken over
                    return cut
                yield delivery
    return cut


def _deliver_chain(
    store: MetadataStore, webhook: Webhook, key: bytes, token: str, courier: Courier, chain: ChainId, after: int
) -> Iterator[Delivery | None]:
    told = after
    while entries := store.read_entries(chain, told, PAGE):
        for entry in entries:
            if not webhook.wants(entry):
                continue
            if not store.claim_webhook(webhook.name, token, LEASE_S):
                yield None
                return
            started = time.monotonic()
            answer = _send(courier, webhook, entry, key)
            spent_ms = round((time.monotonic() - started) * 1000)
            delivery = store.record_delivery(webhook.name, token, entry, answer, spent_ms)
            yield delivery
            if delivery is None or delivery.state is DeliveryState.FAILED:
                return  # the chain keeps its order: what follows waits with this one
        told = entries[-1].sequence
        if not webhook.wants(entries[-1]) and not store.skip_entries(webhook.name, token, chain, told):
            yield None
            return


def _send(courier: Courier, webhook: Webhook, entry: AuditEvent, key: bytes) -> Answer:
    try:
        return courier.send(Target.parse(webhook.target), *signed(entry, key))
    except Exception as error:  # noqa: BLE001 - whatever it was, this webhook's try has failed, and the others are served
        return Answer(None, f"{type(error).__name__}: {error}"[:500])


def signed(entry: AuditEvent, key: bytes, at_s: int | None = None) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of the request that tells of `entry`."""
    body = json.dumps(event_json(entry), ensure_ascii=False, separators=(",", ":")).encode()
    sent_at = str(int(time.time()) if at_s is None else at_s)
    mac = hmac.new(key, b".".join((entry.hash.encode(), sent_at.encode(), body)), hashlib.sha256).digest()
    headers = {
        "content-type": "application/json",
        "user-agent": "penstock",
        "webhook-id": entry.hash,
        "webhook-timestamp": sent_at,
        "webhook-signature": "v1," + base64.b64encode(mac).decode(),
    }
    return headers, body


def events_after(
    store: MetadataStore, cursor: Mapping[str, int] | None, chains: Sequence[ChainId] = (), kinds: Sequence[str] = ()
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Return events recorded after `cursor`, and the cursor after them: how sensors and triggers follow the ledger.

    The cursor is plain JSON: chain → number of its last entry that was seen. With None nothing has been seen yet;
    start from the end with `cursor_now`.
    """
    seen, found = dict(cursor or {}), []
    for head in store.list_chain_heads():
        if chains and head.chain not in chains:
            continue
        after = seen.get(str(head.chain), 0)
        while after < head.sequence and (entries := store.read_entries(head.chain, after, PAGE)):
            found += [event_json(entry) for entry in entries if not kinds or entry.kind in kinds]
            after = entries[-1].sequence
        seen[str(head.chain)] = after
    return sorted(found, key=lambda event: event["time"]), seen


def follow(
    store: MetadataStore, name: str, chains: Sequence[ChainId] = (), kinds: Sequence[str] = ()
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Return what a follower of this name has not seen, and the cursor to `save_cursor` once that is dealt with.

    A new follower begins at the end. Until the cursor is saved, the same events are returned again: at least once.
    """
    cursor = store.load_cursor(name)
    if cursor is None:
        begins = cursor_now(store)
        store.save_cursor(name, begins)
        return [], begins
    return events_after(store, cursor, chains, kinds)


def cursor_now(store: MetadataStore) -> dict[str, int]:
    """Return the cursor after everything that is on record now."""
    return {str(head.chain): head.sequence for head in store.list_chain_heads()}
