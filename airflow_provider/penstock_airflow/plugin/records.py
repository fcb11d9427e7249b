"""What the page shows of a store: runs that a DAG has worked in, what came of them, and nothing of other DAGs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.errors import InvalidValue, NotFound
from penstock.model.runs import Run, RunDetails
from penstock.model.stories import RunStory
from penstock.services.references import id_in
from penstock.services.stories import story_of

if TYPE_CHECKING:
    from penstock import Client
    from penstock.model.approvals import Approval
    from penstock.model.decisions import GateDecision
    from penstock.model.versions import AliasMove

SCANNED = 1000
SHOWN = 50


@dataclass(frozen=True)
class AliasHistory:
    """The moves of one alias, newest first."""

    model: str
    alias: str
    moves: Sequence[AliasMove]


def runs_of(client: Client, dag_id: str, dag_run_id: str | None = None) -> list[Run]:
    """Return the newest runs that a DAG (or one of its DAG runs) has opened, newest first."""
    return [
        run
        for run in client.list_runs(limit=SCANNED)
        if run.source.get("dag_id") == dag_id and dag_run_id in {None, run.source.get("run_id")}
    ][:SHOWN]


def newest_by_dag(client: Client, dag_ids: Collection[str]) -> dict[str, RunStory]:
    """Return the newest run of each of these DAGs that has any, with what came of it."""
    newest: dict[str, Run] = {}
    for run in client.list_runs(limit=SCANNED):
        dag_id = run.source.get("dag_id")
        if dag_id in dag_ids:
            newest.setdefault(str(dag_id), run)
    return {dag_id: story_of(client.wiring.store, run) for dag_id, run in sorted(newest.items())}


def stories_of(client: Client, runs: Sequence[Run]) -> list[RunStory]:
    """Return runs with what came of them."""
    overrides = client.list_overrides()
    return [story_of(client.wiring.store, run, overrides) for run in runs]


def run_of(client: Client, dag_id: str, run_id: str) -> RunDetails:
    """Return a run; `NotFound` where this DAG has not worked in it, as if it were not there."""
    details = client.get_run(_id("run", run_id))
    if dag_id not in {details.run.source.get("dag_id"), *(step.host.get("dag_id") for step in details.steps)}:
        raise NotFound("run", run_id)
    return details


def decision_of(client: Client, dag_id: str, decision_id: str) -> tuple[GateDecision, Approval | None]:
    """Return a decision with the approval it asked for; `NotFound` where it belongs to no run of this DAG."""
    decision = client.get_decision(_id("decision", decision_id))
    run_of(client, dag_id, decision.run_id)
    return decision, client.find_approval(decision)


def _id(kind: str, given: str) -> str:
    try:
        return id_in(given, f"{kind}_id")
    except InvalidValue as error:
        raise NotFound(kind, given) from error


def alias_histories(client: Client, stories: Sequence[RunStory]) -> list[AliasHistory]:
    """Return the history of every alias that these runs were judged for."""
    judged = {(story.decision.model, story.decision.alias) for story in stories if story.decision is not None}
    found = []
    for model, alias in sorted(judged):
        moves = [move for move in client.alias_history(model) if move.alias == alias]
        found.append(AliasHistory(model, alias, moves[::-1][:SHOWN]))
    return found
