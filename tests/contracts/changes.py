"""What a call has changed in a store, or has not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from penstock.ports import MetadataStore
from tests.contracts.samples import MODEL


def kinds(store: MetadataStore) -> list[str]:
    """The kinds of all ledger entries, chain by chain."""
    return [entry.kind for entry in store.read_ledger()]


def unchanged(
    store: MetadataStore, call: Callable[[], Any], error: type[Exception], message: str | None = None
) -> None:
    """The call raises, and leaves no entry, version, move or run behind."""

    def seen() -> Any:
        runs = store.list_runs(None, 100)
        details = [store.get_run_details(run.run_id) for run in runs]
        registry = [store.list_models(), store.list_versions(MODEL), store.list_alias_moves(MODEL)]
        judgements = [(store.list_evaluations(run.run_id), store.list_decisions(run.run_id)) for run in runs]
        return runs, details, registry, judgements, list(store.read_ledger())

    before = seen()
    with pytest.raises(error, match=message):
        call()
    assert seen() == before


def refused_change(store: MetadataStore, call: Callable[[], Any], error: type[Exception]) -> None:
    """The call raises, and neither the registry nor the ledger has changed; its attempt may have begun."""
    before = (store.list_models(), store.list_versions(MODEL), store.list_alias_moves(MODEL), kinds(store))
    with pytest.raises(error):
        call()
    assert (store.list_models(), store.list_versions(MODEL), store.list_alias_moves(MODEL), kinds(store)) == before
