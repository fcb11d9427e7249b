"""The bootstrap of an evaluation: counts along with it, and completes what bounds its measurements."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from penstock.evaluation.answers import JudgedRows
from penstock.evaluation.inference import replicates
from penstock.evaluation.inference.bootstrap import Floats
from penstock.evaluation.inference.plans import SHARES_OF_SPREAD, plan_of
from penstock.evaluation.inference.weights import Keys, keys_of_rows, keys_of_values
from penstock.evaluation.reading import BEGINS
from penstock.evaluation.rows.digests import RowDigest
from penstock.evaluation.state.groups import GroupCodes
from penstock.evaluation.tasks.task import Found, Settings
from penstock.model.evaluations import BASELINE, CANDIDATE

_MOST_GROUPS = 256  # slices with replicates of their own; of more only all rows have any
_BEGINNING = 1000  # rows that tell one file from another, wherever they lie
_FEW_CLUSTERS = 20  # fewer say too little about how clusters differ


class Origins:
    """Which file the rows of each batch are from, and where in it: `found` of all batches, in order."""

    def __init__(self) -> None:
        self._source, self._begun, self._read = "", 0, 0

    def found(self, batch: pd.DataFrame, rows: JudgedRows) -> JudgedRows:
        """Return the batch's rows with their `source` and the `first` one's number in it."""
        if self._read == 0 or batch.attrs.get(BEGINS):
            beginning = RowDigest()
            beginning.update(batch.iloc[:_BEGINNING])
            self._source, self._begun = beginning.result(), self._read
        first = self._read - self._begun
        self._read += len(rows)
        return replace(rows, source=self._source, first=first)


class Replication:
    """Replicates of an evaluation: `update` with batches, `merge` with others, then `completed`.

    Rows are drawn one by one, by their id where they have one, else by their number in their file and what that begins
    with: files evaluated in parts draw as their folder does, parts of anything else draw anew. With `clustered`, all
    rows of a group (`DataSource.group`) together. Then everything that assumes independent rows is left out of the
    measurements' statistics, and the bootstrap's takes its place; without replicates nothing does. Rankings need
    neither: their rows are queries.
    """

    def __init__(self, settings: Settings, count: int, clustered: bool) -> None:
        self._settings, self._count = settings, count
        self._grouped = clustered
        self._clustered = clustered and settings.task != "ranking"
        self._plan = plan_of(settings) if count else None
        self._state = None if self._plan is None else self._plan.state(count, self._clustered)
        self._sliced = True
        self._clusters = np.zeros(0, dtype=np.uint64)

    def update(self, rows: JudgedRows, groups: GroupCodes) -> None:
        """Add what the models said about a batch."""
        if not self._count:
            return
        keys = self.keys(rows)
        if self._grouped:
            self._clusters = np.union1d(self._clusters, keys)[:_FEW_CLUSTERS]
        if self._plan is None or self._state is None:
            return
        self._keep_slices(groups.size)
        self._state.update(
            keys,
            groups if self._sliced else GroupCodes(len(rows)),
            weights=rows.weights,
            **self._plan.counted(rows),
        )

    @property
    def drawable(self) -> bool:
        """Whether rows can be drawn: there is a bootstrap, and where groups of rows are drawn, enough of those."""
        return bool(self._count) and not (self._grouped and len(self._clusters) < _FEW_CLUSTERS)

    def keys(self, rows: JudgedRows) -> Keys:
        """Return what the weights of a batch's rows follow from."""
        if self._grouped and rows.groups is not None:
            return keys_of_values(rows.groups)
        if rows.ids is not None:
            return keys_of_values(rows.ids)
        return keys_of_rows(rows.source, rows.first, len(rows))

    def _keep_slices(self, size: int) -> None:
        if self._state is not None and self._sliced and size > _MOST_GROUPS + 1:
            self._sliced = False
            self._state.all_rows()

    def merge(self, other: Replication, places: NDArray[np.intp], size: int) -> None:
        """Add another's rows; its group g is group `places[g]` of the `size` groups here."""
        self._clusters = np.union1d(self._clusters, other._clusters)[:_FEW_CLUSTERS]
        if self._state is None or other._state is None:
            return
        self._keep_slices(size if other._sliced else _MOST_GROUPS + 2)
        if not self._sliced:
            other._state.all_rows()
        self._state.merge(other._state, places, size if self._sliced else 1)

    def completed(self, measured: Iterable[tuple[int, str, Found]]) -> list[tuple[int, str, Found]]:
        """Return the measurements, each with the evidence it lacked where the replicates give it.

        A measurement whose stats say why it is `unbounded` gets none.
        """
        found = [(group, of, self._kept(metric)) for group, of, metric in measured]
        values = {(group, of, metric.metric): metric.value for group, of, metric in found}
        known: dict[tuple[str, str, int], Floats | None] = {}

        def drawn(metric: str, of: str, group: int) -> Floats | None:
            key = metric, of, group
            if key not in known:
                known[key] = self._replicates(metric, of, group)
            return known[key]

        completed = []
        for group, of, metric in found:
            stats = dict(metric.stats)
            own = drawn(metric.metric, of, group) if _finite(metric.value) else None
            if own is not None and not stats.keys() & {"evidence", "unbounded"}:
                stats |= replicates.evidence(metric.value, own, **self._tail(metric.metric, of, group))
            theirs = values.get((group, BASELINE, metric.metric))
            if own is not None and of == CANDIDATE and _finite(theirs) and "paired" not in stats:
                against = drawn(metric.metric, BASELINE, group)
                if against is not None:
                    tails = self._tails(metric.metric, group)
                    stats |= replicates.paired(metric.value, theirs, own, against, **tails)
            completed.append((group, of, metric._replace(stats=stats)))
        return completed

    def _kept(self, found: Found) -> Found:
        """Leave out what holds for independent rows only."""
        if not self._clustered:
            return found
        stats = {name: value for name, value in found.stats.items() if name not in ("evidence", "paired")}
        return found._replace(stats=stats)

    def _replicates(self, metric: str, of: str, group: int) -> Floats | None:
        if self._plan is None or self._state is None or (group and not self._sliced):
            return None
        if not self.drawable:
            return None
        return self._plan.replicates(self._state, metric, of, group)

    def _tail(self, metric: str, of: str, group: int) -> dict[str, Any]:
        """Return what a long tail of the rows does to a bound: a mean is skewed, a share's spread is known badly."""
        contributions = self._contributions(metric, of, group)
        if contributions is None:
            return {}
        if metric in SHARES_OF_SPREAD:
            return {"degrees": replicates.degrees(contributions)}
        return {"skewness": replicates.skewness(contributions)}

    def _tails(self, metric: str, group: int) -> dict[str, Any]:
        """Return what it does to the bounds of a difference."""
        new, old = (self._contributions(metric, of, group) for of in (CANDIDATE, BASELINE))
        if new is None or old is None:
            return {}
        if metric in SHARES_OF_SPREAD:
            return {"degrees": replicates.degrees(new - old)}
        return {"third_cumulants": replicates.third_cumulants(new, old)}

    def _contributions(self, metric: str, of: str, group: int) -> Floats | None:
        if self._plan is None or self._state is None:
            return None
        return self._plan.contributions(self._state, metric, of, group)

    def pack(self) -> dict[str, Any]:
        """Return the state as arrays, text and numbers."""
        state = {} if self._state is None else {"state": self._state.pack()}
        return {**state, "sliced": self._sliced, "clusters": self._clusters}

    def unpack(self, packed: Mapping[str, Any]) -> None:
        """Take the state of `pack`."""
        if self._state is not None:
            self._state.unpack(packed["state"])
        self._sliced, self._clusters = bool(packed["sliced"]), packed["clusters"]


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
