"""Many promoters, a rollback and a re-evaluation at one alias without a pause, and what each of them was told.

Every promoter looks where the alias is, has its model judged again against that, and promotes: of sixteen one wins and
fifteen are told who has. Meanwhile somebody takes the alias back, somebody evaluates what is live, somebody only looks.
"""

from __future__ import annotations

import re
import threading
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import penstock
from penstock.errors import Busy, Conflict, NotAuthorized, PenstockError
from penstock.model.decisions import Verdict
from penstock.model.versions import AliasMove, ModelVersion
from penstock.stores.sql.store import SqlStore
from tests.contracts import samples
from tests.scenarios.linearizable import NEVER, Operation, State

_FOUND = re.compile(r"version (\d+), generation (\d+)")


def told(error: Conflict) -> State:
    """Where the alias is, as a loser is told."""
    found = _FOUND.fullmatch(str(error.found))
    assert found is not None, error
    return int(found[1]), int(found[2])


def state_of(store: SqlStore) -> State:
    """Where the alias is."""
    alias = store.find_alias(samples.MODEL, samples.ALIAS)
    return NEVER if alias is None else (alias.version, alias.generation)


@dataclass
class Race:
    """A race over one store until so many moves are made, or until a time; `before` it there were so many already."""

    store: SqlStore
    moves: int
    before: int = 0
    promoters: int = 16
    until: float = float("inf")
    operations: list[Operation] = field(default_factory=list)
    won: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    errors: list[Exception] = field(default_factory=list)

    def run(self) -> None:
        """Let everybody run; `errors` is empty afterwards, or the race is worth nothing."""
        if not self.before:
            samples.released(self.store, "first")
            samples.released(self.store, "second", generation=1)
            self.before = 2
        names = [f"racer-{self.before}-{number}" for number in range(self.promoters)]
        entered = [samples.judged(self.store, name, generation=10**6) for name in names]
        versions = [samples.registered(self.store, racer) for racer in entered]
        racers = [
            lambda racer=racer, version=version: self._promote(racer, version)
            for racer, version in zip(entered, versions, strict=True)
        ]
        others = [self._roll_back, lambda: self._evaluate(entered[0]), self._look]
        threads = [threading.Thread(target=self._again_and_again, args=(work,)) for work in [*racers, *others]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _again_and_again(self, work: Callable[[], None]) -> None:
        while not self.errors and self.won.total() < self.moves and time.monotonic() < self.until:
            try:
                work()
            except Busy:  # a crowded machine: nothing was done, and it may be tried again
                self.lost["busy"] += 1
            except Exception as error:
                self.errors.append(error)

    def _note(self, began: float, sees: State, leaves: State) -> None:
        self.operations.append(Operation(began, time.monotonic(), sees, leaves))

    def _moved(self, who: str, move: Callable[[], AliasMove]) -> None:
        began = time.monotonic()
        try:
            made = move()
        except Conflict as error:
            self._note(began, told(error), told(error))
            self.lost[who] += 1
        else:
            self._note(began, (made.from_version, made.generation - 1), (made.to_version, made.generation))
            self.won[who] += 1

    def _promote(self, racer: samples.Judged, version: ModelVersion) -> None:
        _, generation = state_of(self.store)
        decision = samples.decision_on(racer.evaluation, Verdict.PASS, generation)
        run_id = racer.model.run_id
        attempt = samples.begun(self.store, run_id, "decide", [decision.decision_id, time.monotonic_ns()])
        event = samples.event("decision_made", decision_id=decision.decision_id)
        self.store.record_decision(decision, event, samples.done(attempt))
        step = samples.new_attempt(run_id, "promote", decision.decision_id)  # one transaction, as `promote` is
        moving = samples.event(
            "alias_moved", model=samples.MODEL, alias=samples.ALIAS, decision_id=decision.decision_id
        )
        call = (version, samples.ALIAS, replace(racer, decision=decision).authorization, generation, moving, step)
        self._moved("promoter", lambda: self.store.move_alias(*call))

    def _roll_back(self) -> None:
        def back() -> AliasMove:
            with penstock.connect(str(self.store.url), "unused", actor="tester") as client:
                return client.rollback(samples.MODEL, samples.ALIAS, reason="it was worse")

        try:
            self._moved("rollback", back)
        except NotAuthorized:  # there is nothing before the first
            self.lost["rollback"] += 1
        time.sleep(0.05)

    def _evaluate(self, racer: samples.Judged) -> None:
        attempt = samples.begun(self.store, racer.model.run_id, "evaluate again", time.monotonic_ns())
        event = samples.event("evaluation_recorded")
        self.store.record_evaluation(racer.evaluation, event, samples.done(attempt, racer.evaluation.ref))
        time.sleep(0.05)

    def _look(self) -> None:
        began = time.monotonic()
        state = state_of(self.store)
        self._note(began, state, state)
        time.sleep(0.01)

    def check(self) -> Sequence[AliasMove]:
        """Nobody failed, no move is lost, and all that anybody was told fits one order; return all moves there are."""
        assert not self.errors, repr(self.errors[0])
        moves = self.store.list_alias_moves(samples.MODEL)
        assert [move.generation for move in moves] == list(range(1, len(moves) + 1))
        assert all(after.from_version == before.to_version for before, after in pairwise(moves))
        assert (moves[-1].to_version, moves[-1].generation) == state_of(self.store)
        made = sorted(one.leaves[1] for one in self.operations if one.leaves is not None and one.sees != one.leaves)
        assert made == [move.generation for move in moves[self.before :]], "a move was lost"
        assert in_one_order(self.operations, {move.generation: move.to_version for move in moves})
        return moves


def in_one_order(operations: Sequence[Operation], holders: dict[int, int]) -> bool:
    """Whether one order explains what everybody saw of an alias whose generations were held by these versions.

    Generations give the order: a move comes when it makes its generation, who only saw one comes after that. What
    ended before something else began must not come after it in this order. The same answer as `is_linearizable`, for
    histories that are too long to search.
    """
    places: list[tuple[int, bool, Operation]] = []
    for operation in operations:
        assert operation.leaves is not None
        version, generation = operation.leaves
        if generation and holders.get(generation) != version:
            return False
        places.append((generation, operation.sees == operation.leaves, operation))
    places.sort(key=lambda place: place[:2])
    ends = [float("inf")] * (len(places) + 1)
    for number in range(len(places) - 1, -1, -1):
        ends[number] = min(ends[number + 1], places[number][2].ended)
    keys = [place[:2] for place in places]
    return all(ends[bisect_right(keys, place[:2])] >= place[2].began for place in places)


def race(
    url: str, moves: int, *, promoters: int = 16, seconds: float = float("inf"), leg: int | None = None
) -> Iterator[str]:
    """Race on an empty database until there are so many moves; after each `leg` of them check, and tell the figures."""
    store = SqlStore(url)
    try:
        made, until = 0, time.monotonic() + seconds
        while made < moves and time.monotonic() < until:
            run = Race(store, min(leg or moves, moves - made), made, promoters, until)
            started = time.monotonic()
            run.run()
            made, took = len(run.check()), time.monotonic() - started
            yield (
                f"{made:,} moves by {promoters} promoters and a rollback ({dict(run.won)}), {dict(run.lost)} were told"
                f" who won; {len(run.operations):,} answers in one order, 0 lost ({took:.0f} s)"
            )
    except PenstockError as error:
        raise AssertionError(str(error)) from error
    finally:
        store.close()
