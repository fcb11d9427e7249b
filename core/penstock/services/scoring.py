"""Predicting rows with a registered model, into a destination: once for each run, model, rows and partition."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from penstock.model.data import DataSource, SqlSource
from penstock.model.ids import check_step_name
from penstock.model.runs import Attempt, AttemptState, StepId
from penstock.model.scores import Destination, Scores, check_partition
from penstock.ports import StepEnd
from penstock.ports.scorer import Written
from penstock.services import model_access
from penstock.services.once import new_attempt, once
from penstock.services.references import check_belongs, id_in, model_uri_in
from penstock.services.wiring import Wiring

STEP = "score"


def score(
    wiring: Wiring,
    model: object,
    rows: DataSource,
    to: Destination,
    *,
    partition: str,
    run: object,
    keep: Sequence[str] | None = None,
    accept_from: Sequence[str] = (),
    trusted_types: Sequence[str] | None = None,
    step: str = STEP,
    map_index: int = -1,
    progress: Callable[[int], None] | None = None,
) -> Scores:
    """Predict `rows` and write the predictions as `partition` of `to`, replacing what the partition held.

    The same rows, model URI and partition in the same run are predicted once, while the destination still holds what
    was written; rows of a query, which no digest identifies before they are read, every time. An alias counts by its
    name: a new champion predicts in a run of its own. A newer attempt fences an older one before it can replace
    anything. A model that is not registered must belong to `run` or to a pipeline in `accept_from`.
    """
    uri = model_uri_in(model)
    found = model_access.find(wiring.store, uri)
    if found.version is None:
        check_belongs(wiring.store, "model", uri, found.logged.run_id, run, accept_from)
    check_partition(partition)
    of_query = isinstance(rows.source, SqlSource)
    declared = {
        "model": uri,
        "rows": {"query": rows.source.query} if of_query else dict(wiring.reader().fingerprint(rows)),
        "to": str(to),
        "partition": partition,
        "keep": None if keep is None else list(keep),
    }
    place = StepId(id_in(run, "run_id"), check_step_name(step), map_index)

    def work(attempt: Attempt) -> Scores:
        predictor = model_access.load_logged(wiring, found.logged, uri, trusted_types)
        version = None if found.version is None else found.version.version
        written = wiring.scorer().score(
            predictor,
            rows,
            to,
            partition=partition,
            keep=keep,
            facts={"model_version": version} if version is not None else {"model_id": found.logged.model_id},
            # `Fenced` if a newer attempt of this step has taken over.
            may_commit=lambda: wiring.store.renew_lease(attempt),
            progress=progress,
        )
        scores = Scores(
            model=uri,
            model_id=found.logged.model_id,
            version=version,
            partition=partition,
            destination=str(to),
            rows=written.rows,
            sha256=written.sha256,
        )
        wiring.store.end_attempt(StepEnd(attempt, AttemptState.DONE, scores.ref))
        return scores

    def recall(stored: Mapping[str, Any]) -> Scores:
        scores = Scores.from_json(stored)
        if wiring.scorer().holds(to, partition, Written(scores.rows, scores.sha256)):
            return scores
        return once(wiring, new_attempt(wiring, place, declared, always=True, reopen=True), work, recall)

    return once(wiring, new_attempt(wiring, place, declared, always=of_query, reopen=True), work, recall)
