"""Small values to write into a store, and the story of a model from training to its alias."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from penstock.model.audit import ChainId, NewEvent, experiment_chain, model_chain
from penstock.model.canonical import digest
from penstock.model.data import ColumnProfile, Dataset, Overlap
from penstock.model.decisions import GateDecision, Outcome, RuleOutcome, Verdict
from penstock.model.evaluations import Evaluation, Measurement
from penstock.model.ids import WORKSPACE, RunKey, derived_id, model_id_of, new_token, run_id_of
from penstock.model.load_checks import LoadCheck
from penstock.model.runs import Attempt, AttemptState, LogBatch, Metric, Run, StepId
from penstock.model.versions import (
    AliasMove,
    Authorization,
    AuthorizationKind,
    FileEntry,
    LoggedModel,
    ModelVersion,
    manifest_digest,
)
from penstock.ports import MetadataStore, NewAttempt, NewRun, StepEnd

EXPERIMENT = "team/project/kind"
MODEL = "benign"
ALIAS = "champion"
ACTOR = {"kind": "user", "subject": "tester", "issuer": "library", "authenticated": False}


def experiment() -> ChainId:
    return experiment_chain(EXPERIMENT)


def new_run(partition: str, experiment: str = EXPERIMENT, **more: Any) -> NewRun:
    key = RunKey("pipeline", partition)
    values: dict[str, Any] = {"parent_run_id": None, "logical_date_ms": None, "source": {"entry_point": "test"}}
    run_id = run_id_of(WORKSPACE, key)
    return NewRun(run_id=run_id, experiment=experiment, key=key, name=partition, actor=ACTOR, **{**values, **more})


def opened(store: MetadataStore, partition: str = "2013-03") -> Run:
    return store.open_run(new_run(partition))[0]


def new_attempt(run_id: str, step: str = "train", inputs: Any = None, map_index: int = -1, **more: Any) -> NewAttempt:
    declared = {"inputs": inputs}
    return NewAttempt(
        step=StepId(run_id, step, map_index),
        inputs_digest=digest(declared),
        inputs=declared,
        actor=ACTOR,
        token=new_token(),
        **{"host": {"try_number": 1}, **more},
    )


def begun(store: MetadataStore, run_id: str, step: str = "train", inputs: Any = None, **more: Any) -> Attempt:
    attempt = store.begin_attempt(new_attempt(run_id, step, inputs, **more))
    assert isinstance(attempt, Attempt)
    return attempt


def done(attempt: Attempt, result: Any = None) -> StepEnd:
    return StepEnd(attempt, AttemptState.DONE, result)


def metrics(**values: float) -> LogBatch:
    return LogBatch(metrics=tuple(Metric(name, value) for name, value in values.items()))


def held_out() -> Dataset:
    return Dataset(
        name="held-out",
        digest="d" * 64,
        rows=100,
        role="held-out",
        source="held_out.parquet",
        schema={"x": "double"},
        profile={"x": ColumnProfile("double", 1, 99, True, -0.5, "+inf", 1e300)},
        earliest=datetime(2013, 3, 1, tzinfo=UTC),
        latest=datetime(2013, 3, 31, 23, 59, 59, 999999, tzinfo=UTC),
        rows_sha256="a" * 64,
        overlap=Overlap(3, 100, 0.5, ("x", "y"), 1000, ("weather",)),
    )


def logged_model(run_id: str, payload: str = "weights", name: str = "model") -> LoggedModel:
    payload_digest = digest(payload)
    files = (FileEntry("model.skops", digest([payload, "bytes"]), 10), FileEntry("MLmodel", digest(name), 5))
    return LoggedModel(
        model_id=model_id_of(run_id, name, payload_digest),
        run_id=run_id,
        name=name,
        payload_digest=payload_digest,
        manifest_digest=manifest_digest(files),
        flavor="sklearn",
        size_bytes=15,
        files=files,
        facts={"signature": None},
    )


def evaluation_of(model: LoggedModel, dataset: Dataset | None = None) -> Evaluation:
    data = dataset or held_out()
    return Evaluation(
        evaluation_id=derived_id("evaluation", model.model_id, data.digest),
        run_id=model.run_id,
        model_id=model.model_id,
        payload_digest=model.payload_digest,
        task="binary",
        dataset=data,
        measurements=(Measurement("roc_auc", "candidate", 0.9, 100, {"side": "left"}, stats={"standard_error": 0.01}),),
    )


def decision_on(
    evaluation: Evaluation,
    verdict: Verdict = Verdict.PASS,
    generation: int = 0,
    model: str = MODEL,
    alias: str = ALIAS,
) -> GateDecision:
    outcome = {Verdict.PASS: Outcome.PASSED, Verdict.FAIL: Outcome.FAILED}.get(verdict, Outcome.UNDECIDABLE)
    return GateDecision(
        decision_id=derived_id("decision", evaluation.evaluation_id, model, alias, generation, verdict.value),
        run_id=evaluation.run_id,
        evaluation_id=evaluation.evaluation_id,
        model=model,
        alias=alias,
        verdict=verdict,
        outcomes=(RuleOutcome({"at_least": {"metric": "roc_auc", "value": 0.8}}, outcome, "roc_auc is 0.9"),),
        policy_name="benign",
        policy_text="rules: []",
        policy_digest=digest("policy"),
        payload_digest=evaluation.payload_digest,
        data_digest=evaluation.dataset.digest,
        baseline_version=None,
        alias_generation=generation,
        no_baseline=True,
        code_version="penstock test",
        actor=ACTOR,
    )


def event(kind: str, **subject: Any) -> NewEvent:
    return NewEvent(model_chain(MODEL), kind, subject, ACTOR, why="because")


def authorization_by(decision: GateDecision) -> Authorization:
    """What a decision leaves if it passed, and what a caller may claim if it did not."""
    given = derived_id("authorization", decision.decision_id)
    return Authorization(given, AuthorizationKind.DECISION, decision.model, decision.decision_id)


@dataclass(frozen=True)
class Judged:
    """A model that has been trained, evaluated and decided on."""

    model: LoggedModel
    evaluation: Evaluation
    decision: GateDecision

    @property
    def authorization(self) -> Authorization:
        """What the decision has left, if it passed."""
        return authorization_by(self.decision)


def trained(store: MetadataStore, partition: str, payload: str = "") -> LoggedModel:
    run = opened(store, partition)
    attempt = begun(store, run.run_id, "train", payload)
    model = store.add_model(attempt, logged_model(run.run_id, payload or partition))
    store.end_attempt(done(attempt, model.ref))
    return model


def judged(
    store: MetadataStore, partition: str, verdict: Verdict = Verdict.PASS, generation: int = 0, **more: Any
) -> Judged:
    """Train, evaluate and decide, each as a step of the partition's run."""
    model = trained(store, partition)
    evaluation, decision = evaluation_of(model), decision_on(evaluation_of(model), verdict, generation, **more)
    attempt = begun(store, model.run_id, "evaluate", evaluation.evaluation_id)
    store.record_evaluation(evaluation, event("evaluated", id=evaluation.evaluation_id), done(attempt, evaluation.ref))
    attempt = begun(store, model.run_id, "decide", decision.decision_id)
    store.record_decision(decision, event("decision_made", id=decision.decision_id), done(attempt, decision.ref))
    return Judged(model, evaluation, decision)


