"""Metrics as they count now: whole histories in columns, and of each metric its last point.

Both reach into the metrics' primary key (run, step, map index, attempt, name, training step, time), one current attempt
after another, so that their cost follows what they return, not what the run or the store holds.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from penstock.model.history import MetricHistory
from penstock.model.runs import join_value
from penstock.stores.sql.dialects import read_points
from penstock.stores.sql.tables import attempts, metrics, steps

# By training step and time; what comes after only makes the order the same on every database.
_ORDER = (
    *(metrics.c.metric_step, metrics.c.time_ms),
    *(metrics.c.step, metrics.c.map_index, metrics.c.attempt, metrics.c.kind, metrics.c.value),
)
_PLACE = ("run_id", "step", "map_index", "attempt")
_OF_CURRENT = sa.and_(
    steps.c.run_id == attempts.c.run_id,
    steps.c.step == attempts.c.step,
    steps.c.map_index == attempts.c.map_index,
    attempts.c.attempt >= steps.c.visible_from,
)
_CURRENT = (
    sa.select(*(attempts.c[name] for name in _PLACE))
    .join_from(attempts, steps, _OF_CURRENT)
    .where(attempts.c.run_id == sa.bindparam("run"))
)


def _in(place: Any, table: Any = metrics) -> sa.ColumnElement[bool]:
    return sa.and_(*(table.c[name] == place.c[name] for name in _PLACE))


_NAMED = metrics.c.name == sa.bindparam("metric")
_COLUMNS = (metrics.c.metric_step, metrics.c.time_ms, metrics.c.value, metrics.c.kind)


def _holders_query() -> sa.Select[Any]:
    current = _CURRENT.subquery("present")
    return sa.select(current).where(sa.exists().where(_in(current), _NAMED))


def _points_query() -> sa.Select[Any]:
    current = _CURRENT.subquery("present")
    return sa.select(*_COLUMNS).join_from(current, metrics, _in(current)).where(_NAMED).order_by(*_ORDER)


def _points_of_one_query() -> sa.Select[Any]:
    """What a single attempt wrote lies in the key in order: nothing is sorted."""
    here = (metrics.c[name] == sa.bindparam(f"its_{name}") for name in _PLACE)
    in_order = (metrics.c.metric_step, metrics.c.time_ms, metrics.c.kind, metrics.c.value)
    return sa.select(*_COLUMNS).where(*here, _NAMED).order_by(*in_order)


def _last_query() -> sa.Select[Any]:
    """Find names, then of each the highest training step, then its latest time, each by one look into the key."""
    inner, at = metrics.alias("looked"), _CURRENT.cte("present")
    first = sa.select(sa.func.min(inner.c.name)).where(_in(at, inner)).scalar_subquery()
    names = sa.select(*(at.c[name] for name in _PLACE), first.label("name")).cte("names", recursive=True)
    following = sa.select(sa.func.min(inner.c.name)).where(_in(names, inner), inner.c.name > names.c.name)
    after = sa.select(*(names.c[name] for name in _PLACE), following.scalar_subquery())
    names = names.union_all(after.where(names.c.name.is_not(None)))
    highest = sa.select(sa.func.max(inner.c.metric_step)).where(_in(names, inner), inner.c.name == names.c.name)
    ends = sa.select(names, highest.scalar_subquery().label("metric_step")).where(names.c.name.is_not(None)).cte("ends")
    here = (_in(ends, inner), inner.c.name == ends.c.name, inner.c.metric_step == ends.c.metric_step)
    latest = sa.select(sa.func.max(inner.c.time_ms)).where(*here)
    lasts = sa.select(ends, latest.scalar_subquery().label("time_ms")).cte("lasts")
    same = [metrics.c[name] == lasts.c[name] for name in ("name", "metric_step", "time_ms")]
    columns = (metrics.c.name, metrics.c.kind, metrics.c.value)
    return sa.select(*columns).join_from(lasts, metrics, sa.and_(_in(lasts), *same)).order_by(*_ORDER)


_HOLDERS = _holders_query()
_POINTS = _points_query()
_POINTS_OF_ONE = _points_of_one_query()
_LAST = _last_query()


def points(connection: sa.Connection, run_id: str, name: str) -> MetricHistory:
    """Return a metric's current points, in memory bounded by what is returned."""
    holders = connection.execute(_HOLDERS, {"run": run_id, "metric": name}).all()
    if len(holders) != 1:
        return read_points(connection, _POINTS, {"run": run_id, "metric": name}) if holders else MetricHistory()
    its = {f"its_{column}": value for column, value in holders[0]._mapping.items()}
    return read_points(connection, _POINTS_OF_ONE, {**its, "metric": name})


def last(connection: sa.Connection, run_id: str) -> dict[str, float]:
    """Return the last point of each of a run's metrics: the highest training step, then the latest time."""
    return {row.name: join_value(row.kind, row.value) for row in connection.execute(_LAST, {"run": run_id})}
