"""Random calls, most of them wrong: no alias moves without its authorization, and the ledger alone gives the state."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from penstock.stores.memory.store import MemoryStore
from penstock.stores.sql.store import SqlStore
from tests.core.registry.both_stores import BothStores
from tests.core.registry.long_play import CALLS, GAMES, play_long
from tests.core.registry.random_calls import play, ways


def test_no_alias_moves_without_its_authorization_in_a_sample_of_random_calls() -> None:
    allowed, refused, made, audited = Counter[str](), Counter[str](), Counter[str](), 0
    for seed in range(12):
        caller = play(MemoryStore(), seed, CALLS)
        allowed += caller.allowed
        refused += caller.refused
        made += ways(caller.store)
        audited += caller.audited
    names = ("_move", "_roll_back", "_register", "_protect", "_state", "_release", "_ungate", "_judge")
    assert min(allowed[name] for name in names) > 0
    assert min(refused[name] for name in names) > 0
    assert set(made) == {"decision", "override", "ungated", "rollback"}
    assert audited > 200


def test_the_reference_and_sqlite_answer_random_calls_alike(tmp_path: Path) -> None:
    both = BothStores(SqlStore(f"sqlite:///{tmp_path / 'p.db'}"))
    assert play(both.store, 7, 100).audited > 0
    both.check_equal()
    both.other.close()


def test_a_long_play_that_was_interrupted_goes_on_where_it_was(tmp_path: Path) -> None:
    record = tmp_path / "played.jsonl"
    first = play_long(GAMES * CALLS, record, processes=1)
    again = play_long(GAMES * CALLS, record, processes=1)
    assert again == first
    assert record.read_text().count("\n") == 1


@pytest.mark.soak
@pytest.mark.timeout(6 * 3600)
def test_no_alias_moves_without_its_authorization_in_a_million_random_calls(tmp_path: Path) -> None:
    played = play_long(1_000_000, tmp_path / "played.jsonl")
    assert sum(batch.calls for batch in played) == 1_000_000


@pytest.mark.soak
@pytest.mark.timeout(6 * 3600)
def test_the_reference_and_sqlite_answer_fifty_thousand_random_calls_alike(tmp_path: Path) -> None:
    played = play_long(50_000, tmp_path / "played.jsonl", "sqlite")
    assert sum(batch.calls for batch in played) == 50_000
