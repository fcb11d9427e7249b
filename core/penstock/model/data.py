"""Data that models are trained and measured on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.errors import InvalidValue

ROLES = ("train", "validation", "held-out")


@dataclass(frozen=True)
class DataSource:
    """Where rows come from and what their columns mean.

    `source` is a path of a Parquet or CSV file, a folder of Parquet files, a pandas DataFrame or an Arrow table.
    `label` is the column to predict; `weight` holds row weights, `id` identifies a row, `drop` are columns
    that are neither features nor any of these.
    """

    source: Any
    label: str | None = None
    name: str = ""
    id: str | None = None
    weight: str | None = None
    drop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        roles = [c for c in (self.label, self.id, self.weight, *self.drop) if c is not None]
        if len(set(roles)) != len(roles):
            raise InvalidValue("data columns", roles, "a column in one role only")


@dataclass(frozen=True)
class Dataset:
    """What is remembered of rows that were read: never the rows, always their digest.

    `digest` covers every cell of every row and does not depend on row order or on how the data was split.
    """

    name: str
    digest: str
    rows: int
    role: str
    source: str
    schema: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise InvalidValue("dataset role", self.role, f"one of {', '.join(ROLES)}")
