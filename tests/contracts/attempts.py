"""What a `MetadataStore` must do for steps and their attempts. No store is named here."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from penstock.errors import Fenced, NotFound
from penstock.model.runs import AttemptState, LogBatch, Metric, RunStatus, StepResult
from penstock.model.versions import FileEntry
from penstock.ports import MetadataStore, StepEnd
from tests.contracts import samples
from tests.contracts.changes import kinds, unchanged
from tests.contracts.samples import ACTOR, ALIAS, MODEL, begun, done, judged, opened, registered


class AttemptsContract:
    """Give it a fixture `store` with nothing in it."""

    def test_a_step_answers_from_its_stored_result(self, store: MetadataStore) -> None:
        run = opened(store)
        attempt = begun(store, run.run_id, inputs=1)
        ended = store.end_attempt(done(attempt, {"rows": [1, 2]}))
        assert isinstance(ended, StepResult)
        assert ended.value == {"rows": [1, 2]}
        assert store.end_attempt(done(attempt, {"rows": [1, 2]})) == ended
        assert store.begin_attempt(samples.new_attempt(run.run_id, inputs=1)) == ended
        other = begun(store, run.run_id, inputs=2)
        assert other.number == 2
        store.end_attempt(done(other, "other"))
        assert store.begin_attempt(samples.new_attempt(run.run_id, inputs=1)) == ended
        assert begun(store, run.run_id, inputs=1, always=True).number == 3
        assert [step.generation for step in store.get_run_details(run.run_id).steps] == [3]

    def test_a_newer_attempt_fences_the_older_one_from_every_write(self, store: MetadataStore) -> None:
        run = opened(store)
        old, new = begun(store, run.run_id), begun(store, run.run_id)
        model = samples.logged_model(run.run_id)
        evaluation = samples.evaluation_of(model)
        writes: list[Callable[[], Any]] = [
            lambda: store.log(old, samples.metrics(loss=1.0)),
            lambda: store.renew_lease(old),
            lambda: store.put_artifacts(old, [FileEntry("a", "0" * 64, 1)]),
            lambda: store.add_model(old, model),
            lambda: store.end_attempt(done(old)),
            lambda: store.end_attempt(StepEnd(old, AttemptState.FAILED, error="late")),
            lambda: store.record_evaluation(evaluation, samples.event("evaluated"), done(old)),
            lambda: store.record_decision(samples.decision_on(evaluation), samples.event("decided"), done(old)),
        ]
        for write in writes:
            unchanged(store, write, Fenced, "attempt 1 has been superseded by attempt 2")
        assert store.list_artifacts(run.run_id) == []
        store.log(new, samples.metrics(loss=0.5))
        assert store.get_run_details(run.run_id).metrics == {"loss": 0.5}

    def test_a_fenced_attempt_neither_registers_nor_promotes(self, store: MetadataStore) -> None:
        judgement = judged(store, "a")
        version = registered(store, judgement)
        other = judged(store, "b")
        old = begun(store, other.model.run_id, "register", "x")
        begun(store, other.model.run_id, "register", "x")
        call = (MODEL, other.model, other.authorization, samples.event("registered"), done(old))
        unchanged(store, lambda: store.record_version(*call), Fenced)
        move = (version, ALIAS, judgement.authorization, 0, samples.event("moved"), done(old))
        unchanged(store, lambda: store.move_alias(*move), Fenced)

    def test_an_end_is_final_and_a_wrong_token_writes_nothing(self, store: MetadataStore) -> None:
        run = opened(store)
        attempt = begun(store, run.run_id)
        unchanged(store, lambda: store.end_attempt(done(replace(attempt, token="0" * 32))), Fenced)
        unchanged(store, lambda: store.log(replace(attempt, number=7), samples.metrics(a=1.0)), Fenced)
        store.end_attempt(StepEnd(attempt, AttemptState.FAILED, error="out of memory"))
        assert store.end_attempt(StepEnd(attempt, AttemptState.FAILED, error="again")) is None
        unchanged(store, lambda: store.end_attempt(done(attempt)), Fenced)
        unchanged(store, lambda: store.log(attempt, samples.metrics(a=1.0)), Fenced)
        assert [step.error for step in store.get_run_details(run.run_id).steps] == ["out of memory"]

    def test_mapped_steps_do_not_fence_each_other(self, store: MetadataStore) -> None:
        run = opened(store)
        shards = [begun(store, run.run_id, "shard", map_index=index) for index in range(3)]
        for index, shard in enumerate(shards):
            store.log(shard, LogBatch(metrics=(Metric(f"m{index}", index),)))
        assert store.get_run_details(run.run_id).metrics == {"m0": 0.0, "m1": 1.0, "m2": 2.0}

    def test_a_new_attempt_supersedes_what_was_logged_unless_it_resumes(self, store: MetadataStore) -> None:
        run = opened(store)
        first = begun(store, run.run_id)
        store.log(first, LogBatch(metrics=(Metric("loss", 1.0, 1),), params={"lr": "1"}, inputs=(samples.held_out(),)))
        resumed = begun(store, run.run_id, resume=True)
        store.log(resumed, LogBatch(metrics=(Metric("loss", 0.5, 2),), params={"lr": "2"}))
        assert [point[0] for point in store.list_metric_points(run.run_id, "loss")] == [1, 2]
        details = store.get_run_details(run.run_id)
        assert (details.params, details.metrics) == ({"lr": "2"}, {"loss": 0.5})
        assert details.inputs == (samples.held_out(),)
        store.log(begun(store, run.run_id), LogBatch(metrics=(Metric("loss", 0.7, 1),)))
        details = store.get_run_details(run.run_id)
        assert (details.params, details.metrics, details.inputs) == ({}, {"loss": 0.7}, ())

    def test_beginning_reopens_a_failed_run_and_a_finished_one_only_for_new_work(self, store: MetadataStore) -> None:
        run = opened(store)
        store.end_attempt(done(begun(store, run.run_id, inputs=1)))
        store.end_run(run.run_id, RunStatus.FINISHED, "", ACTOR)
        begun(store, run.run_id, "evaluate")
        assert store.get_run(run.run_id).status is RunStatus.FINISHED
        assert isinstance(store.begin_attempt(samples.new_attempt(run.run_id, inputs=1, reopen=True)), StepResult)
        assert store.get_run(run.run_id).status is RunStatus.FINISHED
        begun(store, run.run_id, inputs=2, reopen=True)
        assert store.get_run(run.run_id).status is RunStatus.RUNNING
        store.end_run(run.run_id, RunStatus.KILLED, "", ACTOR)
        assert isinstance(store.begin_attempt(samples.new_attempt(run.run_id, inputs=1)), StepResult)
        assert store.get_run(run.run_id).status is RunStatus.RUNNING
        assert kinds(store) == ["run_opened", *["run_ended", "run_reopened"] * 2]
        with pytest.raises(NotFound, match="run"):
            begun(store, "f" * 32)

    def test_a_silent_attempt_is_reaped_and_its_run_with_it(self, store: MetadataStore) -> None:
        run, other = opened(store, "silent"), opened(store, "alive")
        silent, alive = begun(store, run.run_id, lease_s=0.0), begun(store, other.run_id)
        time.sleep(0.005)
        lapsed = store.reap(ACTOR)
        assert [(found.step, found.attempt, found.run_ended) for found in lapsed] == [(silent.step, 1, True)]
        assert (store.get_run(run.run_id).status, store.reap(ACTOR)) == (RunStatus.KILLED, [])
        assert "silent for longer" in store.get_run(run.run_id).reason
        assert store.get_run_details(run.run_id).steps[0].state is AttemptState.LAPSED
        unchanged(store, lambda: store.log(silent, samples.metrics(a=1.0)), Fenced)
        store.renew_lease(alive)
        assert store.get_run(other.run_id).status is RunStatus.RUNNING

    def test_attempts_that_were_seen_to_die_are_ended_before_their_lease(self, store: MetadataStore) -> None:
        run, other = opened(store, "dead"), opened(store, "alive")
        dead = [begun(store, run.run_id, name, host={"task": "train", "try": 1}) for name in ("train", "log")]
        beside = begun(store, run.run_id, "beside", host={"task": "beside", "try": 1})
        begun(store, other.run_id, host={"task": "train", "try": 2})
        assert store.reap(ACTOR, {"task": "train", "try": 3}) == []
        lapsed = store.reap(ACTOR, {"task": "train", "try": 1})
        assert sorted((found.step.name, found.run_ended) for found in lapsed) == [("log", False), ("train", False)]
        unchanged(store, lambda: store.log(dead[0], samples.metrics(a=1.0)), Fenced)
        assert store.get_run(run.run_id).status is RunStatus.RUNNING
        assert [found.run_ended for found in store.reap(ACTOR, {"task": "beside"})] == [True]
        assert (store.get_run(run.run_id).status, store.get_run(other.run_id).status) == ("KILLED", "RUNNING")
        assert store.get_run(run.run_id).reason == "step beside: attempt 1 died with its task"
        unchanged(store, lambda: store.renew_lease(beside), Fenced)

    def test_what_is_done_with_the_same_inputs_is_listed_as_it_ended_whatever_its_step(
        self, store: MetadataStore
    ) -> None:
        run = opened(store)
        for number, (name, inputs) in enumerate((("b", 1), ("a", 1), ("a", 2))):
            store.end_attempt(done(begun(store, run.run_id, name, inputs, host={"number": number})))
            time.sleep(0.002)
        begun(store, run.run_id, "unfinished", 1)
        wanted = samples.new_attempt(run.run_id, inputs=1).inputs_digest
        found = store.list_done(run.run_id, wanted)
        assert [(one.step.name, one.attempt, one.host["number"]) for one in found] == [("b", 1, 0), ("a", 1, 1)]
        assert list(store.list_done("f" * 32, wanted)) == []

    def test_a_run_that_what_is_dead_had_opened_is_ended_unless_somebody_works_in_it(
        self, store: MetadataStore
    ) -> None:
        dead = {"dag": "d", "try": 1}
        mine, busy, theirs = (
            store.open_run(samples.new_run(name, source=source))[0]
            for name, source in (("mine", {**dead, "pid": 7}), ("busy", dead), ("theirs", {"dag": "d", "try": 2}))
        )
        begun(store, busy.run_id, host={"dag": "another"})
        store.end_attempt(done(begun(store, mine.run_id, host={"dag": "another"})))
        assert [(found.step.run_id, found.attempt, found.run_ended) for found in store.reap(ACTOR, dead)] == [
            (mine.run_id, 0, True)
        ]
        assert [store.get_run(run.run_id).status for run in (mine, busy, theirs)] == ["KILLED", "RUNNING", "RUNNING"]
        assert store.get_run(mine.run_id).reason == "left open by what had opened it, which is over"
        assert store.reap(ACTOR, dead) == []

    def test_a_run_that_is_opened_again_has_its_deadline_again(self, store: MetadataStore) -> None:
        run = opened(store, "again")
        store.end_run(run.run_id, RunStatus.FAILED, "", ACTOR)
        store.open_run(samples.new_run("again", deadline_s=0.0))
        time.sleep(0.005)
        assert [found.step.run_id for found in store.reap(ACTOR)] == [run.run_id]

    def test_a_run_past_its_deadline_is_reaped_unless_somebody_works_in_it(self, store: MetadataStore) -> None:
        run = store.open_run(samples.new_run("late", deadline_s=0.0))[0]
        busy = store.open_run(samples.new_run("busy", deadline_s=0.0))[0]
        opened(store, "no deadline")
        begun(store, busy.run_id)
        time.sleep(0.005)
        assert [found.step.run_id for found in store.reap(ACTOR)] == [run.run_id]
        assert "deadline" in store.get_run(run.run_id).reason
