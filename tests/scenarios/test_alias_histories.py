"""Sixteen promoters and a rollback on one alias: their history is linearizable, and no move is lost (law L3)."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from itertools import pairwise

import pytest

import penstock
from penstock.errors import Conflict, NotAuthorized
from penstock.stores.sql.store import SqlStore
from tests.contracts import samples
from tests.scenarios.linearizable import NEVER, History, Operation, State, is_linearizable
from tests.scenarios.racing import in_one_order, race, state_of, told
from tests.scenarios.test_races import assert_whole, at_once

Call = Callable[[], tuple[State | None, State | None]]


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([(0, 1, None, (1, 1)), (2, 3, (1, 1), (1, 1))], True),
        ([(0, 3, None, (1, 1)), (1, 2, NEVER, NEVER)], True),  # at the same time: the read came first
        ([(0, 1, None, (1, 1)), (2, 3, NEVER, NEVER)], False),  # a stale read
        ([(0, 1, NEVER, (1, 1)), (0, 1, NEVER, (2, 1))], False),  # both won
        ([(0, 1, None, (1, 1)), (2, 3, None, (2, 2)), (4, 5, (1, 1), (1, 1))], False),  # a lost move
        ([(0, 9, None, (3, 3)), (0, 9, None, (1, 1)), (0, 9, None, (2, 2)), (0, 9, (2, 2), (2, 2))], True),
        ([(0, 1, None, (2, 2))], False),  # a generation was skipped
    ],
)
def test_the_checker_knows_what_can_be_explained(
    operations: list[tuple[float, float, State | None, State | None]], expected: bool
) -> None:
    assert is_linearizable([Operation(*each) for each in operations]) is expected


@pytest.fixture
def store(empty_url: str) -> Iterator[SqlStore]:
    with closing(SqlStore(empty_url)) as store:
        yield store


def _promote(store: SqlStore, judged: samples.Judged, version: object) -> tuple[State | None, State | None]:
    try:
        move = samples.promoted(store, judged, version)  # type: ignore[arg-type]
    except Conflict as error:
        return told(error), told(error)
    return (move.from_version, move.generation - 1), (move.to_version, move.generation)


def _roll_back(url: str) -> tuple[State | None, State | None]:
    with penstock.connect(url, "unused", actor="tester") as client:
        try:
            move = client.rollback(samples.MODEL, samples.ALIAS, reason="it was worse")
        except Conflict as error:
            return told(error), told(error)
        except NotAuthorized:
            return None, None
    return (move.from_version, move.generation - 1), (move.to_version, move.generation)


def _race(store: SqlStore, promoters: int, rounds: int, seed: int) -> int:
    """Race promoters, a reader and a rollback, round after round; return how many moves there are."""
    if state_of(store) == NEVER:
        samples.released(store, "first")
        samples.released(store, "second", generation=1)
    rng = random.Random(seed)
    for turn in range(rounds):
        start, history = state_of(store), History()
        rivals = [samples.judged(store, f"{seed}-{turn}-{n}", generation=start[1]) for n in range(promoters)]
        pairs = [(rival, samples.registered(store, rival)) for rival in rivals]
        calls: list[Call] = [partial(_promote, store, *pair) for pair in pairs]
        calls += [partial(_roll_back, str(store.url)), lambda: (state_of(store), None)]
        rng.shuffle(calls)
        answers = at_once([partial(history.record, call) for call in calls])
        assert [answer for answer in answers if isinstance(answer, Exception)] == []
        assert is_linearizable(history.operations, start), history.operations
    moves = store.list_alias_moves(samples.MODEL)
    assert [move.generation for move in moves] == list(range(1, len(moves) + 1))
    assert all(after.from_version == before.to_version for before, after in pairwise(moves))
    assert (moves[-1].to_version, moves[-1].generation) == state_of(store)
    return len(moves)


def test_sixteen_promoters_and_a_rollback_are_linearizable(store: SqlStore) -> None:
    assert _race(store, promoters=16, rounds=2, seed=0) >= 4
    assert_whole(store)


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([(0, 1, NEVER, (1, 1)), (2, 3, (1, 1), (1, 1))], True),
        ([(0, 3, NEVER, (1, 1)), (1, 2, NEVER, NEVER)], True),  # at the same time: the read came first
        ([(0, 1, NEVER, (1, 1)), (2, 3, NEVER, NEVER)], False),  # a stale read
        ([(0, 1, (1, 1), (2, 2)), (2, 3, NEVER, (1, 1))], False),  # in the wrong order
        ([(0, 1, NEVER, (1, 1)), (2, 3, (2, 1), (2, 1))], False),  # another version than there was
    ],
)
def test_a_long_history_is_judged_by_its_generations(
    operations: list[tuple[float, float, State, State]], expected: bool
) -> None:
    assert in_one_order([Operation(*each) for each in operations], {1: 1, 2: 2}) is expected


def test_promoters_a_rollback_and_a_re_evaluation_without_a_pause_lose_no_move(empty_url: str) -> None:
    legs = list(race(empty_url, 16, promoters=6, leg=8))
    assert len(legs) > 1
    assert all("0 lost" in told for told in legs)


@pytest.mark.soak
@pytest.mark.timeout(6 * 3600)
def test_of_ten_thousand_moves_of_sixteen_promoters_none_is_lost(empty_url: str) -> None:
    for told_of_leg in race(empty_url, 10_000, leg=500):
        print(told_of_leg, flush=True)
