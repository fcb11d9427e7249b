"""Bytes about to be deleted: condemned, sweeping, swept; and the writers who may still refer to them.

A writer looks here in the transaction that refers to blobs, before it does. A collector that takes blobs for deletion
waits for every writer who has looked, and makes those who have not wait for it: so it sees every reference there will
be, and they see what it has taken.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import sqlalchemy as sa

from penstock.errors import BlobsCollected
from penstock.failpoints import failpoint
from penstock.ports.artifact_store import StoredObject
from penstock.stores.sql.dialects import insert_or_ignore, lock_out, now_ms
from penstock.stores.sql.tables import model_files, run_artifacts
from penstock.stores.sql.tables.retention import collectors, condemned_blobs

CONDEMNED, SWEEPING, SWEPT = "condemned", "sweeping", "swept"
_COLLECTOR = "gc"
_FILES = (run_artifacts, model_files)

# Built once: every writer asks.
_AMONG = sa.select(condemned_blobs.c.sha256, condemned_blobs.c.state, condemned_blobs.c.sweep).where(
    condemned_blobs.c.sha256.in_(sa.bindparam("sha256s", expanding=True))
)


def reprieve(connection: sa.Connection, sha256s: Collection[str], seen: Collection[str]) -> None:
    """Keep blobs that this transaction is about to refer to; `BlobsCollected` for those whose bytes are going or gone.

    Bytes that were stored again after a sweep in `seen` was over are there.
    """
    found = connection.execute(_AMONG, {"sha256s": sorted(set(sha256s))}).all() if sha256s else []
    if not found:
        return
    gone = [row for row in found if row.state == SWEEPING or (row.state == SWEPT and row.sweep not in seen)]
    if gone:
        sweeps = tuple(sorted({row.sweep for row in gone if row.state == SWEPT} | set(seen)))
        sweeping = any(row.state == SWEEPING for row in gone)
        raise BlobsCollected(tuple(sorted(row.sha256 for row in gone)), sweeps, sweeping)
    names = sorted(row.sha256 for row in found)
    connection.execute(sa.delete(condemned_blobs).where(condemned_blobs.c.sha256.in_(names)))
    failpoint("blobs.reprieved")


def condemn(connection: sa.Connection, objects: Sequence[StoredObject]) -> None:
    """Say that these are to be deleted; those on their way already stay where they are."""
    time_ms = now_ms(connection)
    rows = [
        {"sha256": one.sha256, "size_bytes": one.size_bytes, "state": CONDEMNED, "sweep": "", "at_ms": time_ms}
        for one in sorted(objects, key=lambda one: one.sha256)
    ]
    if rows:
        connection.execute(insert_or_ignore(connection, condemned_blobs), rows)
        failpoint("blobs.condemned")


def in_state(connection: sa.Connection, state: str, limit: int) -> Sequence[tuple[str, int]]:
    """Return (SHA-256, size in bytes) of blobs in a state, longest first."""
    query = sa.select(condemned_blobs.c.sha256, condemned_blobs.c.size_bytes).where(condemned_blobs.c.state == state)
    ordered = query.order_by(condemned_blobs.c.at_ms, condemned_blobs.c.sha256).limit(limit)
    return [(row.sha256, row.size_bytes) for row in connection.execute(ordered)]


def begin_sweep(connection: sa.Connection, sha256s: Sequence[str], sweep: str) -> Sequence[str]:
    """Take condemned blobs that nothing refers to; the others are reprieved."""
    lock_out(connection, condemned_blobs)
    failpoint("blobs.locked")
    named = condemned_blobs.c.sha256.in_(list(sha256s))
    condemned = sa.and_(named, condemned_blobs.c.state == CONDEMNED)
    referred = sa.or_(*(sa.exists().where(table.c.sha256 == condemned_blobs.c.sha256) for table in _FILES))
    connection.execute(sa.delete(condemned_blobs).where(condemned, referred))
    connection.execute(
        sa.update(condemned_blobs).where(condemned).values(state=SWEEPING, sweep=sweep, at_ms=now_ms(connection))
    )
    failpoint("blobs.sweeping")
    taken = sa.select(condemned_blobs.c.sha256).where(
        named, condemned_blobs.c.state == SWEEPING, condemned_blobs.c.sweep == sweep
    )
    return list(connection.scalars(taken.order_by(condemned_blobs.c.sha256)))


def end_sweep(connection: sa.Connection, sha256s: Sequence[str], sweep: str) -> None:
    """Say that the bytes of sweeping blobs are gone."""
    here = (condemned_blobs.c.sha256.in_(list(sha256s)), condemned_blobs.c.state == SWEEPING)
    values = {"state": SWEPT, "sweep": sweep, "at_ms": now_ms(connection)}
    connection.execute(sa.update(condemned_blobs).where(*here).values(**values))
    failpoint("blobs.swept")


def forget(connection: sa.Connection, older_than_s: float) -> int:
    """Forget blobs that were swept longer ago than this; return how many."""
    limit = now_ms(connection) - int(older_than_s * 1000)
    done = sa.delete(condemned_blobs).where(condemned_blobs.c.state == SWEPT, condemned_blobs.c.at_ms <= limit)
    return int(connection.execute(done).rowcount)


def references(connection: sa.Connection, sha256s: Sequence[str]) -> Mapping[str, int]:
    """Return how many files refer to each of these blobs, without those that none refers to."""
    found: dict[str, int] = {}
    for table in _FILES:
        query = sa.select(table.c.sha256, sa.func.count()).where(table.c.sha256.in_(list(sha256s)))
        for sha256, count in connection.execute(query.group_by(table.c.sha256)):
            found[sha256] = found.get(sha256, 0) + count
    return found


def claim(connection: sa.Connection, token: str, lease_s: float) -> bool:
    """Make `token` the only collector, unless another one's claim runs."""
    time_ms = now_ms(connection)
    mine = {"claim": token, "claimed_until_ms": time_ms + int(lease_s * 1000)}
    free = sa.or_(collectors.c.claim == token, collectors.c.claimed_until_ms < time_ms)
    taken = connection.execute(sa.update(collectors).where(collectors.c.name == _COLLECTOR, free).values(**mine))
    if taken.rowcount == 0:
        taken = connection.execute(insert_or_ignore(connection, collectors), {"name": _COLLECTOR, **mine})
    return taken.rowcount == 1


def release(connection: sa.Connection, token: str) -> None:
    """Give a claim back, if it is still this token's."""
    here = (collectors.c.name == _COLLECTOR, collectors.c.claim == token)
    connection.execute(sa.update(collectors).where(*here).values(claim="", claimed_until_ms=0))
