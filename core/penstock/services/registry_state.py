"""What the registry holds, as it is stored: to be compared with what the ledger says of it."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.model.canonical import digest
from penstock.model.registry_state import named, stored_of_move
from penstock.model.statements import Statement
from penstock.ports import MetadataStore


def stored_of_registry(store: MetadataStore) -> Iterator[Statement]:
    """Yield what is stored of every model's versions, aliases and what stands beside them, a model at a time."""
    for model in store.list_models():
        for version in store.list_versions(model.name):
            of = (model.name, version.version)
            yield Statement("version", "payload", of, version.payload_digest)
            yield Statement("version", "state", of, version.state.value)
            yield Statement("version", "authorization", of, named(version.authorization))
            for check in store.list_load_checks(*of):
                said = (check.passed, digest(check.facts))
                yield Statement("load check", "(outcome, facts)", (*of, check.number), said)
        for name in model.aliases:
            alias = store.find_alias(model.name, name)
            if alias is not None:
                said_of = (alias.version, alias.generation)
                yield Statement("alias", "(version, generation)", (model.name, name), said_of)
        for move in store.list_alias_moves(model.name):
            yield from stored_of_move(move)
    for held in store.list_protections(None):
        after = {"actors": list(held.actors), "lifted": held.lifted}
        yield Statement("protection", "content", (held.model, held.alias, held.number), after)
