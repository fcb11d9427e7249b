"""Rows without owners: what refers to something that is not there.

The database's foreign keys refuse such rows; they are found all the same where somebody turned the keys off.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa

from penstock.stores.sql.tables import metadata

_SHOWN = 100  # of each foreign key: where one is broken, many are


@cache
def foreign_keys() -> Sequence[sa.ForeignKeyConstraint]:
    """Return the foreign keys of every table."""
    tables = metadata.sorted_tables
    return [key for table in tables for key in sorted(table.foreign_key_constraints, key=lambda key: str(key.name))]


def of(connection: sa.Connection, key: sa.ForeignKeyConstraint) -> Sequence[str]:
    """Return the values of a foreign key that have no owner, each once, the first hundred of them."""
    refers = f"{key.table.name} refers to {key.referred_table.name}"
    return [f"{refers} {tuple(row)}, which is not there" for row in connection.execute(_without_owner(key))]


@cache  # building it costs more than running it on a small store
def _without_owner(key: sa.ForeignKeyConstraint) -> sa.Select[Any]:
    owner = key.referred_table.alias("owner")
    pairs = [(element.parent, owner.c[element.column.name]) for element in key.elements]
    mine = [column for column, _ in pairs]
    here = sa.exists().where(*(its == column for column, its in pairs))
    return sa.select(*mine).where(*(column.is_not(None) for column in mine), ~here).distinct().limit(_SHOWN)
