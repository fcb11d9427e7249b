"""Approval requests and their answers. Neither is ever changed: what became of a request is worked out when read."""

from __future__ import annotations

import json
from collections.abc import Sequence

import sqlalchemy as sa

from penstock.errors import NotFound
from penstock.model.approvals import APPROVE, Approval, ApprovalAnswer, ApprovalRequest, check_answer, why_lapsed
from penstock.model.canonical import canonical_json
from penstock.model.ids import WORKSPACE
from penstock.stores.sql.dialects import insert_or_ignore, now_ms
from penstock.stores.sql.rows import Row, time_of
from penstock.stores.sql.steps import at
from penstock.stores.sql.tables import aliases, decisions, step_results
from penstock.stores.sql.tables.gates import approval_answers, approval_requests

_ANSWER = (
    approval_answers.c.answer,
    approval_answers.c.reason,
    approval_answers.c.actor,
    approval_answers.c.answered_ms,
)
_APPROVALS = sa.select(approval_requests, *_ANSWER).join(approval_answers, isouter=True)


def add(connection: sa.Connection, request: ApprovalRequest) -> bool:
    """Record a request and say whether it is new; its time begins now."""
    time_ms = now_ms(connection)
    added = connection.execute(
        insert_or_ignore(connection, approval_requests),
        {
            "request_id": request.request_id,
            "workspace": WORKSPACE,
            "decision_id": request.decision_id,
            "run_id": request.step.run_id,
            "step": request.step.name,
            "map_index": request.step.map_index,
            "model": request.model,
            "alias": request.alias,
            "digest": request.digest,
            "document": canonical_json(request.to_json()),
            "asked_ms": time_ms,
            "expires_ms": time_ms + int(request.expires_s * 1000),
        },
    )
    return added.rowcount == 1


def get(connection: sa.Connection, request_id: str) -> Approval:
    """Return a request with what became of it; `NotFound` if there is none."""
    row = connection.execute(_APPROVALS.where(approval_requests.c.request_id == request_id)).mappings().first()
    if row is None:
        raise NotFound("approval request", request_id, "penstock approvals list shows those there are")
    return _approval_of(connection, row, now_ms(connection))


def find(connection: sa.Connection, run_id: str | None, model: str | None) -> Sequence[Approval]:
    """Return requests, oldest first: of a run, of a model, or all."""
    query = _APPROVALS.where(approval_requests.c.workspace == WORKSPACE)
    if run_id is not None:
        query = query.where(approval_requests.c.run_id == run_id)
    if model is not None:
        query = query.where(approval_requests.c.model == model)
    rows = connection.execute(query.order_by(approval_requests.c.asked_ms, approval_requests.c.request_id))
    found, time_ms = rows.mappings().all(), now_ms(connection)
    return [_approval_of(connection, row, time_ms) for row in found]


def answer(connection: sa.Connection, given: ApprovalAnswer) -> tuple[Approval, bool]:
    """Record an answer and say whether it is new; refusals are `check_answer`'s."""
    # Who answers at the same moment waits here: the row is not changed, but one of the two answers comes first.
    locked = sa.select(approval_requests.c.request_id).where(approval_requests.c.request_id == given.request_id)
    connection.execute(locked.with_for_update(key_share=True))
    found = get(connection, given.request_id)
    if not check_answer(found, given):
        return found, False
    connection.execute(
        sa.insert(approval_answers),
        {
            "request_id": given.request_id,
            "answer": given.word,
            "reason": given.reason,
            "actor": canonical_json(given.actor),
            "answered_ms": now_ms(connection),
        },
    )
    return get(connection, given.request_id), True


def _approval_of(connection: sa.Connection, row: Row, time_ms: int) -> Approval:
    asked_at, expires_at = time_of(row["asked_ms"]), time_of(row["expires_ms"])
    request = ApprovalRequest.from_json(json.loads(row["document"]), asked_at, expires_at)
    answered = None
    if row["answer"] is not None:
        answered = ApprovalAnswer(
            request.request_id,
            row["answer"] == APPROVE,
            row["reason"],
            json.loads(row["actor"]),
            time_of(row["answered_ms"]),
        )
    here = (aliases.c.workspace == WORKSPACE, aliases.c.model == request.model, aliases.c.alias == request.alias)
    generation = connection.scalar(sa.select(aliases.c.generation).where(*here)) or 0
    return Approval(request, answered, why_lapsed(request, time_ms, generation, _asked_again(connection, request)))


def _asked_again(connection: sa.Connection, request: ApprovalRequest) -> bool:
    """Whether the step that asked has decided on another question since."""
    newest = (
        sa.select(step_results.c.result)
        .where(at(step_results, request.step), step_results.c.attempt > request.attempt)
        .order_by(step_results.c.attempt.desc())
        .limit(1)
    )
    result = connection.scalar(newest)
    if result is None:
        return False
    query = sa.select(decisions.c.evaluation_id, decisions.c.policy_digest, decisions.c.model, decisions.c.alias)
    row = connection.execute(query.where(decisions.c.decision_id == json.loads(result).get("decision_id"))).first()
    return row is not None and tuple(row) != request.question
