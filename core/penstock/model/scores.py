"""Batch scoring: where a model's predictions go, and what is remembered of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penstock.errors import InvalidValue


@dataclass(frozen=True)
class TableDestination:
    """A table of a database, which is there. The rows of one partition are replaced in one transaction.

    `database` is as in `SqlSource`: a URL as SQLAlchemy writes it, the name of an environment variable that holds one,
    or an SQLAlchemy engine; it is never shown or recorded. `partition_column` holds the partition's name.
    """

    database: Any = field(repr=False)
    table: str
    schema: str | None = None
    partition_column: str = "partition"

    def __post_init__(self) -> None:
        for name in ("table", "partition_column"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value.strip() or "\0" in value:
                raise InvalidValue(f"destination's {name}", value, "a name")

    def __str__(self) -> str:
        return f"table {self.schema}.{self.table}" if self.schema else f"table {self.table}"


@dataclass(frozen=True)
class FolderDestination:
    """A folder of Parquet files, one for each partition: `<partition>.parquet`, there as a whole or not at all."""

    folder: Path

    def __str__(self) -> str:
        return f"folder {self.folder}"


Destination = FolderDestination | TableDestination


def destination_of(given: object) -> Destination:
    """Return where predictions go; a path means a folder of Parquet files."""
    if isinstance(given, FolderDestination | TableDestination):
        return given
    if isinstance(given, str | Path) and str(given).strip() and "\0" not in str(given) and "://" not in str(given):
        return FolderDestination(Path(given))
    shown = f"{str(given).split('://')[0]}://..." if isinstance(given, str) and "://" in given else given
    raise InvalidValue("destination", shown, "a local folder or a TableDestination")


def check_partition(value: object) -> str:
    """Return `value` if it names a partition of a destination: a day, a month, a region."""
    if not isinstance(value, str) or not value.strip() or len(value) > 150 or not value.isprintable():
        raise InvalidValue("partition", value, "a printable text of at most 150 characters")
    return value


@dataclass(frozen=True)
class Scores:
    """Predictions that have been written: which model made them, of how many rows, and where they are."""

    model: str
    model_id: str
    version: int | None
    partition: str
    destination: str
    rows: int
    sha256: str | None = None

    @property
    def ref(self) -> dict[str, Any]:
        """A small JSON reference, to hand from step to step."""
        return dict(vars(self))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Scores:
        """Inverse of `ref`."""
        return cls(**data)
