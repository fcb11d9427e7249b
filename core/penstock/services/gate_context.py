"""What a decision is made of beside policy and evaluation: read from the store, kept in the decision's own record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from penstock.model.approvals import Approval
from penstock.model.audit import Actor
from penstock.model.canonical import digest
from penstock.model.data import Dataset, Overlap
from penstock.model.evaluations import BASELINE, CANDIDATE, Evaluation
from penstock.model.gate_context import (
    APPROVED,
    REJECTED,
    AnchorVersion,
    ApprovalGiven,
    DataTimes,
    GateContext,
    LookTaken,
    TrainingOverlap,
)
from penstock.model.looks import LookPlace
from penstock.model.policies import GatePolicy
from penstock.model.runs import TRIGGERED_BY, RunDetails
from penstock.ports import MetadataStore
from penstock.services.deciding.budgets import share_of
from penstock.services.evaluation import overall_values
from penstock.statistics.bounds import upper_bound
from penstock.statistics.evidence import Proportion, Undecidable

_OVERLAP_CONFIDENCE = 0.99


@dataclass(frozen=True)
class Standing:
    """How things stood when a decision was made.

    `expected` is the version and generation of the alias that the decision binds: those the candidate was compared
    with, or, where it was not, those of now. `authors` made what is judged. `approvals` are all requests so far for
    this evaluation under this policy; `binds` is everything a yes would hold for.
    """

    context: GateContext
    expected: tuple[int | None, int]
    authors: tuple[Mapping[str, Any], ...]
    approvals: tuple[Approval, ...]
    binds: Mapping[str, Any]

    def looking(self, policy: GatePolicy, place: LookPlace) -> GateContext:
        """Return the context of a decision that takes this look."""
        # A budget counts the looks that reserved something of it: those from before there was one are not covered.
        number = len(place.before) + 1 if policy.budget is not None else place.number
        look = LookTaken(
            number=number,
            held_out_number=place.set_number,
            reused=place.set_number > 1,
            before=place.before,
            family=self.context.model,
        )
        return replace(self.context, look=look)


def standing_of(
    store: MetadataStore, evaluation: Evaluation, policy: GatePolicy, model: str, alias: str, actor: Actor
) -> Standing:
    """Read from the store how things stand."""
    details = store.get_run_details(evaluation.run_id)
    live = store.find_alias(model, alias)
    version, generation = (None, 0) if live is None else (live.version, live.generation)
    approvals: Sequence[Approval] = ()
    authors: list[Mapping[str, Any]] = []
    if mentions(policy, "approval"):
        approvals = requests_for(store, evaluation, policy, model, alias)
        # Whoever asked is an author, too. Whoever decides again after the answer is not: it may be the approver.
        asking = [author for approval in approvals for author in approval.request.authors] or [actor.to_json()]
        authors = _distinct([*store.list_authors(evaluation.run_id), *_behind(details, evaluation), *asking])
    anchors = store.list_anchors(model) if mentions(policy, "anchor") else ()
    anchor = AnchorVersion(anchors[-1].version, anchors[-1].payload_digest) if anchors else None
    trained_on = _training_data(store, evaluation)
    binds = binds_of(evaluation, policy, model, alias, (version, generation), anchor)
    context = GateContext(
        model=model,
        alias=alias,
        champion_version=version,
        champion_generation=generation,
        authors=tuple(str(author["subject"]) for author in authors),
        # Only where a rule asks what time it is: equal pipelines leave equal records.
        now_ms=store.now_ms() if mentions(policy, "approval", "max_age_days") else None,
        training_digests=tuple(sorted({data.digest for data in trained_on})),
        training_overlap=_overlap(evaluation.dataset.overlap),
        training_times=_times(trained_on),
        data_times=_times([evaluation.dataset]),
        tags=dict(details.tags),
        facts=_facts(store, evaluation, model) if mentions(policy, "requires") else {},
        approvals=tuple(_given(approval) for approval in approvals if approval.answer is not None),
        binding=digest(binds),
        anchor=anchor,
    )
    baseline = evaluation.baseline
    if baseline is not None and (baseline.model, baseline.alias) == (model, alias):
        # What the candidate was compared with, not what is live now: a promotion in between must be found out.
        version, generation = baseline.version, baseline.generation or 0
    return Standing(context, (version, generation), tuple(authors), tuple(approvals), binds)


def reserved_alpha(policy: GatePolicy, context: GateContext) -> float | None:
    """Return what a look reserves of the policy's budget; None where there is none, or nothing left of it."""
    share = None if policy.budget is None else share_of(policy.budget, context.look)
    return share.alpha if share is not None and share.alpha > 0 else None


