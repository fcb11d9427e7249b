"""What a store must do for retention, bytes about to be deleted, ungated models and probations. No store is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from penstock.errors import BlobsCollected, Conflict, NotAuthorized, NotFound
from penstock.model.audit import experiment_chain, model_chain
from penstock.model.decisions import Outcome, RuleOutcome, Verdict
from penstock.model.ids import derived_id
from penstock.model.probation import ProbationJudgement, ProbationState, ProbationTerms
from penstock.model.protection import AliasProtection
from penstock.model.retention import Candidate, RetentionPolicy
from penstock.model.runs import LogBatch, RunStatus
from penstock.model.ungated import GateDeclaration
from penstock.model.versions import AliasMove, Authorization, AuthorizationKind, FileEntry, ModelVersion, VersionState
from penstock.ports import MetadataStore, StoredObject
from tests.contracts import samples
from tests.contracts.samples import ACTOR, ALIAS, EXPERIMENT, MODEL, begun, done, judged, opened

BLOB, OTHER = "b" * 64, "c" * 64
TERMS = ProbationTerms("later", "d" * 64, {"name": "later"}, "rules: []", None, 2)


def kinds(store: MetadataStore, chain: Any) -> list[str]:
    return [entry.kind for entry in store.read_ledger(chain)]


def ended(store: MetadataStore, partition: str, payload: str = "") -> str:
    """A run that holds a model, an artifact and a metric, and has ended."""
    run = opened(store, partition)
    attempt = begun(store, run.run_id)
    store.add_model(attempt, samples.logged_model(run.run_id, payload or partition))
    store.put_artifacts(attempt, [FileEntry("plot.png", BLOB, 7)])
    store.log(attempt, samples.metrics(loss=1.0))
    store.log(attempt, LogBatch(params={"a": "1"}, tags={"t": "1"}))
    store.end_attempt(done(attempt))
    store.end_run(run.run_id, RunStatus.FINISHED, "", ACTOR)
    return run.run_id


def candidate(store: MetadataStore, run_id: str, model: str | None = None) -> Candidate:
    return next(found for found in store.list_candidates(None, model) if found.run_id == run_id)


def sweeping(store: MetadataStore, sweep: str) -> None:
    store.condemn_blobs([StoredObject(BLOB, 7, 1e6)])
    assert list(store.begin_sweep([BLOB], sweep)) == [BLOB]


def move(store: MetadataStore, partition: str, generation: int, terms: ProbationTerms | None) -> AliasMove:
    judgement = judged(store, partition, generation=generation)
    version = samples.registered(store, judgement)
    attempt = begun(store, judgement.model.run_id, "promote", judgement.decision.decision_id)
    event = samples.event("alias_moved", model=MODEL, alias=ALIAS)
    return store.move_alias(version, ALIAS, judgement.authorization, generation, event, done(attempt), terms)


def evaluated(store: MetadataStore, partition: str, data: str) -> str:
    """A later evaluation of what a partition's run has trained."""
    model = samples.logged_model(opened(store, partition).run_id, partition)
    evaluation = samples.evaluation_of(model, replace(samples.held_out(), digest=data * 64))
    attempt = begun(store, model.run_id, "later", data)
    store.record_evaluation(evaluation, samples.event("evaluated", id=data), done(attempt, evaluation.ref))
    return evaluation.evaluation_id


def judgement_on(evaluation_id: str, verdict: Verdict, generation: int) -> ProbationJudgement:
    says = {Verdict.PASS: Outcome.PASSED, Verdict.FAIL: Outcome.FAILED}.get(verdict, Outcome.UNDECIDABLE)
    rule = RuleOutcome({"at_least": {"metric": "roc_auc", "value": 0.8}}, says, f"it was {says.value}")
    return ProbationJudgement(MODEL, ALIAS, generation, evaluation_id, verdict, (rule,), ACTOR)


def way_back(generation: int) -> Any:
    given = derived_id("rollback", MODEL, ALIAS, generation)
    return (
        Authorization(given, AuthorizationKind.ROLLBACK, MODEL, None, "failed", ACTOR),
        samples.event("alias_moved", model=MODEL, alias=ALIAS, rollback=given),
    )


def live(store: MetadataStore) -> tuple[int, int]:
    alias = store.find_alias(MODEL, ALIAS)
    assert alias is not None
    return alias.version, alias.generation


