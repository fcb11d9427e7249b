"""Events out: following the ledger, and webhooks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from penstock.client.base import OnWiring
from penstock.model.audit import model_chain

if TYPE_CHECKING:
    from penstock.model.runs import StepSummary
    from penstock.model.webhooks import Delivery, Webhook
    from penstock.ports.courier import Courier


class Events(OnWiring):
    """Events out: following the ledger, and webhooks."""

    def events_after(
        self, cursor: Mapping[str, int] | None, *, model: str | None = None, kinds: Sequence[str] = ()
    ) -> tuple[Sequence[Mapping[str, Any]], Mapping[str, int]]:
        """Return events recorded after `cursor` (of one model, of these kinds), oldest first, and the next cursor.

        Both are plain JSON. `cursor` None means from the beginning; `event_cursor()` is the end as it is now.
        """
        from penstock.services import outbox

        chains = () if model is None else (model_chain(model),)
        return outbox.events_after(self.wiring.store, cursor, chains, kinds)

    def event_cursor(self) -> Mapping[str, int]:
        """Return the cursor after everything on record now: what `events_after` begins from."""
        from penstock.services import outbox

        return outbox.cursor_now(self.wiring.store)

    def follow_events(
        self, follower: str, *, model: str | None = None, kinds: Sequence[str] = ()
    ) -> tuple[Sequence[Mapping[str, Any]], Mapping[str, int]]:
        """Return what `follower` has not seen yet, and the cursor to pass to `seen_events` once it is dealt with.

        The store remembers each follower by name, so that nothing is missed while it is down. A new one begins now.
        """
        from penstock.services import outbox

        chains = () if model is None else (model_chain(model),)
        return outbox.follow(self.wiring.store, follower, chains, kinds)

    def seen_events(self, follower: str, cursor: Mapping[str, int]) -> None:
        """Remember that `follower` has dealt with everything up to `cursor`."""
        self.wiring.store.save_cursor(follower, cursor)

    def find_mover(self, event: Mapping[str, Any]) -> StepSummary | None:
        """Return the attempt that made the move which an `alias_moved` event tells of, with where it ran (`host`).

        None if no step made it (a rollback).
        """
        from penstock.services import movers

        return movers.find_mover(self.wiring, event)

    def add_webhook(
        self, name: str, target: str, *, secret: str, kinds: Sequence[str] = (), chains: Sequence[str] = ()
    ) -> Webhook:
        """Tell `target` (https://…) of what is recorded from now on: of these kinds and chains, or of everything.

        `secret` names the environment variable that holds the signing key wherever `deliver_events` runs. The same
        webhook again changes nothing; `Conflict` if the name belongs to another one.
        """
        from penstock.services import outbox

        return outbox.add_webhook(self.wiring, name, target, secret=secret, kinds=kinds, chains=chains)

    def remove_webhook(self, name: str) -> None:
        """Remove a webhook and its log; `NotFound` if there is none."""
        self.wiring.store.remove_webhook(name)

    def list_webhooks(self) -> Sequence[Webhook]:
        """Return the webhooks by name."""
        return self.wiring.store.list_webhooks()

    def list_deliveries(self, name: str | None = None, limit: int = 100) -> Sequence[Delivery]:
        """Return what became of each try to deliver, newest first."""
        return self.wiring.store.list_deliveries(name, limit)

    def deliver_events(self, courier: Courier | None = None) -> Iterator[Delivery]:
        """Send what is due to every webhook, yielding each try; from a schedule, or `penstock events deliver`.

        At least once, in each chain's order, signed; a refused event is tried again with growing waits.
        """
        from penstock.services import outbox

        if courier is None:
            from penstock.webhooks.http_courier import HttpCourier

            courier = HttpCourier()
        return outbox.deliver(self.wiring, courier)
