"""From a model URI to the logged model it names, and to a loaded predictor whose bytes have been verified."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from penstock.errors import InvalidValue, NotFound
from penstock.model.evaluations import BaselineRef
from penstock.model.ids import check_alias_name, check_model_name
from penstock.model.uris import AliasUri, FolderUri, LoggedModelUri, RunModelUri, VersionUri, parse_model_uri
from penstock.model.versions import LoggedModel, ModelVersion, VersionState
from penstock.ports import IsolatedModel, Limits, MetadataStore, Predictor
from penstock.services.fetching import fetch_files
from penstock.services.wiring import Wiring


@dataclass(frozen=True)
class FoundModel:
    """A logged model and, where the URI went through the registry, the version it stands for."""

    logged: LoggedModel
    version: ModelVersion | None = None


def find(store: MetadataStore, uri: str, *, deleted: bool = False) -> FoundModel:
    """Return the model that a `runs:/` or `models:/` URI names; `NotFound` says what there is instead.

    What was deleted is not found, but with `deleted` by its own id.
    """
    parsed = parse_model_uri(uri)
    if isinstance(parsed, RunModelUri):
        logged = store.find_model(parsed.run_id, parsed.name)
        if logged is None:
            store.get_run(parsed.run_id)
            raise NotFound("model", uri, f"Run {parsed.run_id} has logged no model named {parsed.name!r}")
        return FoundModel(logged)
    if isinstance(parsed, LoggedModelUri):
        logged = store.get_model(parsed.model_id)
        if logged.deleted and not deleted:
            raise NotFound("logged model", uri, "It was deleted; client.restore_model(...) brings it back")
        return FoundModel(logged)
    if isinstance(parsed, FolderUri):
        hint = "Log the model in a run first (run.log_model), so that its bytes are on record"
        raise InvalidValue("model URI", uri, "a runs:/ or models:/ URI", hint)
    if isinstance(parsed, AliasUri):
        version = find_by_alias(store, parsed.model, parsed.alias)
        return FoundModel(store.get_model(version.model_id), version)
    if parsed.version is None:
        latest = find_latest(store, parsed.model)
        return FoundModel(store.get_model(latest.model_id), latest)
    found = store.find_version(parsed.model, parsed.version)
    if found is None:
        raise NotFound("model version", uri, _what_there_is(store, parsed.model))
    if found.state is VersionState.DELETED:
        hint = f"It was deleted; bring it back: penstock models restore {found.model} {found.version} --reason ..."
        raise NotFound("model version", uri, hint)
    return FoundModel(store.get_model(found.model_id), found)


def find_latest(store: MetadataStore, name: str) -> ModelVersion:
    """Return the version with the highest number that is not deleted; `NotFound` if there is none."""
    found = store.find_version(check_model_name(name), None)
    if found is None:
        raise NotFound("model version", str(VersionUri(name, None)), _what_there_is(store, name))
    return found


def find_by_alias(store: MetadataStore, name: str, alias: str) -> ModelVersion:
    """Return the version an alias points to; `NotFound` says what there is instead."""
    found = store.find_aliased(check_model_name(name), check_alias_name(alias))
    if found is None:
        raise NotFound("model alias", str(AliasUri(name, alias)), _what_there_is(store, name))
    return found[1]


def find_baseline(store: MetadataStore, uri: str) -> tuple[BaselineRef, FoundModel | None]:
    """Return where a baseline URI points now, and its model; no model where its alias was never set."""
    parsed = parse_model_uri(uri)
    if isinstance(parsed, AliasUri):
        alias = store.find_alias(parsed.model, parsed.alias)
        if alias is None:
            return BaselineRef(uri, parsed.model, parsed.alias, None, 0), None
        found = find(store, str(VersionUri(parsed.model, alias.version)))
        payload = found.logged.payload_digest
        ref = BaselineRef(uri, parsed.model, parsed.alias, alias.version, alias.generation, payload)
        return ref, found
    found = find(store, uri)
    payload = found.logged.payload_digest
    if found.version is None:
        return BaselineRef(uri, payload_digest=payload), found
    return BaselineRef(uri, found.version.model, "", found.version.version, None, payload), found


def load(wiring: Wiring, uri: str, trusted_types: Sequence[str] | None = None) -> Predictor:
    """Load a model. Every file's checksum is verified before anything is loaded from it."""
    parsed = parse_model_uri(uri)
    if isinstance(parsed, FolderUri):
        folder = Path(parsed.path)
        if not folder.is_dir():
            raise NotFound("model folder", uri, "A model URI is runs:/..., models:/... or an existing folder")
        return wiring.model_format().load(folder, uri=uri, trusted_types=trusted_types)
    return load_logged(wiring, find(wiring.store, uri).logged, uri, trusted_types)


def load_logged(wiring: Wiring, logged: LoggedModel, uri: str, trusted_types: Sequence[str] | None = None) -> Predictor:
    """Fetch a logged model's files into a scratch folder of this user's and load it from there."""
    with tempfile.TemporaryDirectory(prefix="penstock-") as scratch:
        folder = Path(scratch)
        fetch_files(wiring.artifacts, logged.files, folder, uri)
        return wiring.model_format().load(folder, uri=uri, trusted_types=trusted_types)


def load_isolated(
    wiring: Wiring,
    logged: LoggedModel,
    uri: str,
    trusted_types: Sequence[str] | None = None,
    limits: Limits | None = None,
) -> IsolatedModel:
    """Fetch a logged model's files and load it in a clean process of its own, which the caller closes."""
    with tempfile.TemporaryDirectory(prefix="penstock-") as scratch:
        folder = Path(scratch)
        fetch_files(wiring.artifacts, logged.files, folder, uri)
        return wiring.model_format().load_isolated(folder, uri=uri, trusted_types=trusted_types, limits=limits)


def load_folder_isolated(
    wiring: Wiring, uri: str, trusted_types: Sequence[str] | None, limits: Limits
) -> IsolatedModel:
    """Load an MLmodel folder where it lies in a clean process of its own, which the caller closes."""
    parsed = parse_model_uri(uri)
    folder = Path(parsed.path if isinstance(parsed, FolderUri) else uri)
    return wiring.model_format().load_isolated(folder, uri=uri, trusted_types=trusted_types, limits=limits)


def _what_there_is(store: MetadataStore, model: str) -> str:
    newest = store.find_version(model, None)
    if newest is None:
        return f"No version of {model!r} has been registered"
    aliases = next((m.aliases for m in store.list_models() if m.name == model), {})
    named = ", ".join(f"{alias} -> {version}" for alias, version in sorted(aliases.items())) or "none"
    return f"{model!r} has versions up to {newest.version}; aliases: {named}"
