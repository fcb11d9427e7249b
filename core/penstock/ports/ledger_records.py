"""What a store does for the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from penstock.model.audit import AuditEvent, ChainHead, ChainId


class LedgerRecords(Protocol):
    """What a store does for the ledger."""

    def read_ledger(self, chain: ChainId | None = None) -> Iterator[AuditEvent]:
        """Yield the entries of one chain, or of all chains, in order."""
        ...

    def find_strays(self) -> Iterator[str]:
        """Yield what refers to something that is not there, in a few words; a sound store has none."""
        ...

    def list_chain_heads(self) -> Sequence[ChainHead]:
        """Return where each chain ends, by chain."""
        ...
