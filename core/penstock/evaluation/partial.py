"""What one pass has found so far: mergeable, serialisable, and at the end the measurements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from penstock.errors import InvalidValue
from penstock.evaluation.answers import JudgedRows
from penstock.evaluation.describing import RowSummary
from penstock.evaluation.drawing import drawing_of
from penstock.evaluation.inference.replication import Replication
from penstock.evaluation.searching import Searching
from penstock.evaluation.slices import GroupIndex
from penstock.evaluation.state import packing
from penstock.evaluation.state.groups import GroupCodes
from penstock.evaluation.tasks.choosing import TASKS
from penstock.evaluation.tasks.custom import CustomState
from penstock.evaluation.tasks.task import Found, Settings
from penstock.model.custom_metrics import CustomMetric
from penstock.model.evaluations import ANCHOR, BASELINE, CANDIDATE, Measurement
from penstock.model.slices import read_slicing
from penstock.ports import Measured

ROLE = "held-out"
PAIRED_ANCHOR = "paired_anchor"  # in the candidate's stats, as `paired` is of the baseline


class Partial:
    """The state of an evaluation of some of the rows: `update` with batches, `merge` with others, then `result`.

    An anchor is a second comparison of the same candidate on the same rows: it has a state of its own, in which it is
    the baseline, so that whatever is known of a pair is known of this one, too.
    """

    def __init__(
        self,
        settings: Settings,
        slices: Sequence[str],
        summary: RowSummary,
        *,
        min_rows: int = 1,
        facts: Mapping[str, Any] | None = None,
        custom: Sequence[CustomMetric] = (),
    ) -> None:
        self._settings, self._slices, self._min_rows, self._facts = settings, tuple(slices), min_rows, dict(facts or {})
        self._index = GroupIndex([read_slicing(name) for name in slices])
        self._summary = summary
        self._names = [metric.name for metric in custom]
        self._counted = _Counted(settings, tuple(of for of in settings.of if of != ANCHOR), custom)
        self._anchored = _Counted(settings, (CANDIDATE, BASELINE), custom) if ANCHOR in settings.of else None
        self._drawn = drawing_of(settings) if settings.plots else None
        self._searched = Searching(self._counted.settings, min_rows) if settings.search_slices else None

    def update(self, batch: pd.DataFrame, rows: JudgedRows) -> None:
        """Add a batch and what the models said about it."""
        self._summary.update(batch)
        groups = self._index.codes(batch)
        answers = dict(rows.answers)
        anchor = answers.pop(ANCHOR, None)
        self._counted.update(replace(rows, answers=answers), groups)
        if self._anchored is not None and anchor is not None:
            pair = {CANDIDATE: answers[CANDIDATE], BASELINE: anchor}
            self._anchored.update(replace(rows, answers=pair), groups)
        if self._drawn is not None:
            self._drawn.update(replace(rows, answers=answers))
        if self._searched is not None:
            self._searched.update(batch, replace(rows, answers=answers))

    def merge(self, other: Partial) -> None:
        """Add the rows of another part. `InvalidValue` if it was not made with the same settings."""
        mine, theirs = self._declared(), other._declared()
        if mine != theirs:
            odd = [name for name in mine if mine[name] != theirs[name]]
            given = {name: theirs[name] for name in odd}
            raise InvalidValue(
                "parts of an evaluation", given, f"the first part's { ({name: mine[name] for name in odd}) }"
            )
        places = self._index.merge(other._index)
        self._counted.merge(other._counted, places, self._index.size)
        if self._anchored is not None and other._anchored is not None:
            self._anchored.merge(other._anchored, places, self._index.size)
        if self._drawn is not None and other._drawn is not None:
            self._drawn.merge(other._drawn)
        if self._searched is not None and other._searched is not None:
            self._searched.merge(other._searched)
        self._summary.merge(other._summary)

    def _declared(self) -> dict[str, Any]:
        return {
            **self._settings.to_json(),
            "slices": list(self._slices),
            "min_rows": self._min_rows,
            "custom": self._names,
        }

    def result(self) -> Measured:
        """Return everything measured, all rows first, then slice by slice; `InvalidValue` for no rows."""
        dataset = self._summary.result(ROLE)
        groups, rows = self._index.result(), self._counted.state.rows()
        found: dict[int, list[Measurement]] = {}
        slices = dict(groups)
        for group, of, metric in self._measured():
            n = int(rows[group])
            value, cause, stats = metric.value, metric.cause, metric.stats
            if group and n < self._min_rows:
                value, cause, stats = None, f"too few rows: {n} of at least {self._min_rows}", {}
            where = dict(slices[group])
            measured = Measurement(metric.metric, of, value, n, where, metric.unit, cause, dict(stats))
            found.setdefault(group, []).append(measured)
        measurements = [measured for group, _ in groups for measured in found.get(group, ())]
        curves = self._counted.state.curves()
        for of, points in ({} if self._drawn is None else self._drawn.curves()).items():
            curves[of] = {**curves.get(of, {}), **points}
        facts = self._facts if self._searched is None else {**self._facts, "slice_search": self._searched.result()}
        return Measured(dataset, self._settings.task, tuple(measurements), curves, facts)

    def _measured(self) -> Iterator[tuple[int, str, Found]]:
        if self._anchored is None:
            yield from self._counted.measured()
            return
        anchored = list(self._anchored.measured())
        pairs = {(g, m.metric): m.stats["paired"] for g, of, m in anchored if of == CANDIDATE and "paired" in m.stats}
        for group, of, metric in self._counted.measured():
            pair = pairs.get((group, metric.metric)) if of == CANDIDATE else None
            yield group, of, metric if pair is None else metric._replace(stats={**metric.stats, PAIRED_ANCHOR: pair})
        for group, of, metric in anchored:
            if of == BASELINE:
                yield group, ANCHOR, metric

    def pack(self) -> bytes:
        """Return the state as bytes, which `unpack` reads on another machine."""
        return packing.pack(
            {
                "settings": self._settings.to_json(),
                "slices": list(self._slices),
                "min_rows": self._min_rows,
                "facts": self._facts,
                "index": self._index.pack(),
                "custom": self._names,
                "counted": self._counted.pack(),
                "anchored": None if self._anchored is None else self._anchored.pack(),
                "drawn": None if self._drawn is None else self._drawn.pack(),
                "searched": None if self._searched is None else self._searched.pack(),
                "summary": self._summary.pack(),
            }
        )

    @classmethod
    def unpack(cls, packed: bytes, summary: RowSummary, custom: Sequence[CustomMetric] = ()) -> Partial:
        """Inverse of `pack`, into an empty `summary` made as the part's was. `InvalidValue` without its own metrics."""
        tree = packing.unpack(packed)
        names = [metric.name for metric in custom]
        if tree["custom"] != names:
            raise InvalidValue("metrics of one's own", names, f"those the part was made with, {tree['custom']}")
        settings = Settings.from_json(tree["settings"])
        made = cls(settings, tree["slices"], summary, min_rows=tree["min_rows"], facts=tree["facts"], custom=custom)
        made._index.unpack(tree["index"])
        made._counted.unpack(tree["counted"])
        if made._anchored is not None:
            made._anchored.unpack(tree["anchored"])
        if made._drawn is not None:
            made._drawn.unpack(tree["drawn"])
        if made._searched is not None:
            made._searched.unpack(tree["searched"])
        made._summary.unpack(tree["summary"])
        return made


