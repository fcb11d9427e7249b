"""Registered models: versions and aliases, changed only under an authorization on record (laws L2, L3)."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from penstock.errors import NotAuthorized, NotFound
from penstock.model import guarding
from penstock.model.ids import WORKSPACE
from penstock.model.names import check_new_model_name
from penstock.model.uris import RunModelUri
from penstock.model.versions import (
    Authorization,
    AuthorizationKind,
    LoggedModel,
    ModelVersion,
    RegisteredModel,
    VersionState,
)
from penstock.stores.sql import overrides, ungated
from penstock.stores.sql.dialects import insert_or_ignore, now_ms, unasked
from penstock.stores.sql.rows import Row, authorization_of, time_of, version_of
from penstock.stores.sql.tables import (
    aliases,
    authorizations,
    decisions,
    logged_models,
    model_versions,
    registered_models,
    runs,
)
from penstock.stores.sql.tables.versions import deleted_models, version_states

AUTHORIZATION = (
    authorizations.c.kind.label("a_kind"),
    authorizations.c.model.label("a_model"),
    authorizations.c.decision_id.label("a_decision_id"),
    authorizations.c.reason.label("a_reason"),
    authorizations.c.actor.label("a_actor"),
)
_STATE = sa.and_(
    version_states.c.workspace == model_versions.c.workspace,
    version_states.c.model == model_versions.c.model,
    version_states.c.version == model_versions.c.version,
)
VERSION_COLUMNS = (*model_versions.c, version_states.c.state.label("v_state"), *AUTHORIZATION)
VERSION_ROWS = model_versions.join(
    authorizations, model_versions.c.authorization_id == authorizations.c.authorization_id
).outerjoin(version_states, _STATE)
VERSIONS = sa.select(*VERSION_COLUMNS).select_from(VERSION_ROWS)


# Built once: building a statement costs as much as running it.
_given = authorizations.alias("given")
_OF_AUTHORIZATION = ("authorization_id", "kind", "model", "decision_id", "reason", "actor")
COVERING = (
    *(_given.c[name].label(f"g_{name}") for name in _OF_AUTHORIZATION),
    *(decisions.c[name].label(f"d_{name}") for name in ("verdict", "model", "alias", "payload_digest")),
)
"""What `check_covers` has to know of the authorization `given` and of its decision."""


def with_given(rows: sa.FromClause) -> sa.Join:
    """Join rows with the authorization whose id is the parameter `given`, and its decision, where they are there."""
    asked = sa.and_(_given.c.authorization_id == sa.bindparam("given"), _given.c.workspace == WORKSPACE)
    return rows.outerjoin(_given, asked).outerjoin(decisions, _given.c.decision_id == decisions.c.decision_id)


_HERE = (registered_models.c.workspace == WORKSPACE, registered_models.c.name == sa.bindparam("its_name"))
_LOCKED = sa.select(registered_models.c.last_version).where(*_HERE).with_for_update(key_share=True)
_COUNTED = unasked(sa.update(registered_models).where(*_HERE))
_KNOWN = VERSIONS.where(model_versions.c.authorization_id == sa.bindparam("given"))
_OF_MODEL = VERSIONS.where(model_versions.c.workspace == WORKSPACE, model_versions.c.model == sa.bindparam("of_model"))
_NUMBERED = _OF_MODEL.where(model_versions.c.version == sa.bindparam("of_version"))
_NEWEST = (
    _OF_MODEL.where(version_states.c.state.is_distinct_from(VersionState.DELETED.value))
    .order_by(model_versions.c.version.desc())
    .limit(1)
)
_INSERT = unasked(sa.insert(model_versions))
_TO_REGISTER = (
    sa.select(
        logged_models.c.run_id.label("m_run_id"),
        logged_models.c.name.label("m_name"),
        logged_models.c.payload_digest.label("m_payload_digest"),
        deleted_models.c.deleted_ms,
        runs.c.lifecycle_stage,
        model_versions.c.version.label("known_version"),
        *COVERING,
    )
    .select_from(
        with_given(
            logged_models.join(runs, runs.c.run_id == logged_models.c.run_id).outerjoin(
                deleted_models, deleted_models.c.model_id == logged_models.c.model_id
            )
        ).outerjoin(model_versions, model_versions.c.authorization_id == sa.bindparam("given"))
    )
    .where(logged_models.c.model_id == sa.bindparam("its_model_id"))
    .with_for_update(of=runs, key_share=True)
)


def check_covers(
    connection: sa.Connection,
    row: Row,
    authorization: Authorization,
    change: str,
    model: str,
    payload: str,
    alias: str | None,
) -> Authorization:
    """Return the authorization on record, if it covers a change: only what its decision or override named.

    The `row` has what there is of it, the columns of `COVERING`: none of them where it is not on record.
    """
    missing = row["g_authorization_id"] is None
    if missing and authorization.kind is AuthorizationKind.UNGATED:
        return ungated.allow(connection, authorization, change, model)
    if missing:
        raise NotAuthorized(change, "there is no such authorization on record")
    if row["g_kind"] == AuthorizationKind.UNGATED.value:
        raise NotAuthorized(change, "an ungated model's authorization is for one change, and this one has been used")
    if row["g_kind"] == AuthorizationKind.OVERRIDE.value:
        override = overrides.get(connection, authorization.authorization_id)
        override.check_covers(change, model, payload, alias, now_ms(connection))
        return _given_in(row)
    if row["d_verdict"] != "PASS":
        hint = "Only a passed decision authorizes a change"
        raise NotAuthorized(change, f"the gate said {row['d_verdict']}", hint)
    if row["d_model"] != model:
        raise NotAuthorized(change, f"the decision was made for model {row['d_model']!r}")
    if row["d_payload_digest"] != payload:
        raise NotAuthorized(change, "the decision judged another artifact", "Evaluate and decide on this one")
    if alias is not None and row["d_alias"] != alias:
        raise NotAuthorized(change, f"the decision was made for alias {row['d_alias']!r}")
    return _given_in(row)


def _given_in(row: Row) -> Authorization:
    return authorization_of({name: row[f"g_{name}"] for name in _OF_AUTHORIZATION})


def lock(connection: sa.Connection, model: str) -> int | None:
    """Make everybody else who registers or promotes under this name wait; return the highest number, if it is there."""
    last: int | None = connection.scalar(_LOCKED, {"its_name": model})
    return last


def reserve(connection: sa.Connection, model: str) -> int:
    """Make a registered model of this name, if there is none, and lock it; return its highest number."""
    last = lock(connection, model)
    if last is None:
        new = {"workspace": WORKSPACE, "name": model, "last_version": 0, "created_ms": now_ms(connection)}
        if connection.execute(insert_or_ignore(connection, registered_models), new).rowcount == 1:
            _check_unlike_others(connection, model)
        last = lock(connection, model)
    return last or 0


def add_version(
    connection: sa.Connection, model: str, logged: LoggedModel, authorization: Authorization, last: int
) -> tuple[ModelVersion, bool]:
    """Register under the number after `last` of a reserved name; return the version and whether this call made it.

    What is registered is the logged model as the store has it, whatever else `logged` may say.
    """
    asked = {"its_model_id": logged.model_id, "given": authorization.authorization_id}
    stored = connection.execute(_TO_REGISTER, asked).mappings().first()
    if stored is None:
        raise NotFound("logged model", logged.model_id)
    run_id, payload, change = stored["m_run_id"], stored["m_payload_digest"], f"registering {model!r}"
    if stored["known_version"] is not None:
        version = version_of(connection.execute(_KNOWN, {"given": authorization.authorization_id}).mappings().one())
        if (version.model, version.payload_digest) != (model, payload):
            raise NotAuthorized(change, f"its decision has registered {version.uri}")
        return version, False
    given = check_covers(connection, stored, authorization, change, model, payload, None)
    if stored["deleted_ms"] is not None or stored["lifecycle_stage"] == "deleted":
        raise guarding.deleted_model(str(RunModelUri(run_id, stored["m_name"])))
    time_ms, number = now_ms(connection), last + 1
    connection.execute(_COUNTED, {"its_name": model, "last_version": number})
    connection.execute(
        _INSERT,
        {
            "workspace": WORKSPACE,
            "model": model,
            "version": number,
            "model_id": logged.model_id,
            "run_id": run_id,
            "payload_digest": payload,
            "authorization_id": given.authorization_id,
            "created_ms": time_ms,
        },
    )
    return ModelVersion(model, number, logged.model_id, run_id, payload, given, time_of(time_ms)), True


def _check_unlike_others(connection: sa.Connection, model: str) -> None:
    """`InvalidValue` if a new name would be taken for one there is."""
    names = sa.select(registered_models.c.name).where(registered_models.c.workspace == WORKSPACE)
    check_new_model_name(model, connection.scalars(names))


def find_version(connection: sa.Connection, model: str, version: int | None) -> ModelVersion | None:
    """Return a version; the highest that is not deleted when `version` is None; None if there is none."""
    if version is None:
        row = connection.execute(_NEWEST, {"of_model": model}).mappings().first()
    else:
        row = connection.execute(_NUMBERED, {"of_model": model, "of_version": version}).mappings().first()
    return None if row is None else version_of(row)


def list_versions(connection: sa.Connection, model: str) -> Sequence[ModelVersion]:
    """Return a model's versions, newest first."""
    query = VERSIONS.where(model_versions.c.workspace == WORKSPACE, model_versions.c.model == model)
    rows = connection.execute(query.order_by(model_versions.c.version.desc())).mappings()
    return [version_of(row) for row in rows]


def list_models(connection: sa.Connection) -> Sequence[RegisteredModel]:
    """Return the registered models by name, with their aliases."""
    pointing: dict[str, dict[str, int]] = {}
    for row in connection.execute(sa.select(aliases).where(aliases.c.workspace == WORKSPACE)):
        pointing.setdefault(row.model, {})[row.alias] = row.version
    query = sa.select(registered_models).where(registered_models.c.workspace == WORKSPACE)
    return [
        RegisteredModel(row.name, row.last_version, pointing.get(row.name, {}), time_of(row.created_ms))
        for row in connection.execute(query.order_by(registered_models.c.name))
    ]
