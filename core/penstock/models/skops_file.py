"""A skops file: an estimator as a zip of arrays and a tree of type names, with no code in it."""

from __future__ import annotations

import hashlib
import io
import json
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

with warnings.catch_warnings():
    # On import, skops asks every loaded module for the names of all ufuncs; in an Airflow process, moved names answer
    # with more than a thousand warnings.
    warnings.simplefilter("ignore")
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

from penstock.errors import InvalidValue, Untrusted

_SCHEMA = "schema.json"
_FROZENSET = ("ConstructorFromReduceNode", "frozenset")


def dump(model: Any, what: str, trusted_types: Sequence[str] = ()) -> tuple[bytes, tuple[str, ...]]:
    """Return `model` as the bytes of a skops file, and those of `trusted_types` that it needs, sorted.

    The same fitted model gives the same bytes in any process. `what` names it in messages. `Untrusted` when it holds
    types that are neither trusted by skops nor listed; `InvalidValue` when skops cannot write it.
    """
    try:
        written = skops.io.dumps(model)
    except Exception as error:  # skops calls the model's own __getstate__ and __reduce__
        cause = f"{type(error).__name__}: {error}"
        raise InvalidValue(what, type(model).__name__, "a model that skops can save", cause) from error
    needed = tuple(skops.io.get_untrusted_types(data=written))
    _vouch(what, needed, trusted_types)
    return canonical(written), needed


def load(path: Path, what: str, trusted_types: Sequence[str] = ()) -> Any:
    """Return the object in the skops file at `path`.

    `Untrusted`, before anything is constructed, when it holds types that are neither trusted by skops nor listed;
    `InvalidValue` when skops cannot load it.
    """
    try:
        return skops.io.load(path, trusted=list(trusted_types))
    except UntrustedTypesFoundException:
        _vouch(what, tuple(skops.io.get_untrusted_types(file=path)), trusted_types)
        raise
    except Exception as error:  # loading calls the trusted types' own __setstate__
        cause = f"{type(error).__name__}: {error}. Install the versions in the model's requirements.txt"
        raise InvalidValue(what, path.name, "a file that skops can load", cause) from error


def canonical(written: bytes) -> bytes:
    """Return a skops file with all that depends on the process that wrote it replaced.

    skops names arrays by memory address or random UUID, numbers objects by address and stamps the time. Here arrays
    are named by their content, objects are numbered in order of first appearance, sets are ordered, padding within
    arrays of structs is zero, and entries carry one fixed time and mode. Sharing between objects is kept, so stock
    skops loads the same model.
    """
    with zipfile.ZipFile(io.BytesIO(written)) as source:
        members = {name: _without_padding(name, source.read(name)) for name in source.namelist()}
    tree = json.loads(members.pop(_SCHEMA))
    names = {name: _content_name(name, content) for name, content in members.items()}
    _rename_files(tree, names)
    _order_sets(tree)
    _renumber(tree, {})
    entries = {names[name]: content for name, content in members.items()}
    entries[_SCHEMA] = json.dumps(tree, indent=1).encode()

    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(entries.items()):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # else it tells the operating system
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return target.getvalue()


def _vouch(what: str, needed: tuple[str, ...], trusted_types: Sequence[str]) -> None:
    missing = tuple(name for name in needed if name not in trusted_types)
    if missing:
        raise Untrusted(
            what, missing, f"If you have read their code and trust them, pass trusted_types={json.dumps(list(needed))}"
        )


def _without_padding(name: str, content: bytes) -> bytes:
    # A tree's nodes are C structs: the bytes between their fields hold whatever the memory held before.
    if not name.endswith(".npy"):
        return content
    array = np.load(io.BytesIO(content), allow_pickle=False)
    if not array.dtype.fields or not array.size:
        return content
    padding = np.ones(array.dtype.itemsize, dtype=bool)
    for dtype, offset, *_ in array.dtype.fields.values():
        padding[offset : offset + dtype.itemsize] = False
    # On the bytes themselves: numpy's copies of such arrays leave new rubbish in the gaps.
    clean = bytearray(content)
    rows = np.frombuffer(clean, dtype=np.uint8, offset=len(content) - array.nbytes)
    rows.reshape(-1, array.dtype.itemsize)[:, padding] = 0
    return bytes(clean)


def _content_name(name: str, content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32] + Path(name).suffix


def _nodes(tree: Any) -> list[Any]:
    return list(tree.values()) if isinstance(tree, dict) else tree if isinstance(tree, list) else []


def _rename_files(tree: Any, names: dict[str, str]) -> None:
    # A node's own "file" is a string; a user's dict key "file" holds a node, so the two cannot be confused.
    if isinstance(tree, dict) and isinstance(tree.get("file"), str):
        tree["file"] = names[tree["file"]]
    for node in _nodes(tree):
        _rename_files(node, names)


def _order_sets(tree: Any) -> None:
    # A set's order follows from string hashes, which differ from process to process.
    for node in _nodes(tree):
        _order_sets(node)
    if isinstance(tree, dict) and tree.get("__loader__") == "SetNode":
        tree["content"].sort(key=_without_ids)
    elif isinstance(tree, dict) and (tree.get("__loader__"), tree.get("__class__")) == _FROZENSET:
        for items in tree["content"]["content"]:  # the one argument of its constructor
            items["content"].sort(key=_without_ids)


def _without_ids(node: Any) -> str:
    def strip(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: strip(value) for key, value in part.items() if key != "__id__"}
        return [strip(value) for value in part] if isinstance(part, list) else part

    return json.dumps(strip(node))


def _renumber(tree: Any, numbers: dict[object, int]) -> None:
    # Whether equal strings and numbers are one object is the interpreter's affair: they are given one number by value.
    # Numbers start at 1, because skops does not remember an object whose number is 0.
    if isinstance(tree, dict) and isinstance(tree.get("__id__"), int):
        identity: object = tree["__id__"]
        if tree.get("__loader__") == "JsonNode":
            identity = tree["content"]
        tree["__id__"] = numbers.setdefault(identity, len(numbers) + 1)
    for node in _nodes(tree):
        _renumber(node, numbers)
