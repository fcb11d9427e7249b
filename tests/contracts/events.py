"""What a `MetadataStore` must do for events out. No store is named here."""

from __future__ import annotations

import pytest

from penstock.errors import Conflict, NotFound
from penstock.model.audit import ChainId, experiment_chain
from penstock.model.webhooks import MOST_TRIES, Answer, DeliveryState, Webhook
from penstock.ports import MetadataStore
from tests.contracts.samples import ACTOR, EXPERIMENT, opened

HOOK = Webhook("team", "https://example.org/hook", "TEAM_KEY", ("run_opened",), (f"experiment:{EXPERIMENT}",), ACTOR)
CHAIN = experiment_chain(EXPERIMENT)
YES, NO = Answer(204), Answer(500, "500 broken")


class EventRecordsContract:
    """Give it a fixture `store` with nothing in it."""

    def test_entries_are_read_after_a_number_and_never_more_than_asked_for(self, store: MetadataStore) -> None:
        for partition in ("a", "b", "c"):
            opened(store, partition)
        assert [entry.sequence for entry in store.read_entries(CHAIN, 1, 10)] == [2, 3]
        assert [entry.sequence for entry in store.read_entries(CHAIN, 0, 2)] == [1, 2]
        assert list(store.read_entries(CHAIN, 3, 10)) == list(store.read_entries(ChainId("model", "no"), 0, 10)) == []

    def test_a_followers_cursor_is_what_it_saved_last(self, store: MetadataStore) -> None:
        assert store.load_cursor("airflow") is None
        store.save_cursor("airflow", {"model:m": 3})
        store.save_cursor("airflow", {"model:m": 4, "experiment:e": 1})
        store.save_cursor("prefect", {})
        assert store.load_cursor("airflow") == {"model:m": 4, "experiment:e": 1}

    def test_a_webhook_is_added_once_and_told_only_of_what_comes_later(self, store: MetadataStore) -> None:
        opened(store, "before")
        first = store.add_webhook(HOOK)
        opened(store, "after")
        assert store.add_webhook(HOOK) == first
        assert list(store.list_webhooks()) == [first]
        assert [(due.chain, due.sequence) for due in store.list_due("team", 10)] == [(CHAIN, 1)]
        with pytest.raises(Conflict, match=r"example\.org"):
            store.add_webhook(Webhook("team", "https://example.net/", "TEAM_KEY"))
        store.remove_webhook("team")
        assert list(store.list_webhooks()) == []
        with pytest.raises(NotFound, match="webhook"):
            store.remove_webhook("team")

    def test_only_one_claim_runs_at_a_time(self, store: MetadataStore) -> None:
        store.add_webhook(HOOK)
        assert store.claim_webhook("team", "a" * 32, 60)
        assert store.claim_webhook("team", "a" * 32, 60)
        assert not store.claim_webhook("team", "b" * 32, 60)
        store.release_webhook("team", "b" * 32)
        assert not store.claim_webhook("team", "b" * 32, 60)
        store.release_webhook("team", "a" * 32)
        assert store.claim_webhook("team", "b" * 32, -1)
        assert store.claim_webhook("team", "c" * 32, 60)
        assert not store.claim_webhook("nobody", "c" * 32, 60)

    def test_a_try_is_logged_and_moves_the_cursor_only_when_it_was_accepted(self, store: MetadataStore) -> None:
        store.add_webhook(HOOK)
        opened(store, "a")
        entry = store.read_entries(CHAIN, 0, 1)[0]
        token = "a" * 32
        assert store.claim_webhook("team", token, 60)
        failed = store.record_delivery("team", token, entry, NO, 5)
        assert failed is not None
        assert (failed.state, failed.number, failed.status, failed.error) == (DeliveryState.FAILED, 1, 500, NO.error)
        assert list(store.list_due("team", 10)) == []  # it waits
        done = store.record_delivery("team", token, entry, YES, 7)
        assert done is not None
        assert (done.state, done.number, done.event_id) == (DeliveryState.DELIVERED, 2, entry.hash)
        assert list(store.list_due("team", 10)) == []
        assert list(store.list_deliveries("team", 10)) == [done, failed]
        assert list(store.list_deliveries(None, 1)) == [done]
        opened(store, "b")
        assert [due.sequence for due in store.list_due("team", 10)] == [1]
        assert store.skip_entries("team", token, CHAIN, 2)
        assert list(store.list_due("team", 10)) == []

    def test_an_event_refused_often_enough_is_abandoned_and_the_next_one_is_due(self, store: MetadataStore) -> None:
        store.add_webhook(HOOK)
        opened(store, "a")
        opened(store, "b")
        entry, token = store.read_entries(CHAIN, 0, 1)[0], "a" * 32
        assert store.claim_webhook("team", token, 60)
        made = [store.record_delivery("team", token, entry, NO, 1) for _ in range(MOST_TRIES)]
        assert [one.state for one in made if one is not None] == [DeliveryState.FAILED] * (MOST_TRIES - 1) + [
            DeliveryState.ABANDONED
        ]
        assert [(due.sequence, due.failures) for due in store.list_due("team", 10)] == [(1, 0)]

    def test_who_lost_the_claim_changes_nothing(self, store: MetadataStore) -> None:
        store.add_webhook(HOOK)
        opened(store, "a")
        entry = store.read_entries(CHAIN, 0, 1)[0]
        assert store.claim_webhook("team", "a" * 32, 60)
        assert store.record_delivery("team", "b" * 32, entry, YES, 1) is None
        assert not store.skip_entries("team", "b" * 32, CHAIN, 1)
        assert list(store.list_deliveries(None, 10)) == []
        assert len(store.list_due("team", 10)) == 1
