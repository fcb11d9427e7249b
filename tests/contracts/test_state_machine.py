"""Random operations on the reference store and on a SQL store: every answer and everything shown must be equal."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, cast

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test

from penstock.model.decisions import GateDecision, Verdict
from penstock.model.evaluations import Evaluation
from penstock.model.protection import AliasProtection
from penstock.model.runs import Attempt, AttemptState, LogBatch, Metric, RunStatus
from penstock.model.versions import Authorization, AuthorizationKind, FileEntry, LoggedModel, ModelVersion, VersionState
from penstock.ports import MetadataStore, NewRun, StepEnd
from penstock.stores.memory.store import MemoryStore
from penstock.stores.sql.store import SqlStore
from tests.contracts import samples
from tests.contracts.comparing import outcome, shown
from tests.contracts.gate_rules import GateRules
from tests.postgres_server import PostgresServer

NOON = datetime(2013, 3, 1, 12, tzinfo=UTC)
PARTITIONS = ("a", "b")
ENDS = (AttemptState.DONE, AttemptState.FAILED)
STATUSES = (RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED)
PICK = st.integers(0, 20)
WRITER = st.none() | st.none() | PICK
MODEST = settings(
    max_examples=30,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)


def _open(new: NewRun, store: MetadataStore) -> Any:
    return store.open_run(new)


def _add(attempt: Attempt, model: LoggedModel, store: MetadataStore) -> Any:
    return store.add_model(attempt, model)


class Twins(GateRules):
    """The same call on both stores, again and again; attempts, models and judgements that were made may be used."""

    def __init__(self, store: MetadataStore, leave: Callable[[], None]) -> None:
        super().__init__()
        self.memory, self.store, self.leave = MemoryStore(), store, leave
        self.attempts: list[Attempt] = []
        self.models: list[LoggedModel] = []
        self.evaluations: list[Evaluation] = []
        self.decisions: list[GateDecision] = []
        self.versions: list[ModelVersion] = []
        self.last: Callable[[MetadataStore], Any] | None = None

    def both(self, call: Callable[[MetadataStore], Any]) -> Any:
        """Make the call on both stores; return what the reference answered, or None if it refused."""
        self.last = call
        answers: list[Any] = []

        def remembered() -> Any:
            answers.append(call(self.memory))
            return answers[0]

        expected = outcome(remembered)
        assert outcome(lambda: call(self.store)) == expected
        return answers[0] if answers else None

    def attempt(self, pick: int | None, run_id: str = "") -> Attempt:
        """An attempt that was made before (a small pick is a recent one), or without a pick one made for this."""
        if pick is not None:
            return self.attempts[-1 - pick % len(self.attempts)]
        new = samples.new_attempt(run_id, "judge", always=True)
        begun = self.both(lambda store: store.begin_attempt(new))
        assert isinstance(begun, Attempt)
        self.attempts.append(begun)
        return begun

    @initialize()
    def begin_with_two_models_in_two_runs(self) -> None:
        for partition in PARTITIONS:
            new = samples.new_run(partition)
            self.both(partial(_open, new))
            attempt, model = self.attempt(None, new.run_id), samples.logged_model(new.run_id, partition)
            self.both(partial(_add, attempt, model))
            self.models.append(model)

    @rule(partition=st.sampled_from(PARTITIONS), other=st.booleans(), depth=st.sampled_from((None, "1", "2")))
    def open_run(self, partition: str, other: bool, depth: str | None) -> None:
        new = samples.new_run(partition, samples.EXPERIMENT if not other else "other")
        if depth is not None:
            first = samples.new_attempt(new.run_id, "open_run", depth)
            new = replace(new, first=first, logged=LogBatch(params={"depth": depth}, tags={"depth": depth}))
        self.both(lambda store: store.open_run(new))

    @rule(
        partition=st.sampled_from(PARTITIONS),
        step=st.sampled_from(("train", "evaluate")),
        inputs=st.integers(0, 1),
        map_index=st.integers(-1, 0),
        how=st.sampled_from(({}, {}, {"resume": True}, {"always": True}, {"reopen": True})),
        lease_s=st.sampled_from((600.0, 600.0, 600.0, -1.0)),
    )
    def begin(
        self, partition: str, step: str, inputs: int, map_index: int, how: dict[str, bool], lease_s: float
    ) -> None:
        run_id = samples.new_run(partition).run_id
        new = samples.new_attempt(run_id, step, inputs, map_index, lease_s=lease_s, **how)
        begun = self.both(lambda store: store.begin_attempt(new))
        if isinstance(begun, Attempt):
            self.attempts.append(begun)

    @precondition(lambda self: self.attempts)
    @rule(
        pick=PICK,
        values=st.dictionaries(st.sampled_from(("loss", "auc")), st.floats(), max_size=2),
        step=st.integers(0, 2),
        params=st.dictionaries(st.sampled_from(("lr", "depth")), st.sampled_from("12"), max_size=2),
        tags=st.dictionaries(st.sampled_from(("team", "stage")), st.sampled_from("xy"), max_size=2),
        data=st.booleans(),
    )
    def log(
        self,
        pick: int,
        values: dict[str, float],
        step: int,
        params: dict[str, str],
        tags: dict[str, str],
        data: bool,
    ) -> None:
        metrics = tuple(Metric(name, value, step, NOON) for name, value in values.items())
        batch = LogBatch(metrics, params, tags, (samples.held_out(),) if data else ())
        self.both(lambda store: store.log(self.attempt(pick), batch))

    @precondition(lambda self: self.attempts)
    @rule(pick=PICK, paths=st.lists(st.sampled_from(("a", "b/c")), max_size=3), sha256=st.sampled_from("01"))
    def put_artifacts(self, pick: int, paths: list[str], sha256: str) -> None:
        files = [FileEntry(path, sha256 * 64, size) for size, path in enumerate(paths)]
        self.both(lambda store: store.put_artifacts(self.attempt(pick), files))

    @precondition(lambda self: self.attempts)
    @rule(pick=PICK, state=st.sampled_from(ENDS), result=st.sampled_from((None, 1, {"a": [1.5]})))
    def end_attempt(self, pick: int, state: AttemptState, result: Any) -> None:
        self.both(lambda store: store.end_attempt(StepEnd(self.attempt(pick), state, result, "why")))

    @precondition(lambda self: self.attempts)
    @rule(pick=PICK)
    def renew_lease(self, pick: int) -> None:
        self.both(lambda store: store.renew_lease(self.attempt(pick)))

    @rule()
    def reap(self) -> None:
        self.both(lambda store: store.reap(samples.ACTOR))

    @rule(partition=st.sampled_from(PARTITIONS), status=st.sampled_from(STATUSES), pick=WRITER)
    def end_run(self, partition: str, status: RunStatus, pick: int | None) -> None:
        end = None if pick is None or not self.attempts else samples.done(self.attempt(pick))
        run_id = samples.new_run(partition).run_id
        self.both(lambda store: store.end_run(run_id, status, "over", samples.ACTOR, end))

    @precondition(lambda self: self.attempts)
    @rule(pick=PICK, payload=st.sampled_from("xy"))
    def add_model(self, pick: int, payload: str) -> None:
        attempt = self.attempt(pick)
        model = samples.logged_model(attempt.step.run_id, payload)
        if self.both(lambda store: store.add_model(attempt, model)) is not None:
            self.models.append(model)
        self.both(lambda store: store.find_model(attempt.step.run_id, model.name))

    @rule(pick=WRITER, which=PICK)
    def record_evaluation(self, pick: int | None, which: int) -> None:
        evaluation = samples.evaluation_of(self.models[which % len(self.models)])
        event = samples.event("evaluated", id=evaluation.evaluation_id)
        end = samples.done(self.attempt(pick, evaluation.run_id), evaluation.ref)
        if self.both(lambda store: store.record_evaluation(evaluation, event, end)) is not None:
            self.evaluations.append(evaluation)

    @precondition(lambda self: self.evaluations)
    @rule(
        pick=WRITER,
        which=PICK,
        verdict=st.sampled_from((Verdict.PASS, Verdict.PASS, Verdict.FAIL)),
        generation=st.integers(0, 2),
    )
    def record_decision(self, pick: int | None, which: int, verdict: Verdict, generation: int) -> None:
        evaluation = self.evaluations[which % len(self.evaluations)]
        decision = samples.decision_on(evaluation, verdict, generation)
        event = samples.event("decision_made", id=decision.decision_id)
        end = samples.done(self.attempt(pick, decision.run_id), decision.ref)
        if self.both(lambda store: store.record_decision(decision, event, end)) is not None:
            self.decisions.append(decision)
        self.both(lambda store: store.find_authorization(decision.decision_id))

    @precondition(lambda self: self.decisions)
    @rule(pick=WRITER, which=st.none() | PICK, decided=PICK, expected_to_load=st.sampled_from((True, True, False)))
    def record_version(self, pick: int | None, which: int | None, decided: int, expected_to_load: bool) -> None:
        decision = self.decisions[decided % len(self.decisions)]
        judged = [model for model in self.models if which is None and model.payload_digest == decision.payload_digest]
        model = (judged or self.models)[(which or 0) % len(judged or self.models)]
        event = samples.event("version_registered", id=decision.decision_id)
        end = samples.done(self.attempt(pick, decision.run_id))
        given = samples.authorization_by(decision)
        made = self.both(lambda store: store.record_version(samples.MODEL, model, given, event, end))
        if made is not None:
            self.versions.append(made)
            if expected_to_load:
                self.both(lambda store: store.record_load_check(samples.passed_check(made)))

    @precondition(lambda self: self.versions)
    @rule(pick=WRITER, which=PICK, decided=st.none() | PICK, expected=st.none() | st.integers(0, 2))
    def move_alias(self, pick: int | None, which: int, decided: int | None, expected: int | None) -> None:
        version = self.versions[which % len(self.versions)]
        own = [made for made in self.decisions if made.decision_id == version.authorization.decision_id]
        decision = own[0] if decided is None else self.decisions[decided % len(self.decisions)]
        event = samples.event("alias_moved", id=decision.decision_id)
        end = samples.done(self.attempt(pick, decision.run_id))
        given = samples.authorization_by(decision)
        generation = decision.alias_generation if expected is None else expected
        self.both(lambda store: store.move_alias(version, samples.ALIAS, given, generation, event, end))
        self.both(lambda store: store.find_alias(samples.MODEL, samples.ALIAS))

    @rule(which=PICK, late=st.booleans())
    def release(self, which: int, late: bool) -> None:
        """The whole way at once, against what is live now or, too late, against what was."""
        model, live = self.models[which % len(self.models)], self.memory.find_alias(samples.MODEL, samples.ALIAS)
        generation = 0 if live is None or late else live.generation
        self.record_evaluation(None, self.models.index(model))
        decision = samples.decision_on(samples.evaluation_of(model), Verdict.PASS, generation)
        end, event = samples.done(self.attempt(None, model.run_id)), samples.event("decision_made")
        self.both(lambda store: store.record_decision(decision, event, end))
        self.decisions.append(decision)
        given, end = samples.authorization_by(decision), samples.done(self.attempt(None, model.run_id))
        version = self.both(lambda store: store.record_version(samples.MODEL, model, given, event, end))
        self.versions.append(version)
        self.both(lambda store: store.record_load_check(samples.passed_check(version)))
        end = samples.done(self.attempt(None, model.run_id))
        self.both(lambda store: store.move_alias(version, samples.ALIAS, given, generation, event, end))

    @precondition(lambda self: self.versions)
    @rule(which=PICK, number=st.integers(1, 3), passed=st.booleans())
    def check_version(self, which: int, number: int, passed: bool) -> None:
        version = self.versions[which % len(self.versions)]
        check = replace(samples.passed_check(version, number), passed=passed, error="" if passed else "broken")
        self.both(lambda store: store.record_load_check(check))
        self.both(lambda store: store.list_load_checks(version.model, version.version))
        self.both(lambda store: store.list_last_load_checks(version.model, number))

    @precondition(lambda self: self.versions)
    @rule(which=PICK, state=st.sampled_from(VersionState))
    def change_state(self, which: int, state: VersionState) -> None:
        version = self.versions[which % len(self.versions)]
        self.both(lambda store: store.change_version_state(version.model, version.version, state, "x", samples.ACTOR))
        self.both(lambda store: store.find_version(version.model, None))

    @precondition(lambda self: self.versions)
    @rule(which=PICK, number=st.integers(0, 3), expected=st.integers(0, 3))
    def roll_back(self, which: int, number: int, expected: int) -> None:
        version = self.versions[which % len(self.versions)]
        kind, event = AuthorizationKind.ROLLBACK, samples.event("alias_moved")
        given = Authorization(f"{number:032x}", kind, version.model, None, "x", samples.ACTOR)
        self.both(lambda store: store.record_rollback(version, samples.ALIAS, given, expected, event))

    @rule(
        number=st.integers(1, 3),
        actors=st.sampled_from(((), ("tester",), ("ana",))),
        lifted=st.booleans(),
        actor=st.sampled_from(("tester", "ana")),
    )
    def protect(self, number: int, actors: tuple[str, ...], lifted: bool, actor: str) -> None:
        by = {**samples.ACTOR, "subject": actor}
        new = AliasProtection(samples.MODEL, samples.ALIAS, number, actors, lifted, "x", by)
        self.both(lambda store: store.record_protection(new))
        self.both(lambda store: store.list_protections(None))

    @rule(partition=st.sampled_from(PARTITIONS), deleted=st.booleans())
    def delete_run(self, partition: str, deleted: bool) -> None:
        run_id = samples.new_run(partition).run_id
        self.both(lambda store: store.change_run_deleted(run_id, deleted, "x", samples.ACTOR))

    @rule(which=PICK, deleted=st.booleans())
    def delete_model(self, which: int, deleted: bool) -> None:
        model_id = self.models[which % len(self.models)].model_id
        self.both(lambda store: store.change_model_deleted(model_id, deleted, "x", samples.ACTOR))

    @precondition(lambda self: self.last is not None)
    @rule()
    def deliver_again(self) -> None:
        assert self.last is not None
        self.both(self.last)

    @rule()
    def reconnect(self) -> None:
        self.store.close()

    def teardown(self) -> None:
        try:
            assert shown(self.store) == shown(self.memory)
        finally:
            self.store.close()
            self.leave()


def test_sqlite_does_what_the_reference_does(tmp_path: Path) -> None:
    template, names = tmp_path / "template.db", itertools.count()
    SqlStore(f"sqlite:///{template}").close()

    def twins() -> Twins:
        file = tmp_path / f"{next(names)}.db"
        shutil.copy(template, file)
        return Twins(SqlStore(f"sqlite:///{file}"), file.unlink)

    run_state_machine_as_test(cast(Any, twins), settings=MODEST)


def test_postgres_does_what_the_reference_does(postgres_server: PostgresServer, postgres_template: str) -> None:
    def twins() -> Twins:
        name = postgres_server.new_database(postgres_template)
        return Twins(SqlStore(postgres_server.url(name)), lambda: postgres_server.drop(name))

    run_state_machine_as_test(cast(Any, twins), settings=MODEST)
