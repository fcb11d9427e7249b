"""Stores as earlier schema revisions wrote them, kept as files beside this module.

Each was written by the code of its revision: two months of the tiny pipeline, a promotion each, a rollback, and a run
that is still open. On PostgreSQL it is what `pg_dump --inserts` said of it. Revision 1 was handed out alone, 2 to 8
together, so that no store stayed at one in between; that of 7 is kept as the one nearest to the schema of today, with
rows in what 2 to 7 brought. `keep.py` writes the next.
"""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path

import psycopg

from penstock.stores.sql import schema
from penstock.stores.sql.dialects import open_database
from penstock.stores.sql.urls import parse_store_url

ASSETS = Path(__file__).parent / "assets"
REVISIONS = ("0001", "0007")


def restored(revision: str, url: str, folder: Path) -> None:
    """Restore a store of an earlier revision: its records at `url` (an empty database), its bytes in `folder`."""
    assets = ASSETS / f"revision_{revision}"
    dialect = parse_store_url(url).dialect
    with tarfile.open(assets / f"{dialect}.artifacts.tar.gz") as bytes_of_it:
        bytes_of_it.extractall(folder, filter="data")
    if dialect == "sqlite":
        content = gzip.decompress((assets / "sqlite.db.gz").read_bytes())
        Path(url.removeprefix("sqlite:///")).write_bytes(content)
        return
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(gzip.decompress((assets / "postgresql.sql.gz").read_bytes()))


def upgraded(url: str) -> None:
    """Bring the schema of a database to what the code needs, as `penstock db upgrade` does."""
    database = open_database(parse_store_url(url))
    schema.upgrade(database)
    database.close()


def taken_over(scratch: Path) -> None:
    """Upgrade the oldest store there is, on SQLite."""
    url = f"sqlite:///{scratch / 'earlier.db'}"
    restored(REVISIONS[0], url, scratch)
    upgraded(url)
