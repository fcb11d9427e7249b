"""What sensors wait for: each a question to the store, answered with small JSON or with None: not yet.

A question and its arguments are plain JSON, so that a trigger's row in Airflow's database holds nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock import Client

Answer = Mapping[str, Any] | None


def alias_moved(client: Client, model: str, alias: str, after_generation: int = 0) -> Answer:
    """Whether an alias has moved since its generation `after_generation` (0: whether it points anywhere)."""
    found = client.wiring.store.find_alias(model, alias)
    if found is None or found.generation <= after_generation:
        return None
    return {"model": model, "alias": alias, "version": found.version, "generation": found.generation}


def version_registered(client: Client, model: str, after_version: int = 0) -> Answer:
    """Whether a version newer than `after_version` is registered."""
    found = client.wiring.store.find_version(model, None)
    return None if found is None or found.version <= after_version else found.ref


def decision_made(client: Client, run_id: str, model: str | None = None, verdict: str | None = None) -> Answer:
    """Whether a decision was made on a run's evaluations: about this model, with this verdict, where they are given."""
    for decision in reversed(client.wiring.store.list_decisions(run_id)):
        if model in {None, decision.model} and verdict in {None, decision.verdict.value}:
            return decision.ref
    return None


def approval_answered(client: Client, request: Any) -> Answer:
    """Whether a person has answered, or can no longer answer, what a decision asked."""
    found = client.find_approval(request)
    if found is None or found.state.value == "pending":
        return None
    return {"request_id": found.request.request_id, "state": found.state.value}


QUESTIONS: Mapping[str, Callable[..., Answer]] = {
    question.__name__: question for question in (alias_moved, version_registered, decision_made, approval_answered)
}


def ask(client: Client, question: str, arguments: Mapping[str, Any]) -> Answer:
    """Ask a question by its name."""
    from penstock.errors import InvalidValue

    if question not in QUESTIONS:
        raise InvalidValue("question", question, f"one of {', '.join(QUESTIONS)}")
    return QUESTIONS[question](client, **arguments)
