"""The ledger, in a SQL database, each method one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from penstock.model.audit import AuditEvent, ChainHead, ChainId
from penstock.stores.sql import ledger, strays
from penstock.stores.sql.records.base import OnDatabase
from penstock.stores.sql.rows import event_of

_PAGE = 1000


class SqlLedgerRecords(OnDatabase):
    """Implements `penstock.ports.LedgerRecords`, where its methods are documented."""

    def read_ledger(self, chain: ChainId | None = None) -> Iterator[AuditEvent]:
        # A page at a time, each its own transaction: a reader may take its time without holding one open.
        after = None
        while True:
            with self._database.reading() as connection:
                rows = ledger.page(connection, chain, after, _PAGE)
            for after in rows:
                yield event_of(after)
            if len(rows) < _PAGE:
                return

    def find_strays(self) -> Iterator[str]:
        for key in strays.foreign_keys():
            with self._database.reading() as connection:
                found = strays.of(connection, key)
            yield from found

    def list_chain_heads(self) -> Sequence[ChainHead]:
        with self._database.reading() as connection:
            return ledger.heads(connection)
