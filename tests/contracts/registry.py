"""What a store must do beside moving aliases: load checks, states, protection, notes, history, deletion."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from penstock.errors import Conflict, NotAuthorized, NotFound
from penstock.model.audit import experiment_chain, model_chain
from penstock.model.load_checks import LoadCheck
from penstock.model.notes import Note, Notes
from penstock.model.protection import AliasProtection
from penstock.model.runs import LogBatch, RunStatus, StepResult
from penstock.model.versions import Authorization, AuthorizationKind, ModelVersion, VersionState
from penstock.ports import MetadataStore
from tests.contracts import samples
from tests.contracts.samples import ACTOR, ALIAS, EXPERIMENT, MODEL, begun, done, judged, promoted, registered

ANA = {**ACTOR, "subject": "ana"}


def failed(version: ModelVersion, number: int) -> LoadCheck:
    return LoadCheck(version.model, version.version, number, False, "no module named lost", {"rows": 0}, ACTOR)


def protection(number: int, *actors: str, lifted: bool = False, actor: Any = None) -> AliasProtection:
    return AliasProtection(MODEL, ALIAS, number, actors, lifted, "live", actor or ACTOR)


def rollback(number: int, subject: str = "tester") -> tuple[Authorization, Any]:
    """An authorization to roll back, and its event."""
    actor = {**ACTOR, "subject": subject}
    given = Authorization(f"{number:032x}", AuthorizationKind.ROLLBACK, MODEL, None, "complaints", actor)
    return given, replace(samples.event("alias_moved", model=MODEL), actor=actor)


def kinds(store: MetadataStore) -> list[str]:
    return [entry.kind for entry in store.read_ledger(model_chain(MODEL))]


class VersionRecordsContract:
    """Give it a fixture `store` with nothing in it."""

    def test_a_version_gets_no_alias_before_it_was_seen_to_load(self, store: MetadataStore) -> None:
        judgement = judged(store, "a")
        version = samples.unchecked(store, judgement)
        with pytest.raises(NotAuthorized, match="has not been seen to load"):
            promoted(store, judgement, version)
        store.record_load_check(failed(version, 1))
        with pytest.raises(NotAuthorized, match="no module named lost"):
            promoted(store, judgement, version)
        assert store.list_alias_moves(MODEL) == []
        store.record_load_check(samples.passed_check(version, 2))
        assert promoted(store, judgement, version).to_version == 1

    def test_a_check_is_recorded_once_under_its_number(self, store: MetadataStore) -> None:
        version = samples.unchecked(store, judged(store, "a"))
        first = store.record_load_check(failed(version, 1))
        assert store.record_load_check(samples.passed_check(version, 1)) == first
        second = store.record_load_check(samples.passed_check(version, 2))
        assert store.list_load_checks(MODEL, 1) == [first, second]
        assert (first.passed, first.error, second.facts) == (False, "no module named lost", {"rows": 1})
        assert kinds(store).count("version_checked") == 2
        assert store.list_load_checks(MODEL, 2) == []
        with pytest.raises(NotFound, match="model version"):
            store.record_load_check(replace(samples.passed_check(version), version=9))

    def test_the_last_check_of_every_version_is_read_at_once(self, store: MetadataStore) -> None:
        versions = [samples.unchecked(store, judged(store, run)) for run in ("a", "b", "c")]
        store.record_load_check(failed(versions[0], 1))
        last = [store.record_load_check(samples.passed_check(versions[0], 2))]
        last.append(store.record_load_check(failed(versions[2], 1)))
        assert store.list_last_load_checks(MODEL) == last
        assert store.list_last_load_checks(MODEL, 2) == last[1:]
        assert store.list_last_load_checks("other") == []

    def test_an_alias_does_not_go_back_to_what_no_longer_loads(self, store: MetadataStore) -> None:
        _, first, _ = samples.released(store, "a")
        samples.released(store, "b", generation=1)
        store.record_load_check(failed(first, 2))
        given, event = rollback(1)
        with pytest.raises(NotAuthorized, match="failed its last load check"):
            store.record_rollback(first, ALIAS, given, 2, event)
        assert len(store.list_alias_moves(MODEL)) == 2
        store.record_load_check(samples.passed_check(first, 3))
        assert store.record_rollback(first, ALIAS, given, 2, event).to_version == 1

    def test_what_an_alias_points_to_or_a_decision_compares_with_is_not_deleted(self, store: MetadataStore) -> None:
        judgement, _, _ = samples.released(store, "a")
        for state in (VersionState.ARCHIVED, VersionState.DELETED):
            with pytest.raises(Conflict, match=f"alias '{ALIAS}'"):
                store.change_version_state(MODEL, 1, state, "old", ACTOR)
        compared = replace(judged(store, "b").decision, decision_id="d" * 32, baseline_version=2)
        attempt = begun(store, compared.run_id, "decide", "again")
        store.record_decision(compared, samples.event("decision_made"), done(attempt, compared.ref))
        registered(store, judged(store, "c"))
        with pytest.raises(Conflict, match="d" * 32):
            store.change_version_state(MODEL, 2, VersionState.DELETED, "old", ACTOR)
        assert store.change_version_state(MODEL, 2, VersionState.ARCHIVED, "old", ACTOR).state is VersionState.ARCHIVED
        assert judgement.decision.baseline_version is None

    def test_a_deleted_version_gets_no_alias_and_its_number_is_not_used_again(self, store: MetadataStore) -> None:
        judgement = judged(store, "a")
        version = registered(store, judgement)
        for _ in range(2):
            gone = store.change_version_state(MODEL, 1, VersionState.DELETED, "wrong data", ANA)
        assert (gone.state, store.find_version(MODEL, None)) == (VersionState.DELETED, None)
        with pytest.raises(Conflict, match="deleted"):
            promoted(store, judgement, version)
        assert registered(store, judged(store, "b")).version == 2
        assert [found.state.value for found in store.list_versions(MODEL)] == ["active", "deleted"]
        assert store.change_version_state(MODEL, 1, VersionState.ACTIVE, "it was right", ANA) == version
        assert promoted(store, judgement, version).to_version == 1
        told = [(e.kind, e.why, e.actor["subject"]) for e in store.read_ledger(model_chain(MODEL)) if "_" in e.kind]
        assert ("version_deleted", "wrong data", "ana") in told
        assert ("version_restored", "it was right", "ana") in told
        assert kinds(store).count("version_deleted") == 1
        with pytest.raises(NotFound, match="model version"):
            store.change_version_state(MODEL, 9, VersionState.DELETED, "x", ACTOR)

    def test_a_decision_that_has_moved_an_alias_moves_it_to_no_other_version(self, store: MetadataStore) -> None:
        used = judged(store, "a")
        first = registered(store, used)
        promoted(store, used, first)
        second = registered(store, judged(store, "b", generation=1))
        refusal = f"the decision has been used to move it to version {first.version}"
        with pytest.raises(NotAuthorized, match=refusal):
            promoted(store, used, second, map_index=1)
        assert promoted(store, used, first, map_index=2).to_version == first.version
        assert len(store.list_alias_moves(MODEL)) == 1

    def test_a_protected_alias_is_moved_by_those_who_are_listed_alone(self, store: MetadataStore) -> None:
        judgement = judged(store, "a")
        version = registered(store, judgement)
        held = store.record_protection(protection(1, "ana", "bo", actor=ANA))
        assert (held.actors, held.lifted, store.list_protections(MODEL)) == (("ana", "bo"), False, [held])
        with pytest.raises(NotAuthorized, match="'tester' is not among those"):
            promoted(store, judgement, version)
        with pytest.raises(NotAuthorized, match="changing the protection"):
            store.record_protection(protection(2, "tester"))
        with pytest.raises(Conflict, match="1 changes already"):
            store.record_protection(protection(1, "ana", actor=ANA))
        store.record_protection(protection(2, "tester", actor=ANA))
        assert promoted(store, judgement, version).actor == ACTOR
        samples.released(store, "b", generation=1)
        for number, subject in ((1, "ana"), (2, "tester")):
            given, event = rollback(number, subject)
            if subject == "ana":
                with pytest.raises(NotAuthorized, match="'ana' is not among those"):
                    store.record_rollback(version, ALIAS, given, 2, event)
            else:
                assert store.record_rollback(version, ALIAS, given, 2, event).generation == 3
        store.record_protection(protection(3, lifted=True))
        given, event = rollback(3, "ana")
        newer = store.find_version(MODEL, 2)
        assert newer is not None
        assert store.record_rollback(newer, ALIAS, given, 3, event).to_version == 2
        assert kinds(store).count("alias_protected") == 2
        assert kinds(store).count("protection_lifted") == 1

    def test_notes_are_written_replaced_and_removed(self, store: MetadataStore) -> None:
        note = Note(MODEL, None, "", "Late flights", ACTOR)
        with pytest.raises(NotFound, match="registered model"):
            store.write_note(note)
        registered(store, judged(store, "a"))
        for name, text in (("", "Late flights"), ("team", "a"), ("team", "b"), ("gone", "x"), ("gone", None)):
            store.write_note(replace(note, name=name, text=text))
        store.write_note(replace(note, version=1, text="First"))
        assert Notes.of(store.list_notes(MODEL, None)) == Notes("Late flights", {"team": "b"})
        assert [(found.text, found.actor) for found in store.list_notes(MODEL, 1)] == [("First", ACTOR)]
        with pytest.raises(NotFound, match="model version"):
            store.write_note(replace(note, version=9))

    def test_where_an_alias_pointed_is_known_for_every_moment(self, store: MetadataStore) -> None:
        _, _, first = samples.released(store, "a")
        time.sleep(0.005)
        _, _, second = samples.released(store, "b", generation=1)
        assert first.moved_at is not None
        assert second.moved_at is not None
        begin, later = (round(move.moved_at.timestamp() * 1000) for move in (first, second) if move.moved_at)
        expected = {begin - 1: None, begin: first, later - 1: first, later: second, later + 10**6: second}
        for moment, move in expected.items():
            assert store.find_move_at(MODEL, ALIAS, moment) == move
        assert store.find_move_at(MODEL, "other", later) is None

    def test_versions_are_found_by_the_data_they_were_trained_on(self, store: MetadataStore) -> None:
        for partition, resume in (("a", True), ("b", False)):
            run = samples.opened(store, partition)
            attempt = begun(store, run.run_id, "read")
            store.log(attempt, LogBatch(inputs=(replace(samples.held_out(), role="train"),)))
            attempt = begun(store, run.run_id, "read", resume=resume)
            store.end_attempt(done(attempt))
            registered(store, judged(store, partition))
        held = samples.opened(store, "c")
        store.log(begun(store, held.run_id, "look"), LogBatch(inputs=(samples.held_out(),)))
        registered(store, judged(store, "c"))
        assert [found.version for found in store.list_versions_trained_on("d" * 64)] == [1]
        assert store.list_versions_trained_on("e" * 64) == []

    def test_a_run_that_a_decision_or_version_refers_to_is_not_deleted(self, store: MetadataStore) -> None:
        judgement, version, _ = samples.released(store, "a")
        run_id = judgement.model.run_id
        with pytest.raises(Conflict, match="running"):
            store.change_run_deleted(run_id, True, "x", ACTOR)
        store.end_run(run_id, RunStatus.FINISHED, "", ACTOR)
        with pytest.raises(Conflict, match=version.uri):
            store.change_run_deleted(run_id, True, "x", ACTOR)
        refused = judged(store, "b")
        store.end_run(refused.model.run_id, RunStatus.FINISHED, "", ACTOR)
        with pytest.raises(Conflict, match=refused.decision.decision_id):
            store.change_run_deleted(refused.model.run_id, True, "x", ACTOR)
        assert len(store.list_runs(None, 10)) == 2

    def test_a_deleted_run_is_hidden_and_takes_no_work_until_it_is_restored(self, store: MetadataStore) -> None:
        model = samples.trained(store, "a")
        attempt = begun(store, model.run_id, "late")
        store.end_run(model.run_id, RunStatus.FINISHED, "", ACTOR)
        for _ in range(2):
            assert store.change_run_deleted(model.run_id, True, "leaked", ANA).deleted
        assert (store.list_runs(None, 10), len(store.list_runs(None, 10, deleted=True))) == ([], 1)
        for call in (
            lambda: samples.opened(store, "a"),
            lambda: begun(store, model.run_id, "more"),
            lambda: store.end_attempt(done(attempt, "late")),
        ):
            with pytest.raises(Conflict, match="deleted"):
                call()
        assert not store.change_run_deleted(model.run_id, False, "it was not", ANA).deleted
        assert isinstance(store.end_attempt(done(attempt, "late")), StepResult)
        told = [entry.kind for entry in store.read_ledger(experiment_chain(EXPERIMENT))]
        assert told == ["run_opened", "run_ended", "run_deleted", "run_restored"]

    def test_a_logged_model_is_deleted_unless_something_refers_to_it(self, store: MetadataStore) -> None:
        free, judgement = samples.trained(store, "a"), judged(store, "b")
        gone = store.change_model_deleted(free.model_id, True, "leaked", ACTOR)
        assert (gone.deleted, store.find_model(free.run_id, "model")) == (True, None)
        with pytest.raises(Conflict, match=judgement.decision.decision_id):
            store.change_model_deleted(judgement.model.model_id, True, "x", ACTOR)
        registered(store, judgement)
        with pytest.raises(Conflict, match=f"models:/{MODEL}/1"):
            store.change_model_deleted(judgement.model.model_id, True, "x", ACTOR)
        assert store.change_model_deleted(free.model_id, False, "x", ACTOR) == store.find_model(free.run_id, "model")
        with pytest.raises(NotFound, match="logged model"):
            store.change_model_deleted("m-" + "0" * 32, True, "x", ACTOR)

    def test_a_name_that_would_be_taken_for_another_is_not_registered(self, store: MetadataStore) -> None:
        registered(store, judged(store, "a"))
        other = judged(store, "b", model=MODEL.title())
        attempt = begun(store, other.model.run_id, "register", "x")
        with pytest.raises(ValueError, match=f"cannot be taken for '{MODEL}'"):
            store.record_version(
                MODEL.title(), other.model, other.authorization, samples.event("version_registered"), done(attempt)
            )
        assert [model.name for model in store.list_models()] == [MODEL]
