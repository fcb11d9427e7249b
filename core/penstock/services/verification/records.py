"""What is stored, as statements to be compared with the ledger's, and what the records contradict by themselves."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.errors import PenstockError
from penstock.model.decisions import GateDecision
from penstock.model.statements import Statement
from penstock.model.versions import LoggedModel, manifest_digest
from penstock.ports import MetadataStore
from penstock.services.deciding import replay
from penstock.services.evaluation import said_of_evaluation
from penstock.services.gate_state import stored_of_gates
from penstock.services.gates import CODE_VERSION, said_of_decision
from penstock.services.registry_state import stored_of_registry
from penstock.services.verification.account import Account
from penstock.services.verification.finding import Finding

_UNREADABLE = (PenstockError, ValueError, KeyError, TypeError)
_PAGE = 1000


def read_records(store: MetadataStore, account: Account) -> Iterator[Finding]:
    """Give the account what is stored, yielding what cannot be read or contradicts itself."""
    for run_id, status, stage in store.read_run_states():
        account.store([Statement("run", "status", run_id, status)])
        if stage != "active":
            account.store([Statement("run", "stage", run_id, stage)])
    for model_id, stage, stage_of_run in store.read_model_stages():
        if stage != "active":
            account.store([Statement("logged model", "stage", model_id, stage)])
        if stage_of_run == "purged":  # as the ledger says of the run, or that is found: its models went with it
            account.tell([Statement("logged model", "stage", model_id, "purged")])
    for policy in store.list_retention():
        account.store([Statement("retention policy", "terms", (policy.experiment, policy.model), policy.terms)])
    yield from _judgements(store, account)
    yield from _registered(store)
    try:
        account.store(stored_of_registry(store))
    except _UNREADABLE as error:
        yield Finding("record", "registry", f"it cannot be read: {error}")
    try:
        account.store(stored_of_gates(store))
    except _UNREADABLE as error:
        yield Finding("record", "gates", f"what they keep cannot be read: {error}")


def _judgements(store: MetadataStore, account: Account) -> Iterator[Finding]:
    after = ""
    while run_ids := store.list_judged_runs(after, _PAGE):
        after = run_ids[-1]
        for run_id in run_ids:
            try:
                yield from _judged_run(store, run_id, account)
            except _UNREADABLE as error:
                yield Finding("record", f"run {run_id}", f"its evaluations or decisions cannot be read: {error}")


def _judged_run(store: MetadataStore, run_id: str, account: Account) -> Iterator[Finding]:
    for evaluation in store.list_evaluations(run_id):
        logged = store.get_model(evaluation.model_id)
        said = said_of_evaluation(evaluation, logged.payload_digest)
        account.store([Statement("evaluation", "content", evaluation.evaluation_id, said)])
        yield from _manifest(logged)
    for decision in store.list_decisions(run_id):
        account.store([Statement("decision", "content", decision.decision_id, said_of_decision(decision))])
        yield from _replayed(decision)


def _replayed(decision: GateDecision) -> Iterator[Finding]:
    verdict, outcomes = replay(decision)
    # A later code may say the same in other words; this one said these.
    reworded = decision.code_version == CODE_VERSION and outcomes != decision.outcomes
    if reworded or not decision.came_out_as(verdict, outcomes):
        problem = "recomputed from its own record it comes out differently"
        yield Finding("replay", f"decision {decision.decision_id}", problem)


def _registered(store: MetadataStore) -> Iterator[Finding]:
    for model in store.list_models():
        for version in store.list_versions(model.name):
            logged = store.get_model(version.model_id)
            yield from _manifest(logged)
            if logged.payload_digest != version.payload_digest:
                yield Finding("version", version.uri, f"its model's payload is {logged.payload_digest}")


def _manifest(logged: LoggedModel) -> Iterator[Finding]:
    if logged.deleted and not logged.files:  # collected: the foreign keys keep that from what a version is made of
        return
    found = manifest_digest(logged.files)
    if found != logged.manifest_digest:
        problem = f"its files' digest is {found}, but was {logged.manifest_digest}"
        yield Finding("manifest", logged.uri, problem)
