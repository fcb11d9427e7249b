"""Promotions on probation: begun with a move, judged, ended; each in the transaction of what it follows from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from penstock.errors import Conflict, NotFound
from penstock.failpoints import failpoint
from penstock.model import probation as words
from penstock.model.audit import NewEvent
from penstock.model.canonical import canonical_json
from penstock.model.decisions import Verdict
from penstock.model.ids import WORKSPACE
from penstock.model.probation import AliasProbation, ProbationJudgement, ProbationState, ProbationTerms
from penstock.model.tenures import held_before
from penstock.model.versions import AliasMove, Authorization, ModelVersion, moved
from penstock.stores.sql import aliases, ledger, registry, versions
from penstock.stores.sql.dialects import now_ms
from penstock.stores.sql.rows import Row, ms_of, time_of
from penstock.stores.sql.tables.retention import probation_judgements, probations

_KEY = ("model", "alias", "generation")


def begin(
    connection: sa.Connection, move: AliasMove, version: ModelVersion, terms: ProbationTerms, actor: Mapping[str, Any]
) -> None:
    """Put a move on probation, with its event."""
    time_ms = now_ms(connection)
    document = {
        "version": move.to_version,
        "from_version": move.from_version,
        "payload_digest": version.payload_digest,
        "terms": terms.to_json(),
    }
    connection.execute(
        sa.insert(probations),
        {
            **_key(move.model, move.alias, move.generation),
            "document": canonical_json(document),
            "state": ProbationState.OPEN.value,
            "why": "",
            "started_ms": time_ms,
            "ends_ms": None if terms.days is None else time_ms + int(terms.days * 86_400_000),
            "ended_ms": None,
        },
    )
    failpoint("probation.begun")
    begun = _get(connection, move.model, move.alias, move.generation)
    ledger.append(connection, words.started(begun, actor), time_ms)


def every(connection: sa.Connection, model: str | None) -> Sequence[AliasProbation]:
    """Return the probations of a model (None: of all), by model, alias and generation."""
    query = sa.select(probations).filter_by(workspace=WORKSPACE)
    if model is not None:
        query = query.filter_by(model=model)
    rows = connection.execute(query.order_by(*(probations.c[name] for name in _KEY))).mappings().all()
    return [_probation_of(connection, row) for row in rows]


def judgements(connection: sa.Connection, model: str, alias: str, generation: int) -> Sequence[ProbationJudgement]:
    """Return a probation's judgements in order."""
    query = sa.select(probation_judgements).filter_by(**_key(model, alias, generation))
    rows = connection.execute(query.order_by(probation_judgements.c.number))
    return [ProbationJudgement.from_json(json.loads(r.document), r.number, time_of(r.judged_ms)) for r in rows]


def judge(
    connection: sa.Connection, judgement: ProbationJudgement, back: tuple[Authorization, NewEvent] | None
) -> ProbationJudgement:
    """Record a judgement and what follows from it; the same evaluation again returns what was recorded."""
    registry.lock(connection, judgement.model)
    key = (judgement.model, judgement.alias, judgement.generation)
    before = judgements(connection, *key)
    known = next((one for one in before if one.evaluation_id == judgement.evaluation_id), None)
    if known is not None:
        return known
    probation = _get(connection, *key)
    if not probation.open:
        name = f"{probation.model}@{probation.alias}"
        raise Conflict("probation of alias", name, "an open one", f"one that {probation.state.value}: {probation.why}")
    time_ms = now_ms(connection)
    by_itself = words.settled(probation, time_of(time_ms), _live(connection, probation))
    state = words.state_after(probation, judgement.verdict, time_of(time_ms), _live(connection, probation))
    failed = state is ProbationState.FAILED and back is not None
    before_it, stays = _way_back(connection, probation) if failed else (None, "")
    made = replace(judgement, state=state, rolled_back_to=before_it, stays=stays)
    connection.execute(
        sa.insert(probation_judgements),
        {
            **_key(*key),
            "evaluation_id": made.evaluation_id,
            "number": len(before) + 1,
            "document": canonical_json(made.to_json()),
            "judged_ms": time_ms,
        },
    )
    failpoint("probation.judged")
    ledger.append(connection, words.judged(probation, made))
    if before_it is not None and back is not None:
        authorization, event = back
        target = versions.get(connection, probation.model, before_it)
        given = (target, probation.alias, authorization, probation.generation, event.actor)
        move, new = aliases.roll_back(connection, *given, agreed=True)
        if new:
            ledger.append(connection, moved(event, move), ms_of(move.moved_at))
    if state is not ProbationState.OPEN:
        # What had ended it before this verdict came is not the verdict's doing.
        why = words.why_ended(state, "" if by_itself is state else made.why)
        _end(connection, probation, state, made.actor, why)
    return judgements(connection, *key)[-1]


