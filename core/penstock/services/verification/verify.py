"""Checking a store against itself: the ledger, what it says of the present, and every byte that a record refers to.

Reads only, in memory that does not grow with the store. An edit, a deletion, an insertion or a reordering is found from
the database alone; a consistent recomputation of a whole chain, or a tail cut off together with its head, only against
an anchor kept elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from penstock.services.reachability import orphans
from penstock.services.verification.account import Account
from penstock.services.verification.bytes import read_bytes as read_all_bytes
from penstock.services.verification.finding import Finding
from penstock.services.verification.ledger import Anchors, anchors_in, read_ledger
from penstock.services.verification.records import read_records
from penstock.services.wiring import Wiring


def anchor(wiring: Wiring) -> dict[str, Any]:
    """Return where every chain ends now, as plain JSON, to be kept where the database's owner cannot change it."""
    heads = wiring.store.list_chain_heads()
    return {"chains": {str(head.chain): {"sequence": head.sequence, "hash": head.hash} for head in heads}}


def verify(wiring: Wiring, anchored: Mapping[str, Any] | None = None, *, read_bytes: bool = True) -> Iterator[Finding]:
    """Yield everything that is not as it was written; nothing if the store is sound.

    `anchored` is what `anchor` returned earlier. With `read_bytes` every file that a record refers to is fetched, past
    any cache, and hashed. What is found while others write is looked at a second time before it is told: the ledger is
    read first, and what has been written since then is no fault.
    """
    anchors = anchors_in(anchored)
    heads, doubtful = wiring.store.list_chain_heads(), set[tuple[str, str]]()
    for finding in _records(wiring, anchors):
        if not doubtful and wiring.store.list_chain_heads() == heads:
            yield finding
        else:
            doubtful.add((finding.check, finding.subject))
    if doubtful:
        yield from (each for each in _records(wiring, anchors) if (each.check, each.subject) in doubtful)
    yield from _left_behind(wiring)
    if read_bytes:
        yield from read_all_bytes(wiring)


def _records(wiring: Wiring, anchors: Anchors) -> Iterator[Finding]:
    """What the ledger does not hold together by itself, or says otherwise than the records do."""
    with Account() as account:
        yield from read_ledger(wiring.store, account, anchors)
        yield from read_records(wiring.store, account)
        yield from account.differences()


def _left_behind(wiring: Wiring) -> Iterator[Finding]:
    """What nobody owns any more: rows, running attempts, bytes."""
    for stray in wiring.store.find_strays():
        yield Finding("stray", stray.partition(" ")[0], stray)
    for run_id in wiring.store.list_lapsed():
        problem = "it is RUNNING, but a lease in it has run out, or it is past its deadline. Run: penstock runs reap"
        yield Finding("lease", f"run {run_id}", problem)
    for stored in orphans(wiring.store, wiring.artifacts):
        problem = f"no record refers to these {stored.size_bytes:,} bytes, written {stored.age_s / 3600:.0f} hours ago"
        yield Finding("orphan", stored.sha256, problem)