class RetentionRecordsContract:
    """Give it a fixture `store` with nothing in it."""

    def test_a_policy_is_set_once_changed_and_removed_on_record(self, store: MetadataStore) -> None:
        policy = RetentionPolicy(EXPERIMENT, "", 3, None, ACTOR)
        made = store.set_retention(policy)
        assert store.set_retention(policy) == made
        store.set_retention(replace(policy, keep_days=1.5))
        store.set_retention(RetentionPolicy(EXPERIMENT, "checkpoint", None, 7, ACTOR))
        terms = {(one.model, one.keep_last, one.keep_days) for one in store.list_retention()}
        assert terms == {("", 3, 1.5), ("checkpoint", None, 7)}
        store.remove_retention(EXPERIMENT, "", ACTOR)
        with pytest.raises(NotFound, match="retention policy"):
            store.remove_retention(EXPERIMENT, "", ACTOR)
        chain = kinds(store, experiment_chain(EXPERIMENT))
        assert chain == ["retention_set"] * 3 + ["retention_removed"]

    def test_a_purged_run_keeps_its_row_and_its_ledger_and_nothing_else(self, store: MetadataStore) -> None:
        run_id = ended(store, "a")
        known = candidate(store, run_id)
        gone = store.purge(known, "old", ACTOR)
        assert gone is not None
        assert (gone.models, gone.artifacts, gone.metrics, gone.size_bytes) == (1, 1, 1, 22)
        details = store.get_run_details(run_id)
        assert (details.params, details.metrics, details.tags) == ({}, {}, {})
        assert details.run.purged
        assert store.list_artifacts(run_id) == []
        assert store.list_blobs("", 10) == []
        assert store.list_runs(None, 10) == []
        assert [run.run_id for run in store.list_runs(None, 10, deleted=True)] == [run_id]
        (event,) = [e for e in store.read_ledger() if e.kind == "run_purged"]
        assert (event.after["metrics"], event.why) == (1, "old")
        assert store.list_candidates(None, None) == []
        assert store.purge(known, "old", ACTOR) is None
        with pytest.raises(Conflict, match="collected"):
            store.change_run_deleted(run_id, False, "back", ACTOR)
        with pytest.raises(Conflict, match="collected"):
            opened(store, "a")

    def test_what_is_referred_to_is_not_purged_and_says_by_what(self, store: MetadataStore) -> None:
        judged(store, "a", Verdict.FAIL)
        judged_run = opened(store, "a").run_id
        store.end_run(judged_run, RunStatus.FINISHED, "", ACTOR)
        samples.released(store, "b")
        released_run = opened(store, "b").run_id
        store.end_run(released_run, RunStatus.FINISHED, "", ACTOR)
        parent = ended(store, "parent")
        store.open_run(samples.new_run("child", parent_run_id=parent))
        running = opened(store, "running").run_id
        begun(store, running)
        store.end_run(running, RunStatus.FINISHED, "", ACTOR)
        found = {one.run_id: one for one in store.list_candidates(None, None)}
        held = {run_id: one.held_by for run_id, one in found.items()}
        expected = {judged_run: "a decision", released_run: "a version", parent: "an unfinished run"}
        assert held == {**expected, running: "a running attempt"}
        assert [store.purge(one, "old", ACTOR) for one in found.values()] == [None] * 4
        models = {one.run_id: one for one in store.list_candidates(EXPERIMENT, "model")}
        assert {run_id: one.held_by for run_id, one in models.items()} == {
            judged_run: "a decision",
            released_run: "a version",
            parent: "",
        }
        assert [store.purge(models[run_id], "old", ACTOR) for run_id in (judged_run, released_run)] == [None, None]
        assert "run_purged" not in kinds(store, experiment_chain(EXPERIMENT))

    def test_a_purged_model_leaves_its_run_and_does_not_come_back(self, store: MetadataStore) -> None:
        run_id = ended(store, "a")
        assert [one.name for one in store.list_candidates(None, "")] == ["model"]
        assert store.list_candidates(None, "other") == []
        gone = store.purge(candidate(store, run_id, "model"), "old", ACTOR)
        assert gone is not None
        assert (gone.models, gone.size_bytes) == (1, 15)
        assert store.list_candidates(None, "") == []
        assert store.get_run_details(run_id).metrics == {"loss": 1.0}
        assert store.list_blobs("", 10) == [BLOB]
        model_id = samples.logged_model(run_id, "a").model_id
        with pytest.raises(Conflict, match="collected"):
            store.change_model_deleted(model_id, False, "back", ACTOR)
        with pytest.raises(Conflict, match="collected"):
            store.add_model(begun(store, run_id, "train", "again", reopen=True), samples.logged_model(run_id, "a"))

    def test_a_condemned_blob_that_is_referred_to_is_reprieved(self, store: MetadataStore) -> None:
        store.condemn_blobs([StoredObject(BLOB, 7, 1e6), StoredObject(OTHER, 8, 1e6)])
        store.condemn_blobs([StoredObject(BLOB, 7, 1e6)])
        assert list(store.list_condemned("condemned", 10)) == [(BLOB, 7), (OTHER, 8)]
        ended(store, "a")
        assert list(store.list_condemned("condemned", 10)) == [(OTHER, 8)]
        store.condemn_blobs([StoredObject(BLOB, 7, 1e6)])  # from a listing that was older
        assert list(store.begin_sweep([BLOB, OTHER], "1" * 32)) == [OTHER]
        assert list(store.list_condemned("condemned", 10)) == []
        assert store.count_references([BLOB, OTHER]) == {BLOB: 1}

    def test_bytes_that_are_going_or_gone_are_referred_to_only_when_stored_again_after(
        self, store: MetadataStore
    ) -> None:
        attempt, file = begun(store, opened(store, "a").run_id), FileEntry("plot.png", BLOB, 7)
        sweeping(store, "1" * 32)
        with pytest.raises(BlobsCollected) as going:
            store.put_artifacts(attempt, [file])
        assert (going.value.sweeping, going.value.sweeps) == (True, ())
        with pytest.raises(BlobsCollected):  # what is still going on was not seen to be over
            store.put_artifacts(attempt, [file], ["1" * 32])
        store.end_sweep([BLOB], "1" * 32)
        with pytest.raises(BlobsCollected) as gone:
            store.put_artifacts(attempt, [file], going.value.sweeps)
        assert (gone.value.sweeping, gone.value.sweeps) == (False, ("1" * 32,))
        assert store.list_blobs("", 10) == []
        store.put_artifacts(attempt, [file], gone.value.sweeps)
        assert store.list_blobs("", 10) == [BLOB]
        assert list(store.list_condemned("swept", 10)) == []
        model = samples.logged_model(opened(store, "a").run_id)
        store.condemn_blobs([StoredObject(model.files[0].sha256, 10, 1e6)])
        store.begin_sweep([model.files[0].sha256], "2" * 32)
        with pytest.raises(BlobsCollected, match="Store them again"):
            store.add_model(attempt, model)
        store.end_sweep([model.files[0].sha256], "2" * 32)
        assert store.add_model(attempt, model, ["2" * 32]).files

    def test_swept_blobs_are_forgotten_after_their_time(self, store: MetadataStore) -> None:
        sweeping(store, "1" * 32)
        assert list(store.begin_sweep([BLOB], "2" * 32)) == []
        assert store.forget_swept(0) == 0
        store.end_sweep([BLOB], "1" * 32)
        assert store.forget_swept(3600) == 0
        assert list(store.list_condemned("swept", 10)) == [(BLOB, 7)]
        assert store.forget_swept(0) == 1

    def test_only_one_collects_at_a_time(self, store: MetadataStore) -> None:
        assert store.claim_collection("a" * 32, 60)
        assert store.claim_collection("a" * 32, 60)
        assert not store.claim_collection("b" * 32, 60)
        store.release_collection("b" * 32)
        assert not store.claim_collection("b" * 32, 60)
        store.release_collection("a" * 32)
        assert store.claim_collection("b" * 32, -1)
        assert store.claim_collection("a" * 32, 60)

    # ------------------------------------------------------------------------------------------------- ungated

    def test_an_ungated_model_is_let_in_by_its_declaration_and_a_gated_one_is_not(self, store: MetadataStore) -> None:
        with pytest.raises(NotAuthorized, match="the model is gated"):
            ungated_version(store, "a")
        store.declare_gating(GateDeclaration(MODEL, 1, False, "a toy", ACTOR))
        version = ungated_version(store, "a")
        assert ungated_version(store, "a") == version
        assert (version.authorization.kind, version.authorization.reason) == (AuthorizationKind.UNGATED, "a toy")
        assert version.authorization.actor == ACTOR
        store.record_load_check(samples.passed_check(version))
        assert ungated_move(store, version, 0).to_version == 1
        assert live(store) == (1, 1)
        with pytest.raises(Conflict, match="number 1"):
            store.declare_gating(GateDeclaration(MODEL, 1, True, "grown up", ACTOR))
        store.declare_gating(GateDeclaration(MODEL, 2, True, "grown up", ACTOR))
        with pytest.raises(NotAuthorized, match="the model is gated"):
            ungated_version(store, "b")
        assert [(one.number, one.gated) for one in store.list_gate_declarations(None)] == [(1, False), (2, True)]
        changes = ["model_ungated", "version_registered", "version_checked", "alias_moved", "model_gated"]
        assert kinds(store, model_chain(MODEL)) == changes

    def test_the_authorization_of_an_ungated_change_serves_no_other(self, store: MetadataStore) -> None:
        declaration = GateDeclaration(MODEL, 1, False, "a toy", ACTOR)
        store.declare_gating(declaration)
        version = ungated_version(store, "a")
        store.record_load_check(samples.passed_check(version))
        for used in (version.authorization, declaration.authorization):
            with pytest.raises(NotAuthorized, match="for one change"):
                ungated_move(store, version, 0, used)
        store.record_protection(AliasProtection(MODEL, ALIAS, 1, (), False, "live", ACTOR))
        with pytest.raises(NotAuthorized, match="ungated is no gate"):
            ungated_move(store, version, 0)
        assert store.list_alias_moves(MODEL) == []

    # ----------------------------------------------------------------------------------------------- probation

    def test_a_failed_probation_goes_back_once_and_a_passed_one_ends(self, store: MetadataStore) -> None:
        move(store, "a", 0, None)
        move(store, "b", 1, TERMS)
        assert [(p.generation, p.state, p.from_version) for p in store.list_probations(MODEL)] == [
            (2, ProbationState.OPEN, 1)
        ]
        unsure = judgement_on(evaluated(store, "b", "1"), Verdict.INCONCLUSIVE, 2)
        assert store.record_probation_judgement(unsure, way_back(2)).state is ProbationState.OPEN
        failing = judgement_on(evaluated(store, "b", "2"), Verdict.FAIL, 2)
        made = store.record_probation_judgement(failing, way_back(2))
        assert (made.number, made.state, made.rolled_back_to) == (2, ProbationState.FAILED, 1)
        assert store.record_probation_judgement(failing, way_back(2)) == made
        assert live(store) == (1, 3)
        assert list(store.list_probation_judgements(MODEL, ALIAS, 2))[1:] == [made]
        late = judgement_on(evaluated(store, "b", "3"), Verdict.PASS, 2)
        with pytest.raises(Conflict, match="failed"):
            store.record_probation_judgement(late, None)
        told = kinds(store, model_chain(MODEL))
        assert told.count("probation_started") == told.count("probation_ended") == 1
        assert told[-4:] == ["probation_judged", "alias_moved", "probation_ended", "evaluated"]

    def test_who_promotes_on_probation_has_agreed_to_the_way_back_of_a_protected_alias(
        self, store: MetadataStore
    ) -> None:
        move(store, "a", 0, None)
        move(store, "b", 1, TERMS)
        store.record_protection(AliasProtection(MODEL, ALIAS, 1, ("ana",), False, "live", {**ACTOR, "subject": "ana"}))
        made = store.record_probation_judgement(judgement_on(evaluated(store, "b", "1"), Verdict.FAIL, 2), way_back(2))
        assert (made.state, made.rolled_back_to, made.stays) == (ProbationState.FAILED, 1, "")
        assert live(store) == (1, 3)

    def test_a_failed_probation_says_why_it_cannot_go_back_and_changes_nothing_live(self, store: MetadataStore) -> None:
        move(store, "a", 0, None)
        move(store, "b", 1, TERMS)
        store.change_version_state(MODEL, 1, VersionState.DELETED, "out of use", ACTOR)
        made = store.record_probation_judgement(judgement_on(evaluated(store, "b", "1"), Verdict.FAIL, 2), way_back(2))
        assert (made.number, made.state, made.rolled_back_to) == (1, ProbationState.FAILED, None)
        assert f"{MODEL}@{ALIAS} was not taken back to version 1" in made.stays
        assert "deleted" in made.stays
        assert list(store.list_probation_judgements(MODEL, ALIAS, 2)) == [made]
        (probation,) = store.list_probations(MODEL)
        assert (probation.state, probation.why) == (ProbationState.FAILED, made.why)
        assert live(store) == (2, 2)
        assert kinds(store, model_chain(MODEL))[-2:] == ["probation_judged", "probation_ended"]

    def test_enough_passes_end_a_probation(self, store: MetadataStore) -> None:
        move(store, "a", 0, TERMS)
        states = []
        for data in ("1", "2"):
            given = judgement_on(evaluated(store, "a", data), Verdict.PASS, 1)
            states.append(store.record_probation_judgement(given, None).state)
        assert states == [ProbationState.OPEN, ProbationState.PASSED]
        (probation,) = store.list_probations(None)
        assert (probation.passes, probation.state) == (2, ProbationState.PASSED)
        assert live(store) == (1, 1)

    def test_a_probation_never_undoes_a_newer_move(self, store: MetadataStore) -> None:
        move(store, "a", 0, None)
        move(store, "b", 1, TERMS)
        move(store, "c", 2, None)
        given = judgement_on(evaluated(store, "b", "1"), Verdict.FAIL, 2)
        made = store.record_probation_judgement(given, way_back(2))
        assert (made.state, made.rolled_back_to) == (ProbationState.SUPERSEDED, None)
        assert live(store) == (3, 3)

    def test_a_first_version_that_fails_has_nothing_to_go_back_to(self, store: MetadataStore) -> None:
        move(store, "a", 0, TERMS)
        given = judgement_on(evaluated(store, "a", "1"), Verdict.FAIL, 1)
        made = store.record_probation_judgement(given, way_back(1))
        assert (made.state, made.rolled_back_to) == (ProbationState.FAILED, None)
        assert live(store) == (1, 1)

    def test_time_ends_a_probation_by_itself(self, store: MetadataStore) -> None:
        move(store, "a", 0, None)
        move(store, "b", 1, replace(TERMS, days=1e-9, evaluations=None))
        move(store, "c", 2, TERMS)
        given = judgement_on(evaluated(store, "c", "1"), Verdict.INCONCLUSIVE, 3)
        store.record_probation_judgement(given, None)
        assert [(p.generation, p.state) for p in store.settle_probations(ACTOR)] == [(2, ProbationState.SUPERSEDED)]
        assert store.settle_probations(ACTOR) == []
        move(store, "d", 3, replace(TERMS, days=1e-9, evaluations=None))
        assert [p.state for p in store.settle_probations(ACTOR)] == [ProbationState.SUPERSEDED, ProbationState.PASSED]
        late = judgement_on(evaluated(store, "d", "1"), Verdict.FAIL, 4)
        with pytest.raises(Conflict, match="passed"):
            store.record_probation_judgement(late, way_back(4))
        assert live(store) == (4, 4)
        with pytest.raises(NotFound, match="probation"):
            store.record_probation_judgement(replace(late, generation=1), None)


def ungated_version(store: MetadataStore, partition: str) -> ModelVersion:
    run_id = opened(store, partition).run_id
    model = store.add_model(begun(store, run_id, always=True), samples.logged_model(run_id, partition))
    given = Authorization(derived_id("version", model.model_id), AuthorizationKind.UNGATED, MODEL)
    attempt = begun(store, model.run_id, "register", always=True)
    return store.record_version(MODEL, model, given, samples.event("version_registered"), done(attempt))


def ungated_move(
    store: MetadataStore, version: ModelVersion, generation: int, given: Authorization | None = None
) -> AliasMove:
    by = given or Authorization(derived_id("move", version.version), AuthorizationKind.UNGATED, MODEL)
    attempt = begun(store, version.run_id, "promote", always=True)
    return store.move_alias(version, ALIAS, by, generation, samples.event("alias_moved"), done(attempt))
