"""What the records of every noun share: the database they are in."""

from __future__ import annotations

from penstock.stores.sql.database import Database


class OnDatabase:
    """Records in one database. Each method of its subclasses is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
