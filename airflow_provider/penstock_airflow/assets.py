"""Models as Airflow assets: what a promotion tells of, and what DAGs are scheduled on."""

from __future__ import annotations

import re
from typing import Any

from airflow.sdk import Asset, AssetWatcher

from penstock_airflow.hooks import DEFAULT_CONN_ID

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]*")


def model_asset(model: str, alias: str = "champion", *, conn_id: str = DEFAULT_CONN_ID) -> Any:
    """Return the asset `penstock://models/<model>@<alias>`, for a DAG's schedule: it tells of every move of the alias.

    Of a promotion in a DAG, `PromoteModelOperator` tells as it succeeds: it has this asset among its outlets. Of every
    other move (the command line, Prefect, rollbacks, a failed probation) a watcher in the triggerer tells, which asks
    the store every `[penstock] watch_interval_s` seconds.

    Airflow keeps one definition of an asset, that of the file parsed last. So there is one: nothing but the connection
    can be said differently in two files. Makes no connection.
    """
    from penstock_airflow.triggers import AliasMovedTrigger

    for field, value in (("model name", model), ("alias", alias)):
        if not is_name(value):
            from penstock.errors import InvalidValue

            raise InvalidValue(field, value, "letters, digits, '_', '.', '-'")
    watcher = AssetWatcher(f"{model}@{alias}", trigger=AliasMovedTrigger(model, alias, conn_id))
    return Asset(name=f"{model}@{alias}", uri=f"penstock://models/{model}@{alias}", group="model", watchers=[watcher])


def is_name(value: object) -> bool:
    """Whether this can name a model or an alias; a template cannot."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None
