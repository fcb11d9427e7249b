"""Collecting what nothing keeps: runs and models that policies let go of, and bytes that no record refers to.

Mark and sweep, and again: each step is a transaction or leaves something that the next collection finishes, so that it
may be killed anywhere. The store says how bytes are deleted without any writer referring to them: `RetentionRecords`.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from penstock.errors import Busy, InvalidValue
from penstock.failpoints import failpoint
from penstock.model.retention import Collected, Contents
from penstock.ports import StoredObject
from penstock.services.reachability import GRACE_S, referred
from penstock.services.retention import Doomed, let_go
from penstock.services.wiring import Wiring

LEASE_S = 300.0
"""How long a collector may be silent before another one carries on with what it has left."""

REMEMBERED_S = 24 * 3600.0
"""For how long a writer that has stored bytes may take to refer to them."""

_BATCH = 200


@dataclass
class _Tally:
    """What has been collected so far."""

    runs: int = 0
    contents: Contents = field(default_factory=Contents)
    blobs: int = 0
    freed_bytes: int = 0
    kept: int = 0
    missing: list[str] = field(default_factory=list)

    def collected(self, dry_run: bool) -> Collected:
        """Return it as it is said to the caller."""
        missing = tuple(self.missing)
        return Collected(self.runs, self.contents, self.blobs, self.freed_bytes, self.kept, missing, dry_run)


def collect(wiring: Wiring, *, dry_run: bool = True, with_deleted: bool = False, grace_s: float = GRACE_S) -> Collected:
    """Let go of what retention policies do not keep, and delete bytes older than `grace_s` that no record refers to.

    A dry run, which is the default, changes nothing and says what would go. `Busy` while another collector is at work,
    or for `LEASE_S` after one was killed while it deleted bytes.
    """
    if isinstance(grace_s, bool) or not isinstance(grace_s, int | float) or not grace_s >= 0:
        raise InvalidValue("grace_s", grace_s, "a number of seconds, 0 or more")
    doomed, kept = let_go(wiring.store, with_deleted)
    tally = _Tally(kept=kept)
    if dry_run:
        for one in doomed:
            _count(tally, one, wiring.store.count_contents(one.candidate))
        freed = _only_referred_by(wiring, doomed)
        for stored in _unreferred(wiring, grace_s, freed, tally.missing):
            tally.blobs += 1
            tally.freed_bytes += stored.size_bytes
        return tally.collected(dry_run)
    actor = wiring.actor.to_json()
    for one in doomed:
        gone = wiring.store.purge(one.candidate, one.why, actor)
        if gone is None:  # something has come to refer to it meanwhile
            tally.kept += 1
        else:
            _count(tally, one, gone)
        failpoint("gc.purged")
    with _alone(wiring) as still_alone:
        _sweep(wiring, grace_s, tally, still_alone)
    return tally.collected(dry_run)


def _count(tally: _Tally, one: Doomed, contents: Contents) -> None:
    tally.runs += not one.candidate.model_id
    tally.contents += contents


def _sweep(wiring: Wiring, grace_s: float, tally: _Tally, still_alone: Callable[[], None]) -> None:
    store = wiring.store
    store.forget_swept(REMEMBERED_S)
    while left := store.list_condemned("sweeping", _BATCH):  # by a collector that was killed
        _delete(wiring, left, secrets.token_hex(16), tally, still_alone)
    condemned: list[StoredObject] = []
    for stored in _unreferred(wiring, grace_s, frozenset(), tally.missing):
        condemned.append(stored)
        if len(condemned) == _BATCH:
            store.condemn_blobs(condemned)
            condemned = []
    store.condemn_blobs(condemned)
    failpoint("gc.condemned")
    while page := dict(store.list_condemned("condemned", _BATCH)):
        sweep = secrets.token_hex(16)
        taken = store.begin_sweep(list(page), sweep)
        failpoint("gc.sweeping")
        _delete(wiring, [(sha256, page[sha256]) for sha256 in taken], sweep, tally, still_alone)


def _delete(
    wiring: Wiring, taken: Sequence[tuple[str, int]], sweep: str, tally: _Tally, still_alone: Callable[[], None]
) -> None:
    """Delete bytes that are sweeping: nobody can come to refer to them before this is over."""
    if not taken:
        return
    still_alone()
    gone_before = set(wiring.artifacts.delete_objects([sha256 for sha256, _ in taken], LEASE_S / 4))
    failpoint("gc.deleted")
    wiring.store.end_sweep([sha256 for sha256, _ in taken], sweep)
    for sha256, size in taken:
        if sha256 not in gone_before:
            tally.blobs += 1
            tally.freed_bytes += size


@contextmanager
def _alone(wiring: Wiring) -> Iterator[Callable[[], None]]:
    """Be the only collector: one that deletes late would delete what was stored again since."""
    token = secrets.token_hex(16)

    def claim() -> None:
        if not wiring.store.claim_collection(token, LEASE_S):
            raise Busy("collecting (another 'penstock gc' is at work, or was killed a moment ago)", 0.0)

    claim()
    try:
        yield claim
    finally:
        wiring.store.release_collection(token)


def _unreferred(wiring: Wiring, grace_s: float, freed: frozenset[str], missing: list[str]) -> Iterator[StoredObject]:
    """Yield objects older than `grace_s` that no record refers to (but for `freed`); note names without an object."""
    names, absent = referred(wiring.store), []
    name = next(names, None)
    for stored in wiring.artifacts.list_objects():
        while name is not None and name < stored.sha256:
            absent.append(name)
            name = next(names, None)
        is_referred = name == stored.sha256
        if is_referred:
            name = next(names, None)
        if (not is_referred or stored.sha256 in freed) and stored.age_s >= grace_s:
            yield stored
    absent += [] if name is None else [name, *names]
    if absent:  # what was stored while the listing went on is in a second one
        there = {stored.sha256 for stored in wiring.artifacts.list_objects()}
        missing += [sha256 for sha256 in absent if sha256 not in there]


def _only_referred_by(wiring: Wiring, doomed: Sequence[Doomed]) -> frozenset[str]:
    """Return the blobs that nothing but these refers to."""
    going = Counter(sha256 for one in doomed for sha256, _ in wiring.store.list_contents(one.candidate))
    names, freed = sorted(going), set()
    for at in range(0, len(names), _BATCH):
        page = names[at : at + _BATCH]
        references = wiring.store.count_references(page)
        freed |= {sha256 for sha256 in page if references.get(sha256, 0) == going[sha256]}
    return frozenset(freed)
