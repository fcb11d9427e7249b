"""What became of each run of an experiment, from what is on record."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.model.stories import RunStory
from penstock.model.versions import AliasMove, ModelVersion
from penstock.ports import MetadataStore


def run_stories(store: MetadataStore, experiment: str, limit: int = 1000) -> Sequence[RunStory]:
    """Return the runs of an experiment with their newest evaluation and decision and what followed, by partition."""
    stories = []
    for run in store.list_runs(experiment, limit):
        evaluations, decisions = store.list_evaluations(run.run_id), store.list_decisions(run.run_id)
        decision = decisions[-1] if decisions else None
        version: ModelVersion | None = None
        moves: tuple[AliasMove, ...] = ()
        if decision is not None and decision.passed:
            versions = store.list_versions(decision.model)
            by_decision = decision.decision_id
            version = next((v for v in versions if v.authorization.decision_id == by_decision), None)
            all_moves = store.list_alias_moves(decision.model)
            moves = tuple(m for m in all_moves if m.authorization.decision_id == by_decision)
        stories.append(RunStory(run, evaluations[-1] if evaluations else None, decision, version, moves))
    return sorted(stories, key=lambda story: story.run.key.partition)