class _Counted:
    """What is counted of a candidate and at most one other: the task's state, replicates, metrics of one's own."""

    def __init__(self, settings: Settings, of: tuple[str, ...], custom: Sequence[CustomMetric]) -> None:
        self.settings = own = replace(settings, of=of)
        self.state = TASKS[settings.task][1](own)
        self._replication = Replication(own, settings.bootstrap, settings.clustered)
        self._custom = CustomState(custom, own) if custom else None

    def update(self, rows: JudgedRows, groups: GroupCodes) -> None:
        self.state.update(rows, groups)
        self._replication.update(rows, groups)
        if self._custom is not None:
            self._custom.update(rows, groups, self._replication.keys(rows) if self.settings.bootstrap else None)

    def merge(self, other: _Counted, places: NDArray[np.intp], size: int) -> None:
        self.state.merge(other.state, places, size)
        self._replication.merge(other._replication, places, size)
        if self._custom is not None and other._custom is not None:
            self._custom.merge(other._custom, places, size)

    def measured(self) -> Iterator[tuple[int, str, Found]]:
        """Yield (group, role, metric)."""
        yield from self._replication.completed(self.state.measure())
        if self._custom is not None:
            yield from self._custom.measure(self._replication.drawable)

    def pack(self) -> dict[str, Any]:
        custom = None if self._custom is None else self._custom.pack()
        return {"state": self.state.pack(), "replication": self._replication.pack(), "custom": custom}

    def unpack(self, packed: Mapping[str, Any]) -> None:
        self.state.unpack(packed["state"])
        self._replication.unpack(packed["replication"])
        if self._custom is not None:
            self._custom.unpack(packed["custom"])
