"""Saying that an attempt is alive, from beside its work: training may be silent for hours without being dead."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from penstock.errors import Terminal, Transient
from penstock.model.runs import Attempt
from penstock.ports import MetadataStore

BEATS_PER_LEASE = 4


class Heartbeat:
    """Renews an attempt's lease from a daemon thread until stopped, or until a newer attempt has taken over.

    Work shorter than a beat costs no write. A beat that meets a passing fault is tried again at the next one.
    """

    def __init__(self, store: MetadataStore, attempt: Attempt) -> None:
        self._store, self._attempt = store, attempt
        self._stopped = threading.Event()
        threading.Thread(target=self._beat, name=f"penstock-lease-{attempt.step}", daemon=True).start()

    def stop(self) -> None:
        """Beat no more."""
        self._stopped.set()

    def _beat(self) -> None:
        while not self._stopped.wait(self._attempt.lease_s / BEATS_PER_LEASE):
            try:
                self._store.renew_lease(self._attempt)
            except Transient:
                continue
            except Terminal:  # fenced or ended: the work learns of it when it writes
                return


@contextmanager
def alive(store: MetadataStore, attempt: Attempt) -> Iterator[None]:
    """Keep an attempt's lease while the block works."""
    heartbeat = Heartbeat(store, attempt)
    try:
        yield
    finally:
        heartbeat.stop()
