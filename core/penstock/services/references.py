"""References that arrive from other steps: small JSON that is never believed, only looked up (laws L1, L2)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penstock.errors import ForeignReference, InvalidValue
from penstock.ports import MetadataStore

_ID = re.compile(r"[0-9a-f]{32}")


def id_in(given: object, field: str) -> str:
    """Return the id in a reference: a mapping or object with `field`, or the id itself."""
    value: Any = given
    if isinstance(given, Mapping):
        value = given.get(field)
    elif not isinstance(given, str):
        value = getattr(given, field, None)
    if not isinstance(value, str) or not _ID.fullmatch(value):
        kind = field.removesuffix("_id")
        expected = f"a reference with {field!r}: 32 hexadecimal characters"
        raise InvalidValue(f"{kind} reference", given, expected, f"Pass what the {kind} step returned")
    return value


def check_belongs(
    store: MetadataStore, kind: str, name: str, made_in: str, run: object | None, accept_from: Sequence[str]
) -> None:
    """`ForeignReference` unless a thing was made in `run`, in one nested in it, or in a pipeline the code accepts."""
    if run is None:
        return
    expected = id_in(run, "run_id")
    if made_in == expected or expected in _parents(store, made_in):
        return
    if accept_from and store.get_run(made_in).key.pipeline in accept_from:
        return
    raise ForeignReference(kind, name, made_in, expected)


def _parents(store: MetadataStore, run_id: str) -> Iterator[str]:
    """Yield the runs that a run is nested in, from the inside out; a run's parent is older than it, so they end."""
    parent = store.get_run(run_id).parent_run_id
    while parent is not None:
        yield parent
        parent = store.get_run(parent).parent_run_id


def model_uri_in(given: object) -> str:
    """Return the model URI in a reference: what a training step returned, a logged model, or the URI itself."""
    value: Any = given
    if isinstance(given, Mapping):
        value = given.get("model")
    elif not isinstance(given, str):
        value = getattr(given, "uri", None)
    if not isinstance(value, str):
        raise InvalidValue("model reference", given, "a model URI, a logged model or its reference with 'model'")
    return value