def requests_for(
    store: MetadataStore, evaluation: Evaluation, policy: GatePolicy, model: str, alias: str
) -> Sequence[Approval]:
    """Return the approvals asked for so far for this evaluation under this policy, oldest first."""
    question = (evaluation.evaluation_id, policy.digest, model, alias)
    return [found for found in store.list_approvals(run_id=evaluation.run_id) if found.request.question == question]


def binds_of(
    evaluation: Evaluation,
    policy: GatePolicy,
    model: str,
    alias: str,
    live: tuple[int | None, int],
    anchor: AnchorVersion | None,
) -> dict[str, Any]:
    """Return everything an approval holds for, as plain JSON that a person can read: if any of it moves, it lapses."""
    compared = evaluation.baseline
    return {
        "model": model,
        "alias": alias,
        "policy": {"name": policy.name, "digest": policy.digest},
        "candidate": {"payload_digest": evaluation.payload_digest, "model_id": evaluation.model_id},
        "champion": {"version": live[0], "generation": live[1]},
        "compared_with": None if compared is None else {"version": compared.version, "generation": compared.generation},
        "anchor": None if anchor is None else anchor.version,
        "data": {
            "name": evaluation.dataset.name,
            "rows": evaluation.dataset.rows,
            "digest": evaluation.dataset.digest,
        },
        "measured": {of: overall_values(evaluation, of) for of in (CANDIDATE, BASELINE)},
        "measurements_digest": digest([measurement.to_json() for measurement in evaluation.measurements]),
    }


def mentions(policy: GatePolicy, *words: str) -> bool:
    """Whether a policy uses one of these words as a key, at any depth."""

    def within(value: object) -> bool:
        if isinstance(value, Mapping):
            return not value.keys().isdisjoint(words) or any(within(item) for item in value.values())
        return isinstance(value, list | tuple) and any(within(item) for item in value)

    return within(policy.to_json())


def _training_data(store: MetadataStore, evaluation: Evaluation) -> Sequence[Dataset]:
    """Return what the model was trained on, on record in the run that logged it: as for the evaluation's overlap."""
    run_id = store.get_model(evaluation.model_id).run_id
    return [data for data in store.get_run_details(run_id).inputs if data.role == "train"]


def _facts(store: MetadataStore, evaluation: Evaluation, model: str) -> dict[str, Any]:
    """Return what is on record of the model beside the evaluation: whether a version of these bytes loads."""
    for version in reversed(store.list_versions(model)):
        if version.payload_digest == evaluation.payload_digest:
            checks = store.list_load_checks(model, version.version)
            if checks:
                return {"load_test": {"passed": checks[-1].passed, "problem": checks[-1].error}}
    return {}


def _given(approval: Approval) -> ApprovalGiven:
    request, answer = approval.request, approval.answer
    if answer is None or answer.answered_at is None or request.expires_at is None:
        raise ValueError(f"approval {request.request_id} has not been answered")
    return ApprovalGiven(
        approval_id=request.request_id,
        subject=str(answer.actor["subject"]),
        verdict=APPROVED if answer.approve else REJECTED,
        binding=request.digest,
        at_ms=round(answer.answered_at.timestamp() * 1000),
        roles=(request.role,),
        expires_ms=round(request.expires_at.timestamp() * 1000),
        reason=answer.reason,
        authenticated=bool(answer.actor.get("authenticated")),
    )


def _overlap(found: Overlap | None) -> TrainingOverlap | None:
    """Return what is known of held-out rows among the training rows; None where some training data was not compared."""
    if found is None or found.share is None or found.not_compared:
        return None
    at_most = found.share
    if found.sampling_rate < 1:
        bound = upper_bound(Proportion(found.rows_found, found.of_rows), _OVERLAP_CONFIDENCE)
        at_most = 1.0 if isinstance(bound, Undecidable) else bound
    return TrainingOverlap(found.share, at_most, found.rows_found, found.miss_probability(1))


def _times(data: Sequence[Dataset]) -> DataTimes | None:
    """Return the first and last moment that datasets speak of; None where one of them does not say."""
    if not data or any(one.earliest is None or one.latest is None for one in data):
        return None
    first = min(one.earliest for one in data if one.earliest is not None)
    last = max(one.latest for one in data if one.latest is not None)
    return DataTimes(int(first.timestamp() * 1000), int(last.timestamp() * 1000))


def _behind(details: RunDetails, evaluation: Evaluation) -> Iterator[Mapping[str, Any]]:
    """Yield the people who started by hand what led to an evaluation, as their orchestrator has recorded them.

    Who decides about it later is not among them.
    """
    made = evaluation.created_at
    steps = (step for step in details.steps if made is None or step.started_at <= made)
    for facts in (details.run.source, *(step.host for step in steps)):
        if isinstance(person := facts.get(TRIGGERED_BY), str) and person:
            yield Actor("user", person, str(facts.get("orchestrator", "library"))).to_json()


def _distinct(actors: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for actor in actors:
        if actor not in found:
            found.append(actor)
    return found
