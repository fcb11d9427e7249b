"""Writers at the same time on a SQL store: what they were answered, and what is there, fits one order of the reference.

Each writer has connections of its own. After every round all orders of its calls are tried on copies of the reference
store; one of them must give the same answers and show the same, or somebody saw what no order explains.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, cast

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from penstock.model.runs import Attempt, AttemptState, LogBatch, Metric, RunStatus
from penstock.model.versions import ModelVersion, VersionState
from penstock.ports import MetadataStore, StepEnd
from penstock.stores.memory.state import copied
from penstock.stores.memory.store import MemoryStore
from penstock.stores.sql.store import SqlStore
from tests.contracts import samples
from tests.contracts.comparing import outcome, shown
from tests.contracts.registry import rollback
from tests.postgres_server import PostgresServer
from tests.scenarios.test_races import at_once

Call = Callable[[MetadataStore], Any]
NOON = datetime(2013, 3, 1, 12, tzinfo=UTC)
PARTITIONS = ("a", "b")
WRITERS = 3
KINDS = ("archive", "begin", "end", "end run", "log", "move", "open", "renew", "roll back")
MODEST = settings(
    max_examples=8,
    stateful_step_count=12,
    deadline=None,
    derandomize=True,
    phases=(Phase.generate,),  # what threads do is not repeated exactly: there is nothing to shrink by
    suppress_health_check=list(HealthCheck),
)


def _unlike(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """What is shown differently."""
    return {name: (one[name], other[name]) for name in one if one[name] != other[name]}


def _kept(answers: list[Any], call: Callable[[], Any]) -> Any:
    answers.append(call())
    return answers[0]


class Writers(RuleBasedStateMachine):
    """Rounds of calls by several writers, with what earlier rounds have left."""

    def __init__(self, url: str, leave: Callable[[], None]) -> None:
        super().__init__()
        self.memory, self.leave = MemoryStore(), leave
        self.open = ExitStack()
        self.stores = [SqlStore(url) for _ in range(WRITERS)]
        for store in self.stores:
            self.open.callback(store.close)
        self.attempts: list[Attempt] = []
        self.rivals: list[tuple[samples.Judged, ModelVersion]] = []

    @property
    def generation(self) -> int:
        """Where the alias stands before a round."""
        alias = self.memory.find_alias(samples.MODEL, samples.ALIAS)
        return 0 if alias is None else alias.generation

    @initialize()
    def begin_with_rivals(self) -> None:
        self.judge()
        self.judge()

    @rule()
    def judge(self) -> None:
        """Bring another version to where it may be promoted, on both stores."""
        name, generation = f"rival {len(self.rivals)}", self.generation
        for store in (self.memory, self.stores[0]):
            judgement = samples.judged(store, name, generation=generation)
            version = samples.registered(store, judgement)
        self.rivals.append((judgement, version))

    @rule(data=st.data(), kinds=st.lists(st.sampled_from(KINDS), min_size=2, max_size=WRITERS))
    def write_at_once(self, data: st.DataObject, kinds: list[str]) -> None:
        calls = [self._call(kind, data.draw) for kind in kinds]
        writers = zip(calls, self.stores, strict=False)
        answers = at_once([partial(outcome, partial(call, store)) for call, store in writers])
        there = shown(self.stores[0])
        tried = [self._in_order(calls, order) for order in itertools.permutations(range(len(calls)))]
        for explained, made in tried:
            if [made[at][0] for at in range(len(calls))] == answers and shown(explained) == there:
                self.memory = explained
                self.attempts += [found for _, found in made.values() if isinstance(found, Attempt)]
                return
        told = [
            ([made[at][0] for at in range(len(calls))], _unlike(shown(explained), there)) for explained, made in tried
        ]
        raise AssertionError(f"no order explains {list(zip(kinds, answers, strict=True))}: {told}")

    def _in_order(self, calls: Sequence[Call], order: Sequence[int]) -> tuple[MemoryStore, dict[int, tuple[Any, Any]]]:
        """Make the calls one by one on a copy of the reference; return it, and what each was answered."""
        copy, made = MemoryStore(), dict[int, tuple[Any, Any]]()
        copy._state = copied(self.memory._state)
        for at in order:
            answers: list[Any] = []
            told = outcome(partial(_kept, answers, partial(calls[at], copy)))
            made[at] = told, answers[0] if answers else None
        return copy, made

    def _call(self, kind: str, draw: Callable[[Any], Any]) -> Call:
        """Return a call of this kind, bound to what there is now."""
        run_id = samples.new_run(draw(st.sampled_from(PARTITIONS))).run_id
        judgement, version = self.rivals[-1 - draw(st.integers(0, len(self.rivals) - 1))]
        attempt = self.attempts[-1 - draw(st.integers(0, len(self.attempts) - 1))] if self.attempts else None
        expected, decision = self.generation, judgement.decision
        if kind in {"end", "log", "renew"} and attempt is None:
            kind = "open"
        match kind:
            case "archive":
                state = draw(st.sampled_from((VersionState.ARCHIVED, VersionState.ACTIVE)))
                return lambda store: store.change_version_state(
                    samples.MODEL, version.version, state, "why", samples.ACTOR
                )
            case "begin":
                new = samples.new_attempt(run_id, "train", draw(st.integers(0, 1)))
                return lambda store: store.begin_attempt(new)
            case "end":
                ended = draw(st.sampled_from((AttemptState.DONE, AttemptState.FAILED)))
                return lambda store: store.end_attempt(StepEnd(cast(Attempt, attempt), ended, 1, "why"))
            case "end run":
                status = draw(st.sampled_from((RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED)))
                return lambda store: store.end_run(run_id, status, "over", samples.ACTOR, None)
            case "log":
                loss, depth = draw(st.integers(0, 3)), draw(st.sampled_from("12"))
                batch = LogBatch((Metric("loss", float(loss), 0, NOON),), {"depth": depth})
                return lambda store: store.log(cast(Attempt, attempt), batch)
            case "open":
                opening = samples.new_run(draw(st.sampled_from(PARTITIONS)))
                return lambda store: store.open_run(opening)
            case "roll back":
                given, event = rollback(draw(st.integers(0, 99)))
                return lambda store: store.record_rollback(version, samples.ALIAS, given, expected, event)
            case "renew":
                return lambda store: store.renew_lease(cast(Attempt, attempt))
            case _:
                step = samples.new_attempt(decision.run_id, "promote", decision.decision_id)
                event = samples.event("alias_moved", id=decision.decision_id)
                moving = (version, samples.ALIAS, judgement.authorization, expected, event, step)
                return lambda store: store.move_alias(*moving)

    def teardown(self) -> None:
        self.open.close()
        self.leave()


def test_writers_at_once_on_sqlite_are_explained_by_one_order(tmp_path: Path) -> None:
    template, names = tmp_path / "template.db", itertools.count()
    SqlStore(f"sqlite:///{template}").close()

    def writers() -> Writers:
        file = tmp_path / f"{next(names)}.db"
        shutil.copy(template, file)
        return Writers(f"sqlite:///{file}", file.unlink)

    run_state_machine_as_test(cast(Any, writers), settings=MODEST)


def test_writers_at_once_on_postgres_are_explained_by_one_order(
    postgres_server: PostgresServer, postgres_template: str
) -> None:
    def writers() -> Writers:
        name = postgres_server.new_database(postgres_template)
        return Writers(postgres_server.url(name), lambda: postgres_server.drop(name))

    run_state_machine_as_test(cast(Any, writers), settings=MODEST)
