"""Models and versions as a person names them, and what authorized a change as a person reads it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from penstock.cli.words import one_line, short, version, who
from penstock.errors import InvalidValue, NotFound

if TYPE_CHECKING:
    from penstock.client import Client
    from penstock.model.versions import AliasMove, Authorization, ModelVersion, RegisteredModel


def find_model(client: Client, name: str) -> RegisteredModel:
    """Return a registered model; `NotFound` suggests the name that was meant."""
    there = {model.name: model for model in client.list_models()}
    if name in there:
        return there[name]
    near = difflib.get_close_matches(name, there, n=1)
    known = ", ".join(sorted(there)[:10])
    hint = f"Did you mean {near[0]!r}?" if near else f"Registered: {known}" if known else "None is registered yet"
    raise NotFound("registered model", name, hint)


def find_version(client: Client, name: str, given: str) -> ModelVersion:
    """Return the version that `given` names: a number (`3`, `v3`), `latest`, or an alias (`champion`, `@champion`)."""
    model = find_model(client, name)
    number = given.removeprefix("v")
    if number.isascii() and number.isdigit() and len(number) < 10:
        return client.get_version(name, int(number))
    alias = given.removeprefix("@")
    if alias in model.aliases:
        return client.get_version(name, model.aliases[alias])
    if given == "latest":
        return client.get_latest_version(name)
    known = ", ".join(sorted(model.aliases)) or "none"
    raise InvalidValue("version", given, f"a number such as 3 or v3, latest, or an alias (there are: {known})")


def authorized_by(authorization: Authorization) -> str:
    """Return what authorized a change, in a few words."""
    if authorization.decision_id is None:
        return f"{authorization.kind.value} by {who(authorization.actor)}"
    return f"PASS, decision {short(authorization.decision_id)}"


def why_of(client: Client, authorization: Authorization) -> str:
    """Return why a change was allowed."""
    return whys_of(client, [authorization])[0]


def whys_of(client: Client, authorizations: Sequence[Authorization]) -> list[str]:
    """Return why each of these changes was allowed."""
    from penstock.cli.judgements import why

    decisions = client.find_decisions(list({one.decision_id for one in authorizations if one.decision_id is not None}))
    found = (decisions.get(one.decision_id or "") for one in authorizations)
    return [
        one_line(one.reason) if decision is None else why(decision)
        for one, decision in zip(authorizations, found, strict=True)
    ]


def moved(move: AliasMove) -> str:
    """Return a move as `v1 → v2`."""
    return f"{version(move.from_version)} → {version(move.to_version)}"
