"""Models as Airflow assets: what a promotion tells of, and what DAGs are scheduled on."""

from __future__ import annotations

import re
from typing import Any

from airflow.sdk import Asset, AssetWatcher

from penstock_airflow.hooks import DEFAULT_CONN_ID

MODELS = "penstock://models/"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]*")


def model_asset(model: str, alias: str = "champion", *, conn_id: str = DEFAULT_CONN_ID) -> Any:
    """Return the asset `penstock://models/<model>@<alias>`, for a DAG's schedule: it tells of every move of the alias.

    Of a promotion in a DAG, `PromoteModelOperator` tells as it succeeds: it has this asset among its outlets. Of every
    other move (the command line, Prefect, rollbacks, a failed probation, another Airflow, a task that moved the alias
    and then failed) a watcher in the triggerer tells, which asks the store every `[penstock] watch_interval_s` seconds.
    Each move is told of at least once, with its `generation`: who must not act twice on one drops a generation that he
    has seen. `move_in(event)` reads what either of the two says.

    Airflow keeps one definition of an asset, that of the file parsed last. So there is one: nothing but the connection
    can be said differently in two files. Makes no connection.
    """
    from penstock_airflow.triggers import AliasMovedTrigger

    for field, value in (("model name", model), ("alias", alias)):
        if not is_name(value):
            from penstock.errors import InvalidValue

            raise InvalidValue(field, value, "letters, digits, '_', '.', '-'")
    watcher = AssetWatcher(f"{model}@{alias}", trigger=AliasMovedTrigger(model, alias, conn_id))
    return Asset(name=f"{model}@{alias}", uri=f"{MODELS}{model}@{alias}", group="model", watchers=[watcher])


def is_name(value: object) -> bool:
    """Whether this can name a model or an alias; a template cannot."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def move_in(event: Any) -> dict[str, Any]:
    """Return what an event of a model's asset says: model, alias, version, from_version, generation, decision_id, why.

    `event` is one of `triggering_asset_events` (or has an `extra` like it). Airflow wraps what a watcher says and
    leaves what a task says as it is; this tells them apart. Empty where the event was made by hand.
    """
    extra = dict(event.extra or {})
    return dict(extra.get("payload") or {}) if extra.get("from_trigger") else extra
