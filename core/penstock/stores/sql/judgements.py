"""Evaluations and the decisions on them; a passed decision leaves its authorization."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import sqlalchemy as sa

from penstock.errors import NotFound
from penstock.failpoints import failpoint
from penstock.model.canonical import canonical_json
from penstock.model.decisions import GateDecision
from penstock.model.evaluations import Evaluation
from penstock.model.ids import WORKSPACE, derived_id
from penstock.model.versions import Authorization, AuthorizationKind
from penstock.stores.sql.dialects import insert_or_ignore, now_ms
from penstock.stores.sql.rows import authorization_of, decision_of, evaluation_of
from penstock.stores.sql.tables import authorizations, decisions, evaluations

# Built once: building a statement costs as much as running it.
_DOCUMENT = sa.select(decisions.c.document, decisions.c.created_ms)  # all that a decision is read from
_DECISION = _DOCUMENT.where(decisions.c.decision_id == sa.bindparam("its_id"))


def add_evaluation(connection: sa.Connection, evaluation: Evaluation) -> bool:
    """Store an evaluation and say whether it is new: its id follows from its inputs."""
    added = connection.execute(
        insert_or_ignore(connection, evaluations),
        {
            "evaluation_id": evaluation.evaluation_id,
            "run_id": evaluation.run_id,
            "model_id": evaluation.model_id,
            "payload_digest": evaluation.payload_digest,
            "dataset_digest": evaluation.dataset.digest,
            "document": canonical_json(evaluation.to_json()),
            "created_ms": now_ms(connection),
        },
    )
    failpoint("evaluation.inserted")
    return added.rowcount == 1


def get_evaluation(connection: sa.Connection, evaluation_id: str) -> Evaluation:
    """Return an evaluation; `NotFound` if there is none."""
    query = sa.select(evaluations).where(evaluations.c.evaluation_id == evaluation_id)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound("evaluation", evaluation_id)
    return evaluation_of(row)


def judged_runs(connection: sa.Connection, after: str, limit: int) -> Sequence[str]:
    """Return the ids of the first runs after one that have evaluations or decisions, in order."""
    judged = [
        sa.select(column).where(column > after).distinct().order_by(column).limit(limit).subquery()
        for column in (evaluations.c.run_id, decisions.c.run_id)
    ]
    both = sa.union(*(sa.select(some.c.run_id) for some in judged)).subquery()
    return connection.scalars(sa.select(both.c.run_id).order_by(both.c.run_id).limit(limit)).all()


def list_evaluations(connection: sa.Connection, run_id: str) -> Sequence[Evaluation]:
    """Return a run's evaluations, oldest first."""
    query = sa.select(evaluations).where(evaluations.c.run_id == run_id)
    rows = connection.execute(query.order_by(evaluations.c.created_ms, evaluations.c.evaluation_id))
    return [evaluation_of(row) for row in rows.mappings()]


def add_decision(connection: sa.Connection, decision: GateDecision) -> bool:
    """Store a decision and, if it passed, the authorization it gives; say whether it is new."""
    time_ms = now_ms(connection)
    added = connection.execute(
        insert_or_ignore(connection, decisions),
        {
            "decision_id": decision.decision_id,
            "run_id": decision.run_id,
            "evaluation_id": decision.evaluation_id,
            "workspace": WORKSPACE,
            "model": decision.model,
            "alias": decision.alias,
            "verdict": decision.verdict.value,
            "payload_digest": decision.payload_digest,
            "policy_digest": decision.policy_digest,
            "data_digest": decision.data_digest,
            "baseline_version": decision.baseline_version,
            "alias_generation": decision.alias_generation,
            "document": canonical_json(decision.to_json()),
            "created_ms": time_ms,
        },
    )
    failpoint("decision.inserted")
    if decision.passed and added.rowcount == 1:
        connection.execute(
            sa.insert(authorizations),
            {
                "authorization_id": derived_id("authorization", decision.decision_id),
                "workspace": WORKSPACE,
                "kind": AuthorizationKind.DECISION.value,
                "model": decision.model,
                "decision_id": decision.decision_id,
                "reason": decision.reasons,
                "actor": canonical_json(decision.actor),
                "created_ms": time_ms,
            },
        )
        failpoint("decision.authorized")
    return added.rowcount == 1


def get_decision(connection: sa.Connection, decision_id: str) -> GateDecision:
    """Return a decision; `NotFound` if there is none."""
    row = connection.execute(_DECISION, {"its_id": decision_id}).mappings().first()
    if row is None:
        raise NotFound("decision", decision_id)
    return decision_of(row)


def find_decisions(connection: sa.Connection, decision_ids: Sequence[str]) -> Mapping[str, GateDecision]:
    """Return those of these decisions that are there, by id."""
    rows = connection.execute(_DOCUMENT.where(decisions.c.decision_id.in_(decision_ids))).mappings()
    return {found.decision_id: found for found in map(decision_of, rows)}


def list_decisions(connection: sa.Connection, run_id: str) -> Sequence[GateDecision]:
    """Return the decisions on a run's evaluations, oldest first."""
    query = _DOCUMENT.where(decisions.c.run_id == run_id)
    rows = connection.execute(query.order_by(decisions.c.created_ms, decisions.c.decision_id))
    return [decision_of(row) for row in rows.mappings()]


def read_decisions(connection: sa.Connection, model: str | None) -> Iterator[GateDecision]:
    """Yield decisions, oldest first, without holding them all; of one model if it is named."""
    query = _DOCUMENT.where(decisions.c.workspace == WORKSPACE)
    if model is not None:
        query = query.where(decisions.c.model == model)
    ordered = query.order_by(decisions.c.created_ms, decisions.c.decision_id)
    for row in connection.execution_options(yield_per=200).execute(ordered).mappings():
        yield decision_of(row)


def find_authorization(connection: sa.Connection, decision_id: str) -> Authorization | None:
    """Return the authorization that a decision gave; None if it gave none."""
    query = sa.select(authorizations).where(authorizations.c.decision_id == decision_id)
    row = connection.execute(query).mappings().first()
    return None if row is None else authorization_of(row)