def passed_check(version: ModelVersion, number: int = 1) -> LoadCheck:
    return LoadCheck(version.model, version.version, number, True, facts={"rows": 1}, actor=ACTOR)


def registered(store: MetadataStore, judgement: Judged, map_index: int = -1) -> ModelVersion:
    """Register, and see once that the version loads: without that it would get no alias."""
    version = unchecked(store, judgement, map_index)
    store.record_load_check(passed_check(version))
    return version


def unchecked(store: MetadataStore, judgement: Judged, map_index: int = -1) -> ModelVersion:
    attempt = begun(store, judgement.model.run_id, "register", judgement.decision.decision_id, map_index=map_index)
    return store.record_version(
        MODEL,
        judgement.model,
        judgement.authorization,
        event("version_registered", decision_id=judgement.decision.decision_id),
        done(attempt),
    )


def promoted(
    store: MetadataStore,
    judgement: Judged,
    version: ModelVersion,
    expected: int | None = None,
    map_index: int = -1,
    alias: str = ALIAS,
) -> AliasMove:
    attempt = begun(store, judgement.model.run_id, "promote", judgement.decision.decision_id, map_index=map_index)
    return store.move_alias(
        version,
        alias,
        judgement.authorization,
        judgement.decision.alias_generation if expected is None else expected,
        event("alias_moved", model=MODEL, alias=alias, decision_id=judgement.decision.decision_id),
        done(attempt),
    )


def released(store: MetadataStore, partition: str, generation: int = 0) -> tuple[Judged, ModelVersion, AliasMove]:
    """The whole way: trained, judged, registered, promoted."""
    judgement = judged(store, partition, generation=generation)
    version = registered(store, judgement)
    return judgement, version, promoted(store, judgement, version)
