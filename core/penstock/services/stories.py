"""What became of each run of an experiment, from what is on record."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.model.overrides import Override
from penstock.model.runs import Run
from penstock.model.stories import RunStory
from penstock.model.versions import AliasMove, ModelVersion
from penstock.ports import MetadataStore


def run_stories(store: MetadataStore, experiment: str, limit: int = 1000) -> Sequence[RunStory]:
    """Return the runs of an experiment with their newest evaluation and decision and what followed, by partition."""
    overrides = store.list_overrides()
    stories = [story_of(store, run, overrides) for run in store.list_runs(experiment, limit)]
    return sorted(stories, key=lambda story: story.run.key.partition)


def story_of(store: MetadataStore, run: Run, overrides: Sequence[Override] | None = None) -> RunStory:
    """Return a run with its newest evaluation and decision and what followed; `overrides` are all there are."""
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
    known = store.list_overrides() if overrides is None else overrides
    given = tuple(made for made in known if made.run_id == run.run_id)
    for made in given:
        by_override = made.override_id
        moves += tuple(m for m in store.list_alias_moves(made.model) if m.authorization.authorization_id == by_override)
    return RunStory(run, evaluations[-1] if evaluations else None, decision, version, moves, given)
