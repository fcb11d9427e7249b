"""The ledger, in this process's memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from penstock.model.audit import AuditEvent, ChainHead, ChainId
from penstock.stores.memory.records.base import InMemory


class MemoryLedgerRecords(InMemory):
    """Implements `penstock.ports.LedgerRecords`, where its methods are documented."""

    def read_ledger(self, chain: ChainId | None = None) -> Iterator[AuditEvent]:
        for found in sorted(self._state.chains, key=lambda chain: (chain.kind, chain.name)):
            if chain in {None, found}:
                yield from self._state.chains[found]

    def find_strays(self) -> Iterator[str]:
        yield from ()  # what is not there cannot be referred to: records hold each other

    def list_chain_heads(self) -> Sequence[ChainHead]:
        chains = sorted(self._state.chains.items(), key=lambda item: (item[0].kind, item[0].name))
        return [ChainHead(chain, entries[-1].sequence, entries[-1].hash) for chain, entries in chains]