def _way_back(connection: sa.Connection, probation: AliasProbation) -> tuple[int | None, str]:
    """Return the version that held the alias before, or why the alias cannot go back to it; neither without one."""
    number = held_before(aliases.list_moves(connection, probation.model, probation.alias))
    if number is None:
        return None, ""
    before = versions.get(connection, probation.model, number)
    checks = versions.checks(connection, probation.model, number)
    stays = words.why_it_stays(before, checks[-1] if checks else None, probation.alias)
    return (None if stays else number), stays


def settle(connection: sa.Connection, probation: AliasProbation, actor: Mapping[str, Any]) -> AliasProbation | None:
    """End a probation whose time is over, or whose alias has moved since; None if it goes on, or has ended."""
    registry.lock(connection, probation.model)
    now = _get(connection, probation.model, probation.alias, probation.generation)
    state = words.settled(now, time_of(now_ms(connection)), _live(connection, now))
    if not now.open or state is ProbationState.OPEN:
        return None
    _end(connection, now, state, actor, words.why_ended(state))
    return _get(connection, probation.model, probation.alias, probation.generation)


def _end(
    connection: sa.Connection, probation: AliasProbation, state: ProbationState, actor: Mapping[str, Any], why: str
) -> None:
    here = (probations.c[name] == getattr(probation, name) for name in _KEY)
    values = {"state": state.value, "why": why, "ended_ms": now_ms(connection)}
    connection.execute(sa.update(probations).where(probations.c.workspace == WORKSPACE, *here).values(**values))
    failpoint("probation.ended")
    ledger.append(connection, words.ended(probation, state, actor, why))


def _live(connection: sa.Connection, probation: AliasProbation) -> int:
    alias = aliases.find_alias(connection, probation.model, probation.alias)
    return 0 if alias is None else alias.generation


def _get(connection: sa.Connection, model: str, alias: str, generation: int) -> AliasProbation:
    row = connection.execute(sa.select(probations).filter_by(**_key(model, alias, generation))).mappings().first()
    if row is None:
        raise NotFound("probation", f"models:/{model}@{alias}, generation {generation}", "It was not promoted with one")
    return _probation_of(connection, row)


def _key(model: str, alias: str, generation: int) -> dict[str, Any]:
    return {"workspace": WORKSPACE, "model": model, "alias": alias, "generation": generation}


def _probation_of(connection: sa.Connection, row: Row) -> AliasProbation:
    document = json.loads(row["document"])
    found = judgements(connection, row["model"], row["alias"], row["generation"])
    return AliasProbation(
        model=row["model"],
        alias=row["alias"],
        generation=row["generation"],
        version=document["version"],
        from_version=document["from_version"],
        payload_digest=document["payload_digest"],
        terms=ProbationTerms(**document["terms"]),
        state=ProbationState(row["state"]),
        why=row["why"],
        passes=sum(one.verdict is Verdict.PASS for one in found),
        started_at=time_of(row["started_ms"]),
        ends_at=None if row["ends_ms"] is None else time_of(row["ends_ms"]),
        ended_at=None if row["ended_ms"] is None else time_of(row["ended_ms"]),
    )
