"""Ranking: rows belong to queries, a model gives each a score, and the order within a query is what counts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from penstock.errors import InvalidValue
from penstock.evaluation.answers import Answers, Floats, JudgedRows
from penstock.evaluation.state.groups import GroupCodes, by_group
from penstock.evaluation.tasks.regression import numbers_in
from penstock.evaluation.tasks.task import Found, Question, Settings, Task, TaskState
from penstock.model.evaluations import BASELINE, CANDIDATE
from penstock.model.metrics import read_name
from penstock.statistics.evidence import Mean, PairedEstimates

DEFAULT = ("ndcg", "ndcg@5", "ndcg@10", "map", "mrr")
MOST_ROWS = 2**24  # what is kept of them fits 512 MiB
_BASES = ("ndcg", "map", "mrr", "precision", "recall")


class RankingTask(Task):
    """Scores within queries: the data's `group` column says which rows are a query, the label how relevant each is."""

    def __init__(self, question: Question, settings: Settings) -> None:
        super().__init__(question, settings)
        if question.data.group is None:
            raise InvalidValue("held-out data", "no group column", "queries to rank within", "Pass group='<column>'")

    def judge(self, batch: pd.DataFrame, start: int) -> JudgedRows:
        """Ask each model for its scores."""
        question = self.question
        relevance, beside = numbers_in(batch, question.label), question.beside(batch)
        if (relevance < 0).any():
            raise InvalidValue(f"label column {question.label!r}", float(relevance.min()), "relevances of at least 0")
        features = question.features(batch, start)
        answers = question.ask(lambda _, model: Answers(model.numbers(features, start)))
        queries = batch[question.data.group]
        if queries.isna().any():
            raise InvalidValue(
                f"group column {queries.name!r}", f"{int(queries.isna().sum())} nulls", "a query in every row"
            )
        return JudgedRows(relevance, answers=answers, **beside)


class RankingState(TaskState):
    """All rows, as a query's may be anywhere: 20 bytes a row and 8 for each model, at most 16,777,216 rows."""

    @staticmethod
    def measures(name: str) -> bool:
        """Whether a metric is one of this task."""
        parts = read_name(name)
        return name in DEFAULT or (parts.cut is not None and parts.base in _BASES)

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._rows = _Rows()
        self.parts = {"rows": self._rows}

    def update(self, rows: JudgedRows, groups: GroupCodes) -> None:
        """Add a batch."""
        queries = np.asarray(rows.groups)
        if queries.dtype.kind not in "iu":
            queries = np.array([str(query) for query in queries.tolist()])
        columns = {f"slice {place}": codes for place, codes in enumerate(groups.columns)}
        scores = {f"of {model}": answers.predicted for model, answers in rows.answers.items()}
        weights = {} if rows.weights is None else {"weights": rows.weights}
        self._rows.add({"queries": queries, "relevance": rows.truth, **weights, **scores, **columns}, groups.size)

    def rows(self) -> NDArray[np.int64]:
        """Return the rows of each group."""
        held = self._rows.joined()
        return GroupCodes(len(held["queries"]), self._rows.columns(), self._rows.size).counts()

    def measure(self) -> Iterator[tuple[int, str, Found]]:
        """Yield every metric of every model in every group: means over queries, by the weight of the query.

        A query's weight is the mean of its rows' weights. Queries without a relevant row count 0 in NDCG, as in
        scikit-learn, and are left out of all other means; `stats["queries"]` says how many counted.
        """
        held = self._rows.joined()
        _, queries = np.unique(held["queries"], return_inverse=True)
        metrics = (*DEFAULT, *(m for m in self.settings.metrics if m not in DEFAULT))
        for group, rows in self._groups(len(queries)):
            found: dict[str, dict[str, tuple[Floats, Floats]]] = {}
            weights = held["weights"][rows] if "weights" in held else None
            for model in self.settings.of:
                scores = held[f"of {model}"][rows]
                if lost := int(np.count_nonzero(~np.isfinite(scores))):
                    for metric in metrics:
                        yield group, model, Found(metric, math.nan, f"{lost} of {len(scores)} scores are not finite")
                    continue
                found[model] = per_query(queries[rows], held["relevance"][rows], scores, weights, metrics)
            for model, values in found.items():
                for metric in metrics:
                    against = found.get(BASELINE) if model == CANDIDATE else None
                    yield group, model, _mean(metric, *values[metric], None if against is None else against[metric][0])

    def _groups(self, rows: int) -> Iterator[tuple[int, Any]]:
        yield 0, slice(0, rows)
        for codes in self._rows.columns():
            yield from by_group(codes, self._rows.size)


