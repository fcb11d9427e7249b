"""Many at once, on every database: one run, one version, one winner, whole chains."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import pytest

from penstock.errors import Conflict, Fenced
from penstock.model.audit import GENESIS, flaw_in
from penstock.model.runs import Attempt, LogBatch, RunStatus, StepResult
from penstock.ports import MetadataStore
from penstock.stores.sql.store import SqlStore
from tests.contracts import samples

T = TypeVar("T")


@pytest.fixture
def store(empty_url: str) -> Iterator[MetadataStore]:
    store = SqlStore(empty_url)
    yield store
    store.close()


def at_once(calls: list[Callable[[], T]]) -> list[T | Exception]:
    """Make the calls at the same moment, each in a thread; return what each answered or raised."""
    barrier, answers = threading.Barrier(len(calls)), dict[int, Any]()

    def make(number: int) -> None:
        barrier.wait()
        try:
            answers[number] = calls[number]()
        except Exception as error:
            answers[number] = error

    threads = [threading.Thread(target=make, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return [answers[number] for number in range(len(calls))]


def assert_whole(store: MetadataStore) -> None:
    """Every chain of the ledger runs from its genesis to its head without a flaw."""
    for head in store.list_chain_heads():
        previous, number = GENESIS, 0
        for entry in store.read_ledger(head.chain):
            assert flaw_in(entry, number + 1, previous) == ""
            previous, number = entry.hash, entry.sequence
        assert (number, previous) == (head.sequence, head.hash)


def test_eight_threads_open_the_same_run_and_it_is_one(store: MetadataStore) -> None:
    def open_one() -> tuple[Any, bool]:
        new = samples.new_run("2013-03")
        first = samples.new_attempt(new.run_id, "open_run", {"depth": "3"})
        return store.open_run(replace(new, first=first, logged=LogBatch(params={"depth": "3"})))

    opened = [answer for answer in at_once([open_one] * 8) if not isinstance(answer, Exception)]
    assert len(opened) == 8
    assert sorted(created for _, created in opened) == [False] * 7 + [True]
    assert len({run.run_id for run, _ in opened}) == 1
    assert [entry.kind for entry in store.read_ledger()] == ["run_opened"]
    assert [step.attempt for step in store.get_run_details(opened[0][0].run_id).steps] == [1]


def test_the_first_runs_of_an_experiment_do_not_fork_its_chain(store: MetadataStore) -> None:
    answers = at_once([partial(store.open_run, samples.new_run(str(number))) for number in range(16)])
    assert [answer for answer in answers if isinstance(answer, Exception)] == []
    assert len({run.experiment_id for run in store.list_runs(None, 100)}) == 1
    assert [entry.sequence for entry in store.read_ledger()] == list(range(1, 17))
    assert_whole(store)


def test_a_run_ended_and_reopened_by_many_has_one_entry_for_each_change(store: MetadataStore) -> None:
    run = samples.opened(store)
    ends = at_once([lambda: store.end_run(run.run_id, RunStatus.FAILED, "", samples.ACTOR)] * 8)
    opens = at_once([lambda: store.open_run(samples.new_run("2013-03"))] * 8)
    assert [answer for answer in (*ends, *opens) if isinstance(answer, Exception)] == []
    assert [entry.kind for entry in store.read_ledger()] == ["run_opened", "run_ended", "run_reopened"]


def test_of_attempts_begun_at_once_the_newest_alone_may_write(store: MetadataStore) -> None:
    run = samples.opened(store)
    attempts = at_once([lambda: samples.begun(store, run.run_id)] * 8)
    assert sorted(attempt.number for attempt in attempts if isinstance(attempt, Attempt)) == list(range(1, 9))
    begun = [attempt for attempt in attempts if isinstance(attempt, Attempt)]
    outcomes = at_once([partial(store.log, each, samples.metrics(loss=float(each.number))) for each in begun])
    assert sum(isinstance(answer, Fenced) for answer in outcomes) == 7
    assert store.get_run_details(run.run_id).metrics == {"loss": 8.0}


def test_a_step_that_ends_while_it_is_begun_again_is_done_once_or_fenced(store: MetadataStore) -> None:
    run = samples.opened(store)
    for number in range(12):
        attempt = samples.begun(store, run.run_id, "train", number)
        new = samples.new_attempt(run.run_id, "train", number)
        calls: list[Callable[[], Any]] = [
            partial(store.end_attempt, samples.done(attempt, "done")),
            partial(store.begin_attempt, new),
        ]
        ended, begun = at_once(calls)
        if isinstance(begun, StepResult):
            assert isinstance(ended, StepResult)
        else:
            assert isinstance(ended, Fenced)
            assert isinstance(begun, Attempt)
            store.end_attempt(samples.done(begun, "done"))


def test_a_decision_delivered_to_many_at_once_registers_and_promotes_once(store: MetadataStore) -> None:
    samples.released(store, "champion")
    challenger = samples.judged(store, "challenger", generation=1)
    versions = at_once([partial(samples.registered, store, challenger, map_index=index) for index in range(6)])
    assert versions == [versions[0]] * 6
    version = store.find_version(samples.MODEL, 2)
    assert version is not None
    moves = at_once([partial(samples.promoted, store, challenger, version, map_index=index) for index in range(6)])
    assert moves == [moves[0]] * 6
    assert [move.to_version for move in store.list_alias_moves(samples.MODEL)] == [1, 2]
    assert_whole(store)


@pytest.mark.parametrize("live", [False, True])
def test_of_sixteen_promoters_one_wins_and_every_loser_is_told_who(store: MetadataStore, live: bool) -> None:
    if live:
        samples.released(store, "champion")
    generation = 1 if live else 0
    rivals = [samples.judged(store, str(number), generation=generation) for number in range(16)]
    versions = [samples.registered(store, rival) for rival in rivals]
    pairs = zip(rivals, versions, strict=True)
    answers = at_once([partial(samples.promoted, store, rival, version) for rival, version in pairs])
    won = [answer for answer in answers if not isinstance(answer, Exception)]
    lost = [answer for answer in answers if isinstance(answer, Conflict)]
    assert (len(won), len(lost)) == (1, 15)
    assert {error.found for error in lost} == {f"version {won[0].to_version}, generation {generation + 1}"}
    assert store.list_alias_moves(samples.MODEL)[-1] == won[0]
    assert len(store.list_alias_moves(samples.MODEL)) == generation + 1
    moved = [entry.after for entry in store.read_ledger() if entry.kind == "alias_moved"]
    assert [after["version"] for after in moved][-1] == won[0].to_version
    assert len(moved) == generation + 1
    assert_whole(store)
