"""Promotions on probation: begun with a move, judged, ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from penstock.errors import Conflict, NotFound
from penstock.model import probation as words
from penstock.model.audit import NewEvent
from penstock.model.decisions import Verdict
from penstock.model.probation import AliasProbation, ProbationJudgement, ProbationState, ProbationTerms
from penstock.model.tenures import held_before
from penstock.model.versions import AliasMove, Authorization, ModelVersion, moved
from penstock.stores.memory import registry
from penstock.stores.memory.state import State, plain, time_of

Key = tuple[str, str, int]


def begin(
    state: State, move: AliasMove, version: ModelVersion, terms: ProbationTerms, actor: Mapping[str, Any], now_ms: int
) -> None:
    """Put a move on probation, with its event."""
    now = time_of(now_ms)
    begun = AliasProbation(
        model=move.model,
        alias=move.alias,
        generation=move.generation,
        version=move.to_version,
        from_version=move.from_version,
        payload_digest=version.payload_digest,
        terms=ProbationTerms(**plain(terms.to_json())),
        started_at=now,
        ends_at=None if terms.days is None else now + timedelta(milliseconds=int(terms.days * 86_400_000)),
    )
    state.probations[move.model, move.alias, move.generation] = begun
    state.append(words.started(begun, actor), now_ms)


def judge(
    state: State, judgement: ProbationJudgement, back: tuple[Authorization, NewEvent] | None, now_ms: int
) -> ProbationJudgement:
    """Record a judgement and what follows from it; the same evaluation again returns what was recorded."""
    key = (judgement.model, judgement.alias, judgement.generation)
    before = state.probation_judgements.setdefault(key, [])
    known = next((one for one in before if one.evaluation_id == judgement.evaluation_id), None)
    if known is not None:
        return known
    probation = get(state, key)
    if not probation.open:
        name = f"{probation.model}@{probation.alias}"
        raise Conflict("probation of alias", name, "an open one", f"one that {probation.state.value}: {probation.why}")
    if judgement.evaluation_id not in state.evaluations:
        raise NotFound("evaluation", judgement.evaluation_id)
    by_itself = words.settled(probation, time_of(now_ms), _live(state, probation))
    after = words.state_after(probation, judgement.verdict, time_of(now_ms), _live(state, probation))
    failed = after is ProbationState.FAILED and back is not None
    before_it, stays = _way_back(state, probation) if failed else (None, "")
    made = replace(judgement, state=after, rolled_back_to=before_it, stays=stays)
    stored = ProbationJudgement.from_json(plain(made.to_json()), len(before) + 1, time_of(now_ms))
    before.append(stored)
    state.append(words.judged(probation, made), now_ms)
    if before_it is not None and back is not None:
        authorization, event = back
        target = registry.find_version(state, probation.model, before_it)
        given = (target, probation.alias, authorization, probation.generation, event.actor, now_ms)
        move, new = registry.roll_back(state, *given, agreed=True)
        if new:
            state.append(moved(event, move), now_ms)
    if after is not ProbationState.OPEN:
        why = words.why_ended(after, "" if by_itself is after else made.why)
        _end(state, key, after, made.actor, why, now_ms)
    return stored


def _way_back(state: State, probation: AliasProbation) -> tuple[int | None, str]:
    """Return the version that held the alias before, or why the alias cannot go back to it; neither without one."""
    number = held_before(_moves(state, probation))
    if number is None:
        return None, ""
    before = registry.find_version(state, probation.model, number)
    stays = words.why_it_stays(before, registry.last_check(state, before), probation.alias)
    return (None if stays else number), stays


def settle(state: State, key: Key, actor: Mapping[str, Any], now_ms: int) -> AliasProbation | None:
    """End a probation whose time is over, or whose alias has moved since; None if it goes on, or has ended."""
    probation = get(state, key)
    after = words.settled(probation, time_of(now_ms), _live(state, probation))
    if not probation.open or after is ProbationState.OPEN:
        return None
    _end(state, key, after, actor, words.why_ended(after), now_ms)
    return get(state, key)


def get(state: State, key: Key) -> AliasProbation:
    """Return a probation with the judgements that passed counted; `NotFound` if there is none."""
    if key not in state.probations:
        model, alias, generation = key
        raise NotFound("probation", f"models:/{model}@{alias}, generation {generation}", "It was not promoted with one")
    passes = sum(one.verdict is Verdict.PASS for one in state.probation_judgements.get(key, []))
    return replace(state.probations[key], passes=passes)


def _end(state: State, key: Key, after: ProbationState, actor: Mapping[str, Any], why: str, now_ms: int) -> None:
    probation = state.probations[key]
    state.probations[key] = replace(probation, state=after, why=why, ended_at=time_of(now_ms))
    state.append(words.ended(probation, after, actor, why), now_ms)


def _live(state: State, probation: AliasProbation) -> int:
    alias = state.aliases.get((probation.model, probation.alias))
    return 0 if alias is None else alias.generation


def _moves(state: State, probation: AliasProbation) -> list[AliasMove]:
    return [move for move in state.moves if (move.model, move.alias) == (probation.model, probation.alias)]
