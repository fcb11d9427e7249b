"""Random calls by the million: `python -m tests.core.registry.long_play --calls 1000000 --record played.jsonl`.

Games of 100 calls, each on an empty store, on as many processes as are wanted. Every finished batch of games is a line
of the record; run again with the same record, only the games that are missing are played.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

from penstock.stores.memory.store import MemoryStore
from penstock.stores.sql.store import SqlStore
from tests.core.registry.both_stores import BothStores
from tests.core.registry.random_calls import play, ways

CALLS, GAMES = 100, 5  # calls of a game, games of a batch
STORES = ("reference", "sqlite")


@dataclass(frozen=True)
class Batch:
    """What came of the games from `first` on: calls made, moves looked at, moves made by kind of authorization."""

    first: int
    calls: int
    refused: int
    audited: int
    ways: dict[str, int]


def play_batch(first: int, against: str) -> Batch:
    """Play a batch on the reference store, or on it and on SQLite at once; an `AssertionError` names the game."""
    refused, audited, made = 0, 0, Counter[str]()
    for seed in range(first, first + GAMES):
        with tempfile.TemporaryDirectory() as folder:
            both = BothStores(SqlStore(f"sqlite:///{Path(folder) / 'p.db'}")) if against == "sqlite" else None
            store = MemoryStore() if both is None else both.store
            try:
                caller = play(store, seed, CALLS)
                if both is not None:
                    both.check_equal()
            except Exception as error:
                raise AssertionError(f"game {seed}: {type(error).__name__}: {error}") from error
            refused += caller.refused.total()
            audited += caller.audited
            made += ways(store)
    return Batch(first, GAMES * CALLS, refused, audited, dict(made))


def play_long(calls: int, record: Path, against: str = "reference", processes: int | None = None) -> list[Batch]:
    """Play games of so many calls in all, but for those on record; return every batch."""
    known = [Batch(**json.loads(line)) for line in record.read_text().splitlines()] if record.exists() else []
    done = {batch.first for batch in known}
    todo = [first for first in range(0, -(-calls // CALLS), GAMES) if first not in done]
    with ProcessPoolExecutor(processes or os.cpu_count()) as pool, record.open("a") as lines:
        try:
            for playing in as_completed([pool.submit(play_batch, first, against) for first in todo]):
                known.append(playing.result())
                lines.write(json.dumps(asdict(known[-1])) + "\n")
                lines.flush()
        finally:
            pool.shutdown(cancel_futures=True)  # else what was lost would be played to its end
    return known


def main(arguments: Sequence[str] | None = None) -> None:
    """Play, and print what was played."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--record", type=Path, default=Path("played.jsonl"))
    parser.add_argument("--against", choices=STORES, default="reference")
    parser.add_argument("--processes", type=int)
    given = parser.parse_args(arguments)
    started = time.perf_counter()
    played = play_long(given.calls, given.record, given.against, given.processes)
    made = sum((Counter(batch.ways) for batch in played), Counter[str]())
    print(f"{sum(batch.calls for batch in played):,} calls, of which {sum(b.refused for b in played):,} were refused")
    print(f"{made.total():,} moves by {dict(made)}, looked at {sum(b.audited for b in played):,} times")
    print(f"0 moves without their authorization ({time.perf_counter() - started:.0f} s)")


if __name__ == "__main__":
    main()
