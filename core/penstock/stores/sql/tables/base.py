"""What the tables share: the naming of their keys, and the columns that many of them have."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Integer,
    MetaData,
    String,
)
from sqlalchemy.sql.schema import SchemaItem

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# The same order of names everywhere: by code point, whatever the locale of a server's database.
NAME = String(250).with_variant(String(250, collation="C"), "postgresql")
PATH = String(1000).with_variant(String(1000, collation="C"), "postgresql")
DIGEST = String(64)


def workspace() -> Column[str]:
    """Whose the row is; part of every natural key."""
    return Column("workspace", NAME, nullable=False)


def ms(name: str, *, nullable: bool = False) -> Column[int]:
    """A time in milliseconds since the epoch."""
    return Column(name, BigInteger, nullable=nullable)


def step_columns() -> list[SchemaItem]:
    """Columns that name a step of a run."""
    return [
        Column("run_id", String(32), nullable=False),
        Column("step", NAME, nullable=False),
        Column("map_index", Integer, nullable=False),
    ]


def of_attempt() -> list[SchemaItem]:
    """Columns that say which attempt wrote a row, and the key that ties the row to it."""
    return [
        *step_columns(),
        Column("attempt", Integer, nullable=False),
        ForeignKeyConstraint(
            ["run_id", "step", "map_index", "attempt"],
            ["attempts.run_id", "attempts.step", "attempts.map_index", "attempts.attempt"],
        ),
    ]
