"""What gates keep beside decisions, told by the ledger and read from the store: the two must agree."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from penstock.model.audit import AuditEvent
from penstock.model.canonical import digest
from penstock.model.looks import LookKind
from penstock.model.probation import ProbationState
from penstock.model.registry_state import seconds
from penstock.model.statements import Statement
from penstock.ports import MetadataStore

_REQUEST = ("approval request", "(role, four eyes, seconds, binding)")
_ANSWER = ("approval answer", "(answer, by, why)")
_OVERRIDE = ("override", "(payload, aliases, seconds, until, by, why)")
_ANCHOR = ("anchor", "(version, payload)")
_DRY_RUN = ("dry run", "(verdict, policy)")
_DAY_MS = 86_400_000
_DECLARATION = ("gate declaration", "(gated, by, why)")
_PROBATION = ("probation", "(version, the one before, payload, policy, its digest, days, evaluations, from, until)")
_TERMS = ("version", "from_version", "payload_digest", "policy", "policy_digest", "days", "evaluations")
_PROBATION_STATE = ("probation", "state")
_JUDGEMENT = ("probation judgement", "(verdict, state after it, by, why)")


def told_of_gates(entry: AuditEvent) -> Iterator[Statement]:
    """Yield what an entry says of approvals, overrides, anchors, dry runs, declarations and probations."""
    subject, after, model = entry.subject, entry.after, entry.chain.name
    if entry.kind == "approval_requested":
        asked = (subject["role"], after["four_eyes"], after["expires_s"], after["binding"])
        yield Statement(*_REQUEST, subject["request_id"], asked)
    elif entry.kind == "approval_answered":
        yield Statement(*_ANSWER, subject["request_id"], (after["answer"], entry.actor["subject"], entry.why))
    elif entry.kind == "override_given":
        lasts = after["hours"] * 3600
        until = seconds(entry.time + timedelta(milliseconds=int(lasts * 1000)))
        given = (after["payload_digest"], after["aliases"], lasts, until, entry.actor["subject"], entry.why)
        yield Statement(*_OVERRIDE, subject["override_id"], given)
    elif entry.kind == "anchor_set":
        yield Statement(*_ANCHOR, (model, after["number"]), (after["version"], after["payload_digest"]))
    elif entry.kind == "look_taken":
        yield Statement(*_DRY_RUN, (model, after["number"]), (after["verdict"], after["policy_digest"]))
    elif entry.kind in {"model_gated", "model_ungated"}:
        declared = (after["gated"], entry.actor["subject"], entry.why)
        yield Statement(*_DECLARATION, (model, subject["declaration"]), declared)
    elif entry.kind.startswith("probation_"):
        yield from _told_of_probation(entry, (model, subject["alias"], subject["generation"]))


def _told_of_probation(entry: AuditEvent, key: tuple[str, str, int]) -> Iterator[Statement]:
    after = entry.after
    if entry.kind == "probation_started":
        terms = tuple(after[name] for name in _TERMS)
        until = None if after["days"] is None else entry.time + timedelta(milliseconds=int(after["days"] * _DAY_MS))
        yield Statement(*_PROBATION, key, (*terms, _text(entry.time), _text(until)))
        yield Statement(*_PROBATION_STATE, key, ProbationState.OPEN.value)
    elif entry.kind == "probation_judged":
        said = (after["verdict"], after["state"], entry.actor, entry.why)
        yield Statement(*_JUDGEMENT, (*key, entry.subject["evaluation_id"]), said)
    elif entry.kind == "probation_ended":
        yield Statement(*_PROBATION_STATE, key, after["state"])


def stored_of_gates(store: MetadataStore) -> Iterator[Statement]:
    """Yield the same as it is stored."""
    for approval in store.list_approvals():
        request, answer = approval.request, approval.answer
        asked = (request.role, request.four_eyes, request.expires_s, request.digest)
        yield Statement(*_REQUEST, request.request_id, asked)
        if answer is not None:
            yield Statement(*_ANSWER, request.request_id, (answer.word, answer.actor["subject"], answer.reason))
    for made in store.list_overrides():
        lasts = (made.expires_s, seconds(made.expires_at))
        given = (made.payload_digest, dict(made.aliases), *lasts, made.actor["subject"], made.reason)
        yield Statement(*_OVERRIDE, made.override_id, given)
    for model in (head.chain.name for head in store.list_chain_heads() if head.chain.kind == "model"):
        for anchor in store.list_anchors(model):
            yield Statement(*_ANCHOR, (model, anchor.sequence), (anchor.version, anchor.payload_digest))
        for look in store.list_looks(model):
            if look.kind is LookKind.DRY_RUN:
                yield Statement(*_DRY_RUN, (model, look.number), (look.verdict, look.policy_digest))
    for held in store.list_gate_declarations(None):
        said = (held.gated, held.actor["subject"], held.reason)
        yield Statement(*_DECLARATION, (held.model, held.number), said)
    yield from _stored_of_probations(store)


def _stored_of_probations(store: MetadataStore) -> Iterator[Statement]:
    for probation in store.list_probations(None):
        key, terms = (probation.model, probation.alias, probation.generation), probation.terms
        on_trial = (probation.version, probation.from_version, probation.payload_digest)
        kept = (terms.policy_name, digest(terms.policy), terms.days, terms.evaluations)
        yield Statement(*_PROBATION, key, (*on_trial, *kept, _text(probation.started_at), _text(probation.ends_at)))
        yield Statement(*_PROBATION_STATE, key, probation.state.value)
        for judgement in store.list_probation_judgements(*key):
            judged = (judgement.verdict.value, judgement.state.value, judgement.actor, judgement.reasons)
            yield Statement(*_JUDGEMENT, (*key, judgement.evaluation_id), judged)


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()
