"""The SQL store: each method of the port is one transaction over the functions of this folder.

Writing methods are `retried`: what the database itself rolled back in favour of another writer is tried again.
"""

from __future__ import annotations

from penstock.stores.sql import schema
from penstock.stores.sql.dialects import open_database
from penstock.stores.sql.records.events import SqlEventRecords
from penstock.stores.sql.records.gates import SqlGateRecords
from penstock.stores.sql.records.judgements import SqlJudgementRecords
from penstock.stores.sql.records.ledger import SqlLedgerRecords
from penstock.stores.sql.records.models import SqlModelRecords
from penstock.stores.sql.records.probation import SqlProbationRecords
from penstock.stores.sql.records.registry import SqlRegistryRecords
from penstock.stores.sql.records.retention import SqlRetentionRecords
from penstock.stores.sql.records.runs import SqlRunRecords
from penstock.stores.sql.records.ungated import SqlUngatedRecords
from penstock.stores.sql.records.versions import SqlVersionRecords
from penstock.stores.sql.urls import StoreUrl, parse_store_url


class SqlStore(
    SqlRunRecords,
    SqlModelRecords,
    SqlJudgementRecords,
    SqlGateRecords,
    SqlRegistryRecords,
    SqlVersionRecords,
    SqlLedgerRecords,
    SqlEventRecords,
    SqlProbationRecords,
    SqlUngatedRecords,
    SqlRetentionRecords,
):
    """A `MetadataStore` in a SQL database. Safe to share between threads; a forked child reconnects by itself."""

    def __init__(self, url: StoreUrl | str) -> None:
        self.url = parse_store_url(url) if isinstance(url, str) else url
        super().__init__(open_database(self.url))
        try:
            schema.ensure(self._database)
        except BaseException:  # nobody else can: without a store there is nothing to close
            self._database.close()
            raise

    def __repr__(self) -> str:
        return f"SqlStore({str(self.url)!r})"

    def close(self) -> None:
        """Give back connections. The store may be used again afterwards."""
        self._database.close()
