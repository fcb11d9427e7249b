"""Data that models are trained and measured on: where rows come from, and what is remembered of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from penstock.errors import InvalidValue

ROLES = ("train", "validation", "held-out")


@dataclass(frozen=True)
class SqlSource:
    """The rows of a query. `params` are its bound parameters: values never go into the text of the query.

    `database` is a URL as SQLAlchemy writes it, the name of an environment variable that holds one, or an SQLAlchemy
    engine. Neither a password nor a parameter is ever shown or recorded.
    """

    database: Any = field(repr=False)
    query: str
    params: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not self.query.strip():
            raise InvalidValue("query", self.query, "a SELECT statement")


@dataclass(frozen=True)
class DataSource:
    """Where rows come from and what their columns mean.

    `source` is a pandas DataFrame, an Arrow table, or a path (local, or `s3://bucket/key`) of a Parquet file, of a
    folder of Parquet files or of a CSV file (`.csv`, `.csv.gz`), a `SqlSource`, or batches: a list of DataFrames,
    Arrow tables or record batches, or a function without arguments that returns an iterator of them. A function, not
    an iterator, because rows are read more than once: to tell what they are before any work is done, and to work.

    `label` is the column to predict; `weight` holds row weights, `id` identifies a row, `time` says when it happened,
    `group` names what rows belong to together (queries of a ranking, clusters of a bootstrap). Predictions made
    already are in `prediction`, and in `scores`: one column, or one per class in the order of the model's classes.
    `drop` are columns that are none of these and no features. Every other column is a feature.
    """

    source: Any
    label: str | None = None
    name: str = ""
    id: str | None = None
    weight: str | None = None
    drop: tuple[str, ...] = ()
    time: str | None = None
    group: str | None = None
    prediction: str | None = None
    scores: str | tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        named = [column for columns in self.columns.values() for column in columns]
        if len(set(named)) != len(named):
            raise InvalidValue("data columns", named, "a column in one role only")

    @property
    def columns(self) -> Mapping[str, tuple[str, ...]]:
        """The columns that have a role, by role; a role that no column has is not there."""
        roles = {
            "label": self.label,
            "weight": self.weight,
            "id": self.id,
            "time": self.time,
            "group": self.group,
            "prediction": self.prediction,
            "scores": self.scores,
            "drop": self.drop,
        }
        named = {role: (given,) if isinstance(given, str) else tuple(given or ()) for role, given in roles.items()}
        return {role: columns for role, columns in named.items() if columns}

    @property
    def not_features(self) -> frozenset[str]:
        """The columns that a model must not see as features."""
        return frozenset(column for columns in self.columns.values() for column in columns)


@dataclass(frozen=True)
class ColumnProfile:
    """What one column holds. `nulls` counts NaN, too; the rest is about the other values.

    `minimum` and `maximum` are numbers, booleans, texts (cut short) or times in ISO 8601, None where values have no
    order or there are none; so is `mean`, of numbers and booleans; infinities are the texts "+inf" and "-inf", an
    undefined mean is None. `distinct` is exact where `distinct_exact`, else an estimate whose relative standard error
    is below 2 %.
    """

    dtype: str
    nulls: int
    distinct: int
    distinct_exact: bool
    minimum: Any = None
    maximum: Any = None
    mean: float | str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class Overlap:
    """How many held-out rows are also in the data that the model was trained on.

    Rows are the same when they agree in every one of `columns`: the training data's features and label, whatever
    their order. Its id, weight, time, group and prediction columns are not compared where it was logged with these
    roles. Of all rows a share `sampling_rate` was looked at, chosen by their content, so that the same row is chosen
    in both: `rows_found` of the `of_rows` held-out rows looked at (repeated rows count as often as they occur). At a
    rate of 1 both numbers are exact. `not_compared` names training data that shows nothing: it has columns which
    the held-out data lacks, or nothing was kept of its rows.
    """

    rows_found: int
    of_rows: int
    sampling_rate: float
    columns: tuple[str, ...]
    training_rows: int
    not_compared: tuple[str, ...] = ()

    @property
    def share(self) -> float | None:
        """The estimated share of held-out rows that are in the training data; None where no row was looked at."""
        return self.rows_found / self.of_rows if self.of_rows else None

    def miss_probability(self, leaked_rows: int) -> float:
        """Return the chance that not one of `leaked_rows` different leaked rows was looked at: (1 − r)^m."""
        return float((1.0 - self.sampling_rate) ** leaked_rows)

    def __str__(self) -> str:
        found = f"{self.rows_found:,} of {self.of_rows:,} rows also in training data"
        if self.sampling_rate < 1:
            found += f" (looked at {self.sampling_rate:.3g} of all; 10 leaked rows go unseen with probability "
            found += f"{self.miss_probability(10):.2g})"
        return found + (f"; not compared with {', '.join(self.not_compared)}" if self.not_compared else "")

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; the chance to miss ten leaked rows is there to be read."""
        listed = {"columns": list(self.columns), "not_compared": list(self.not_compared)}
        return {**self.__dict__, **listed, "miss_probability_of_10_rows": self.miss_probability(10)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Overlap:
        """Inverse of `to_json`."""
        kept = {name: value for name, value in data.items() if name != "miss_probability_of_10_rows"}
        listed = {"columns": tuple(data["columns"]), "not_compared": tuple(data["not_compared"])}
        return cls(**{**kept, **listed})


@dataclass(frozen=True)
class Dataset:
    """What is remembered of rows that were read: never the rows, always their digest.

    `digest` covers every cell of every row and does not depend on row order or on how the data was split. `schema`
    has pandas' name of each column's type. `earliest` and `latest` bound the time column, where there is one; times
    without a zone count as UTC. `rows_sha256` names the run's artifact that holds hashes of the rows. `overlap` is
    of held-out data, with what the model measured on it was trained on; None where no training data is on record.
    """

    name: str
    digest: str
    rows: int
    role: str
    source: str
    schema: Mapping[str, str] = field(default_factory=dict)
    profile: Mapping[str, ColumnProfile] = field(default_factory=dict)
    earliest: datetime | None = None
    latest: datetime | None = None
    rows_sha256: str = ""
    overlap: Overlap | None = None

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise InvalidValue("dataset role", self.role, f"one of {', '.join(ROLES)}")

    def age(self, now: datetime) -> timedelta | None:
        """Return how long ago the newest row happened; None without a time column."""
        return None if self.latest is None else now - self.latest

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        names = ("name", "digest", "rows", "role", "source")
        return {**{name: getattr(self, name) for name in names}, "schema": dict(self.schema), **self.facts}

    @property
    def facts(self) -> dict[str, Any]:
        """What is known beyond the columns' types, as plain JSON; what is not known is not there."""
        found = {
            "profile": {name: column.to_json() for name, column in self.profile.items()},
            "earliest": None if self.earliest is None else self.earliest.isoformat(),
            "latest": None if self.latest is None else self.latest.isoformat(),
            "rows_sha256": self.rows_sha256,
            "overlap": None if self.overlap is None else self.overlap.to_json(),
        }
        return {name: value for name, value in found.items() if value}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Dataset:
        """Inverse of `to_json`; also reads what an earlier version wrote, which knew less."""
        read: dict[str, Callable[[Any], Any]] = {
            "profile": lambda columns: {name: ColumnProfile(**column) for name, column in columns.items()},
            "earliest": datetime.fromisoformat,
            "latest": datetime.fromisoformat,
            "overlap": Overlap.from_json,
        }
        return cls(**{name: read[name](value) if name in read else value for name, value in data.items()})
