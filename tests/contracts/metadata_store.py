"""What a `MetadataStore` must do, whatever it is made of. No store is named here."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import pytest

from penstock.errors import Conflict, Fenced, InvalidValue, NotAuthorized, NotFound
from penstock.model.audit import GENESIS, ChainHead, experiment_chain, flaw_in, model_chain
from penstock.model.decisions import Verdict
from penstock.model.runs import AttemptState, LogBatch, Metric, RunStatus
from penstock.model.versions import AliasMove, Authorization, AuthorizationKind, FileEntry, ModelVersion
from penstock.ports import MetadataStore, StepEnd
from tests.contracts import samples
from tests.contracts.attempts import AttemptsContract
from tests.contracts.changes import kinds, refused_change, unchanged
from tests.contracts.events import EventRecordsContract
from tests.contracts.gates import GateRecordsContract
from tests.contracts.registry import VersionRecordsContract
from tests.contracts.retention import RetentionRecordsContract
from tests.contracts.samples import ACTOR, ALIAS, EXPERIMENT, MODEL, begun, done, judged, opened, promoted, registered


class MetadataStoreContract(
    AttemptsContract, EventRecordsContract, GateRecordsContract, VersionRecordsContract, RetentionRecordsContract
):
    """Give it a fixture `store` with nothing in it."""

    # ---------------------------------------------------------------------------------------------------- runs

    def test_the_same_run_is_opened_once(self, store: MetadataStore) -> None:
        first, created = store.open_run(samples.new_run("2013-03"))
        again, created_again = store.open_run(samples.new_run("2013-03"))
        assert (created, created_again) == (True, False)
        assert first == again == store.get_run(first.run_id)
        assert (first.status, first.key.partition, first.ended_at) == (RunStatus.RUNNING, "2013-03", None)
        assert kinds(store) == ["run_opened"]

    def test_a_key_of_another_experiment_is_refused(self, store: MetadataStore) -> None:
        opened(store)
        unchanged(store, lambda: store.open_run(samples.new_run("2013-03", "other")), Conflict, EXPERIMENT)

    def test_a_run_of_a_parent_that_does_not_exist_is_refused(self, store: MetadataStore) -> None:
        new = samples.new_run("child", parent_run_id="f" * 32)
        unchanged(store, lambda: store.open_run(new), NotFound)
        parent = opened(store, "parent")
        assert store.open_run(replace(new, parent_run_id=parent.run_id))[0].parent_run_id == parent.run_id

    def test_params_and_tags_given_on_opening_are_written_with_the_run(self, store: MetadataStore) -> None:
        new = samples.new_run("p")
        first = samples.new_attempt(new.run_id, "open_run")
        new = replace(new, first=first, logged=LogBatch(params={"depth": "3"}, tags={"team": "a"}))
        for _ in range(2):
            store.open_run(new)
            details = store.get_run_details(new.run_id)
            assert (details.params, details.tags) == ({"depth": "3"}, {"team": "a"})
            assert [(step.state, step.attempt) for step in details.steps] == [(AttemptState.DONE, 1)]

    def test_a_failed_run_is_reopened_on_record_and_a_finished_one_is_not(self, store: MetadataStore) -> None:
        run = opened(store)
        store.end_run(run.run_id, RunStatus.FAILED, "broken", ACTOR)
        again, created = store.open_run(samples.new_run("2013-03"))
        assert (again.status, again.reason, again.ended_at, created) == (RunStatus.RUNNING, "", None, False)
        store.end_run(run.run_id, RunStatus.FINISHED, "", ACTOR)
        assert opened(store).status is RunStatus.FINISHED
        assert kinds(store) == ["run_opened", "run_ended", "run_reopened", "run_ended"]

    def test_ending_a_run_twice_is_once_and_otherwise_a_conflict(self, store: MetadataStore) -> None:
        run = opened(store)
        first = store.end_run(run.run_id, RunStatus.FINISHED, "done", ACTOR)
        assert store.end_run(run.run_id, RunStatus.FINISHED, "again", ACTOR) == first
        assert (first.status, first.reason) == (RunStatus.FINISHED, "done")
        unchanged(store, lambda: store.end_run(run.run_id, RunStatus.FAILED, "", ACTOR), Conflict, "it ended FINISHED")
        unchanged(store, lambda: store.end_run("f" * 32, RunStatus.FAILED, "", ACTOR), NotFound, "run")

    def test_ending_a_run_ends_an_attempt_with_it_or_neither(self, store: MetadataStore) -> None:
        run = opened(store)
        old = begun(store, run.run_id)
        new = begun(store, run.run_id)
        fenced = StepEnd(old, AttemptState.DONE)
        unchanged(store, lambda: store.end_run(run.run_id, RunStatus.FINISHED, "", ACTOR, fenced), Fenced)
        store.end_run(run.run_id, RunStatus.FINISHED, "", ACTOR, done(new, "result"))
        assert store.get_run_details(run.run_id).steps[0].state is AttemptState.DONE

    def test_runs_are_listed_newest_first_by_experiment(self, store: MetadataStore) -> None:
        for partition in ("a", "b", "c"):
            opened(store, partition)
            time.sleep(0.002)
        store.open_run(samples.new_run("d", "other"))
        assert [run.key.partition for run in store.list_runs(EXPERIMENT, 2)] == ["c", "b"]
        assert [run.key.partition for run in store.list_runs(None, 10)] == ["d", "c", "b", "a"]
        assert store.list_runs("nobody", 10) == []
        with pytest.raises(NotFound, match="run"):
            store.get_run("f" * 32)
        with pytest.raises(NotFound, match="run"):
            store.get_run_details("f" * 32)

    # ------------------------------------------------------------------------------------- what attempts log

    def test_a_batch_with_a_bad_item_in_it_writes_nothing(self, store: MetadataStore) -> None:
        run = opened(store)
        attempt = begun(store, run.run_id)
        store.log(attempt, LogBatch(params={"lr": "0.1"}))
        bad = LogBatch(
            metrics=(Metric("loss", 1.0),),
            params={"depth": "3", "lr": "0.2"},
            tags={"a": "b"},
            inputs=(samples.held_out(),),
        )
        unchanged(store, lambda: store.log(attempt, bad), Conflict, r"lr.*0\.2.*0\.1")
        assert store.get_run_details(run.run_id).params == {"lr": "0.1"}

    def test_the_same_point_twice_is_one_and_every_number_is_kept_as_it_is(self, store: MetadataStore) -> None:
        run = opened(store)
        attempt = begun(store, run.run_id)
        at = datetime(2013, 3, 1, tzinfo=UTC)
        values = {"nan": math.nan, "up": math.inf, "down": -math.inf, "third": 1 / 3, "tiny": 5e-324, "big": 1.7e308}
        batch = LogBatch(metrics=tuple(Metric(name, value, 2**40, at) for name, value in values.items()))
        store.log(attempt, batch)
        store.log(attempt, batch)
        found = store.get_run_details(run.run_id).metrics
        assert math.isnan(found["nan"])
        assert {k: v for k, v in found.items() if k != "nan"} == {k: v for k, v in values.items() if k != "nan"}
        expected = [(2**40, int(at.timestamp() * 1000), 1 / 3)]
        assert list(store.list_metric_points(run.run_id, "third")) == expected
        assert list(store.list_metric_points("f" * 32, "third")) == []

    def test_the_last_point_of_a_metric_is_the_one_that_counts(self, store: MetadataStore) -> None:
        run = opened(store)
        attempt = begun(store, run.run_id)
        store.log(attempt, LogBatch(metrics=tuple(Metric("loss", 1.0 / step, step) for step in (3, 1, 2))))
        assert store.get_run_details(run.run_id).metrics == {"loss": 1 / 3}
        assert [point[0] for point in store.list_metric_points(run.run_id, "loss")] == [1, 2, 3]

    def test_a_tag_is_replaced_and_an_artifact_too(self, store: MetadataStore) -> None:
        run = opened(store)
        attempt = begun(store, run.run_id)
        for text, sha256 in (("old", "0" * 64), ("new", "1" * 64)):
            store.log(attempt, LogBatch(tags={"stage": text, "kept": "yes"}))
            store.put_artifacts(attempt, [FileEntry("b/notes.txt", sha256, 3), FileEntry("a.txt", sha256, 2)])
        store.put_artifacts(attempt, [])
        store.log(attempt, LogBatch())
        assert store.get_run_details(run.run_id).tags == {"stage": "new", "kept": "yes"}
        listed = [(file.path, file.sha256, file.size_bytes) for file in store.list_artifacts(run.run_id)]
        assert listed == [("a.txt", "1" * 64, 2), ("b/notes.txt", "1" * 64, 3)]
        assert store.list_artifacts("f" * 32) == []
        assert store.find_referrer("1" * 64) == f"runs:/{run.run_id} a.txt"
        assert store.find_referrer("0" * 64) == ""

    def test_a_model_is_sealed_once_and_found_by_name(self, store: MetadataStore) -> None:
        run = opened(store)
        attempt = begun(store, run.run_id)
        model = samples.logged_model(run.run_id)
        first = store.add_model(attempt, model)
        assert [file.path for file in first.files] == ["MLmodel", "model.skops"]
        assert first == store.get_model(model.model_id) == store.find_model(run.run_id, "model")
        store.put_artifacts(attempt, [replace(first.files[1], path="a.txt")])
        assert store.find_referrer(first.files[1].sha256) == f"{first.uri} {first.files[1].path}"
        again = store.add_model(begun(store, run.run_id), replace(model, flavor="other", files=()))
        assert again == first
        begun(store, run.run_id)
        assert store.find_model(run.run_id, "model") is None
        attempt, other = begun(store, run.run_id), samples.logged_model(run.run_id, "other weights")
        for logged in (model, other, model):
            store.add_model(attempt, logged)
        assert store.find_model(run.run_id, "model") == first
        assert store.find_model(run.run_id, "other") is None
        with pytest.raises(NotFound, match="logged model"):
            store.get_model("m-" + "0" * 32)

    # --------------------------------------------------------------------------------- evaluations, decisions

    def test_an_evaluation_and_a_decision_are_recorded_once(self, store: MetadataStore) -> None:
        judgement = judged(store, "a")
        evaluation, decision = judgement.evaluation, judgement.decision
        run_id = judgement.model.run_id
        stored = store.get_evaluation(evaluation.evaluation_id)
        assert replace(stored, created_at=None) == evaluation
        assert replace(store.get_decision(decision.decision_id), created_at=None) == decision
        before = kinds(store)
        attempt = begun(store, run_id, "evaluate", "again")
        assert store.record_evaluation(evaluation, samples.event("evaluated"), done(attempt)) == stored
        attempt = begun(store, run_id, "decide", "again")
        for _ in range(2):
            store.record_decision(decision, samples.event("decided"), done(attempt))
        assert kinds(store) == before
        assert [made.evaluation_id for made in store.list_evaluations(run_id)] == [evaluation.evaluation_id]
        assert [made.decision_id for made in store.list_decisions(run_id)] == [decision.decision_id]
        assert store.find_decisions([decision.decision_id, "f" * 32]) == {
            decision.decision_id: store.get_decision(decision.decision_id)
        }
        assert store.find_decisions([]) == {}

    def test_every_run_is_read_and_those_that_were_judged_are_listed_in_order(self, store: MetadataStore) -> None:
        bare = opened(store, "bare").run_id
        ended = [judged(store, f"2013-{month}", generation=month).model.run_id for month in range(1, 4)]
        for run_id in ended:
            store.end_run(run_id, RunStatus.FINISHED, "", ACTOR)
        states = {(run_id, "FINISHED", "active") for run_id in ended} | {(bare, "RUNNING", "active")}
        assert set(store.read_run_states()) == states
        first, *rest = sorted(ended)
        assert store.list_judged_runs("", 1) == [first]
        assert store.list_judged_runs(first, 10) == rest
        assert store.list_judged_runs(rest[-1], 10) == []

    def test_a_judgement_on_what_is_not_there_is_refused_whole(self, store: MetadataStore) -> None:
        run = opened(store)
        attempt = begun(store, run.run_id)
        evaluation = samples.evaluation_of(samples.logged_model(run.run_id))
        call = (evaluation, samples.event("evaluated"), done(attempt))
        unchanged(store, lambda: store.record_evaluation(*call), NotFound)
        decision = (samples.decision_on(evaluation), samples.event("decided"), done(attempt))
        unchanged(store, lambda: store.record_decision(*decision), NotFound)
        with pytest.raises(NotFound, match="evaluation"):
            store.get_evaluation("f" * 32)
        with pytest.raises(NotFound, match="decision"):
            store.get_decision("f" * 32)

    def test_a_result_that_is_not_json_writes_nothing(self, store: MetadataStore) -> None:
        judgement = judged(store, "a")
        attempt = begun(store, judgement.model.run_id, "more")
        decision = samples.decision_on(judgement.evaluation, generation=5)
        call = (decision, samples.event("decided"), done(attempt, math.nan))
        unchanged(store, lambda: store.record_decision(*call), InvalidValue, "JSON")
        unchanged(store, lambda: store.end_attempt(done(attempt, {"a": {1, 2}})), InvalidValue, "JSON")

    @pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.INCONCLUSIVE])
    def test_only_a_passed_decision_leaves_an_authorization(self, store: MetadataStore, verdict: Verdict) -> None:
        passed, refused = judged(store, "passed"), judged(store, "refused", verdict)
        found = store.find_authorization(passed.decision.decision_id)
        assert found is not None
        assert (found.model, found.decision_id, found.actor) == (MODEL, passed.decision.decision_id, ACTOR)
        assert store.find_authorization(refused.decision.decision_id) is None
        refused_change(store, lambda: registered(store, refused), NotAuthorized)

    # ------------------------------------------------------------------------------------------------ registry

    def test_a_decision_registers_one_version_however_often_it_is_asked(self, store: MetadataStore) -> None:
        judgement = judged(store, "a")
        versions = [registered(store, judgement, map_index=index) for index in (-1, 0, 1)]
        assert versions[0] == versions[1] == versions[2] == store.find_version(MODEL, 1)
        assert (versions[0].version, versions[0].payload_digest) == (1, judgement.model.payload_digest)
        assert kinds(store).count("version_registered") == 1
        second = registered(store, judged(store, "b"))
        assert second.version == 2
        assert store.list_versions(MODEL) == [second, versions[0]]
        assert store.find_version(MODEL, None) == second
        assert (store.find_version(MODEL, 3), store.find_version("other", None)) == (None, None)
        assert store.list_versions("other") == []

    def test_an_authorization_covers_only_what_its_decision_named(self, store: MetadataStore) -> None:
        first, second = judged(store, "a"), judged(store, "b")
        attempt = begun(store, first.model.run_id, "register", "x")
        end, event = done(attempt), samples.event("version_registered")
        forged = replace(first.authorization, authorization_id="f" * 32)
        refused = [
            (MODEL, second.model, first.authorization),
            ("another", first.model, first.authorization),
            (MODEL, first.model, forged),
            (MODEL, replace(second.model, payload_digest=first.model.payload_digest), first.authorization),
        ]
        for name, model, given in refused:
            refused_change(store, partial(store.record_version, name, model, given, event, end), NotAuthorized)
        missing = replace(first.model, model_id="m-" + "0" * 32)
        unchanged(store, lambda: store.record_version(MODEL, missing, first.authorization, event, end), NotFound)
        version = registered(store, first)
        again = partial(store.record_version, MODEL, second.model, first.authorization, event, end)
        refused_change(store, again, NotAuthorized)
        refused_change(store, lambda: promoted(store, first, version, alias="production"), NotAuthorized)
        other = registered(store, second)
        disguised = replace(other, payload_digest=version.payload_digest)
        refused_change(store, lambda: promoted(store, first, disguised), NotAuthorized)
        refused_change(store, lambda: promoted(store, first, replace(version, version=9)), NotFound)

    def test_an_alias_moves_by_compare_and_swap_and_the_loser_is_told_who_won(self, store: MetadataStore) -> None:
        assert store.find_alias(MODEL, ALIAS) is None
        _, first, move = samples.released(store, "a")
        assert (move.from_version, move.to_version, move.generation) == (None, first.version, 1)
        rivals = [judged(store, partition, generation=1) for partition in ("b", "c")]
        versions = [registered(store, rival) for rival in rivals]
        won = promoted(store, rivals[0], versions[0])
        assert (won.from_version, won.to_version, won.generation) == (1, 2, 2)
        before = kinds(store)
        with pytest.raises(Conflict, match="found version 2, generation 2"):
            promoted(store, rivals[1], versions[1])
        assert kinds(store) == before
        assert [made.to_version for made in store.list_alias_moves(MODEL)] == [1, 2]
        found = store.find_alias(MODEL, ALIAS)
        assert found is not None
        assert (found.version, found.generation) == (2, 2)
        assert [(model.name, model.latest_version, model.aliases) for model in store.list_models()] == [
            (MODEL, 3, {ALIAS: 2})
        ]

    def test_the_same_authorization_again_returns_the_move_it_made(self, store: MetadataStore) -> None:
        judgement, version, move = samples.released(store, "a")
        later, newer, _ = samples.released(store, "b", generation=1)
        assert promoted(store, judgement, version, map_index=0) == move
        assert promoted(store, later, newer, expected=7, map_index=0).generation == 2
        assert len(store.list_alias_moves(MODEL)) == 2
        assert kinds(store).count("alias_moved") == 2

    def test_an_alias_goes_back_only_to_a_version_that_held_it_and_once_per_authorization(
        self, store: MetadataStore
    ) -> None:
        _, first, _ = samples.released(store, "a")
        samples.released(store, "b", generation=1)
        stranger = registered(store, judged(store, "c", generation=2))
        given = Authorization("b" * 32, AuthorizationKind.ROLLBACK, MODEL, None, "complaints", ACTOR)
        entry = samples.event("alias_moved", model=MODEL)

        def back(version: ModelVersion, expected: int) -> AliasMove:
            return store.record_rollback(version, ALIAS, given, expected, entry)

        refused_change(store, lambda: back(stranger, 2), NotAuthorized)
        refused_change(store, lambda: back(first, 1), Conflict)
        move = back(first, 2)
        assert (move.from_version, move.to_version, move.generation) == (2, 1, 3)
        assert (move.authorization.kind, move.authorization.reason) == (AuthorizationKind.ROLLBACK, "complaints")
        assert back(first, 3) == move
        assert kinds(store).count("alias_moved") == 3

    # ------------------------------------------------------------------------------------------------- ledger

    def test_every_chain_is_whole_and_its_head_is_its_last_entry(self, store: MetadataStore) -> None:
        assert list(store.list_chain_heads()) == []
        assert list(store.read_ledger()) == []
        samples.released(store, "a")
        samples.released(store, "b", generation=1)
        store.open_run(samples.new_run("c", "Another/experiment"))
        chains = [experiment_chain("Another/experiment"), experiment_chain(EXPERIMENT), model_chain(MODEL)]
        entries = list(store.read_ledger())
        assert [entry.chain for entry in entries] == sorted((e.chain for e in entries), key=chains.index)
        heads = []
        for chain in chains:
            previous, number = GENESIS, 0
            for entry in store.read_ledger(chain):
                assert flaw_in(entry, number + 1, previous) == ""
                previous, number = entry.hash, entry.sequence
            heads.append(ChainHead(chain, number, previous))
        assert list(store.list_chain_heads()) == heads
        assert list(store.read_ledger(model_chain("nobody"))) == []

    def test_text_outside_ascii_is_kept_as_it_was_written(self, store: MetadataStore) -> None:
        run = opened(store, "März 🛩")
        attempt = begun(store, run.run_id)
        text = "naïve — 数据 \U0001f600 'quoted' \"twice\" %s :name\n\ttabbed"
        store.log(attempt, LogBatch(params={"p": text}, tags={"t": text}))
        details = store.get_run_details(run.run_id)
        assert (details.params["p"], details.tags["t"], details.run.key.partition) == (text, text, "März 🛩")
        store.end_run(run.run_id, RunStatus.FAILED, text, ACTOR)
        assert [entry.why for entry in store.read_ledger()] == ["", text]

    def test_a_closed_store_may_be_used_again(self, store: MetadataStore) -> None:
        run = opened(store)
        store.close()
        assert store.get_run(run.run_id) == run