def per_query(
    queries: NDArray[Any], relevance: Floats, scores: Floats, weights: Floats | None, metrics: Sequence[str]
) -> dict[str, tuple[Floats, Floats]]:
    """Return each metric's value and weight for every query it is defined for.

    NDCG takes relevances as gains and the expectation over the order of tied scores (McSherry and Najork, "Computing
    Information Retrieval Performance Measures Efficiently in the Presence of Tied Scores", ECIR 2008), as scikit-learn
    does; so do precision@k and recall@k. MAP and MRR take the last place of the tied.
    """
    order = np.lexsort((-scores, queries))
    query, gain, score = queries[order], relevance[order], scores[order]
    new_query = np.append(True, query[1:] != query[:-1])
    starts = np.flatnonzero(new_query)
    sizes = np.diff(np.append(starts, len(query)))
    place = np.arange(len(query)) - np.repeat(starts, sizes)
    ties = np.flatnonzero(new_query | np.append(True, score[1:] != score[:-1]))
    tie_sizes = np.diff(np.append(ties, len(query)))
    first, last = place[ties], place[ties] + tie_sizes
    hits = (gain > 0).astype(np.float64)
    tie_query = np.cumsum(new_query)[ties] - 1
    tie_hits, tie_gain = np.add.reduceat(hits, ties), np.add.reduceat(gain, ties)
    relevant = np.add.reduceat(hits, starts)
    ideal = gain[np.lexsort((-gain, query))]
    before = np.cumsum(tie_hits) - np.repeat(np.append(0.0, np.cumsum(relevant)[:-1]), np.bincount(tie_query))
    own = np.ones(len(starts)) if weights is None else np.add.reduceat(weights[order], starts) / sizes
    some = relevant > 0
    found: dict[str, tuple[Floats, Floats]] = {}
    for metric in metrics:
        parts = read_name(metric)
        cut = min(int(parts.cut or len(query)), len(query))
        if parts.base == "ndcg":
            reached = np.append(0.0, np.cumsum(1 / np.log2(np.arange(cut) + 2.0)))
            discounts = reached[np.minimum(last, cut)] - reached[np.minimum(first, cut)]
            dcg = np.bincount(tie_query, tie_gain / tie_sizes * discounts, minlength=len(starts))
            best = np.add.reduceat(np.where(place < cut, ideal / np.log2(place + 2.0), 0.0), starts)
            found[metric] = np.divide(dcg, best, out=np.zeros(len(starts)), where=best > 0), own
            continue
        if parts.base in ("precision", "recall"):
            inside = np.clip(cut - first, 0, tie_sizes) / tie_sizes
            caught = np.bincount(tie_query, tie_hits * inside, minlength=len(starts))
            values = caught / (cut if parts.base == "precision" else np.maximum(relevant, 1))
        elif parts.base == "map":
            precision = np.where(last <= cut, tie_hits * before / last, 0.0)
            values = np.bincount(tie_query, precision, minlength=len(starts)) / np.maximum(np.minimum(relevant, cut), 1)
        else:
            ranks = np.full(len(starts), math.inf)
            np.minimum.at(ranks, tie_query, np.where(tie_hits > 0, last, math.inf))
            values = np.where(ranks <= cut, 1 / ranks, 0.0)
        found[metric] = values[some], own[some]
    return found


def _mean(metric: str, values: Floats, weights: Floats, against: Floats | None) -> Found:
    total = math.fsum(weights.tolist())
    if not total > 0:
        return Found(metric, None, "no query has a relevant row" if len(values) == 0 else "the weights sum to 0")
    n = len(values)
    share = weights / total
    mean = math.fsum((values * share).tolist())
    stats: dict[str, Any] = {"queries": n}
    if n > 1:
        scale = n / (n - 1)

        def covariance(one: Floats, other: Floats) -> float:
            one, other = one - math.fsum((one * share).tolist()), other - math.fsum((other * share).tolist())
            return scale * math.fsum((share * one * share * other).tolist())

        variance = covariance(values, values)
        stats["evidence"] = Mean(mean, math.sqrt(variance), n).to_json()
        if against is not None:
            theirs = math.fsum((against * share).tolist())
            variances = variance, covariance(against, against), covariance(values, against)
            stats["paired"] = PairedEstimates("mean", mean, theirs, *variances, n - 1).to_json()
    return Found(metric, mean, "", stats)


class _Rows:
    """Columns of rows as they came."""

    def __init__(self) -> None:
        self._parts: list[dict[str, NDArray[Any]]] = []
        self.size = 1
        self._held = 0

    def add(self, columns: Mapping[str, NDArray[Any]], size: int) -> None:
        """Add rows, whose groups are below `size`."""
        self.size = max(self.size, size)
        self._parts.append(dict(columns))
        self._held += len(columns["queries"])
        if self._held > MOST_ROWS:
            raise InvalidValue("rows to rank", f"more than {MOST_ROWS}", f"at most {MOST_ROWS} rows in one evaluation")

    def joined(self) -> dict[str, NDArray[Any]]:
        """Return all rows."""
        if len(self._parts) > 1:
            kinds = {part["queries"].dtype.kind for part in self._parts}
            if "U" in kinds and len(kinds) > 1:
                raise InvalidValue("group column", "numbers and text", "queries of one type")
            names = self._parts[0]
            self._parts = [{name: np.concatenate([part[name] for part in self._parts]) for name in names}]
        return self._parts[0]

    def columns(self) -> list[NDArray[np.int32]]:
        """Return the slice of each row by slicing column."""
        held = self.joined()
        return [held[name] for name in held if name.startswith("slice ")]

    def merge(self, other: _Rows, places: NDArray[np.intp], size: int) -> None:
        """Add another's rows."""
        for part in other._parts:
            moved = {name: places[v].astype(np.int32) if name.startswith("slice ") else v for name, v in part.items()}
            self.add(moved, size)

    def pack(self) -> dict[str, Any]:
        """Return the state as arrays."""
        return {"size": self.size, "columns": self.joined()}

    def unpack(self, packed: Mapping[str, Any]) -> None:
        """Take the state of `pack`."""
        self._parts = []
        self.add(packed["columns"], int(packed["size"]))
