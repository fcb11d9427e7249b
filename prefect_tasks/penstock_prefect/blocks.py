"""The `PenstockStore` block: where records and bytes live, with the URL kept secret."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from prefect.blocks.core import Block
from pydantic import Field, SecretStr, ValidationError

from penstock.client import ARTIFACTS_VARIABLE, DEFAULT_URL, URL_VARIABLE, Client, connect
from penstock.errors import InvalidValue
from penstock_prefect.errors import BlockNotFound


class PenstockStore(Block):  # type: ignore[misc]  # mypy does not follow Prefect
    """A Penstock store: save it once, then name it in tasks and flows with `store="..."`.

    PenstockStore(url="sqlite:////srv/penstock/penstock.db", artifacts="/srv/penstock/artifacts").save("production")
    """

    _block_type_name = "Penstock Store"
    _block_type_slug = "penstock-store"
    _description = "Where Penstock keeps runs, evaluations, decisions and models: the store's URL and its artifacts."
    _code_example = (
        "```python\n"
        "from penstock_prefect import PenstockStore\n\n"
        'client = PenstockStore.load("production").get_client()\n'
        "```"
    )

    url: SecretStr = Field(
        description="Where records live, for example sqlite:////srv/penstock/penstock.db. Never shown after saving.",
    )
    artifacts: str | None = Field(
        default=None,
        description="The folder where bytes live; by default PENSTOCK_ARTIFACTS, else a folder beside the database.",
    )

    def get_client(self, host: Mapping[str, Any] | None = None) -> Client:
        """Return a client of this store; `host` are the orchestrator's coordinates, for the record of attempts."""
        return connect(self.url.get_secret_value(), self.artifacts, host=host)


def get_store(store: PenstockStore | str | None = None) -> PenstockStore:
    """Return the store a task was given: a block, a saved block by name, or the one the environment names.

    `BlockNotFound` says how to create a block that is missing. The environment is `PENSTOCK_URL` and
    `PENSTOCK_ARTIFACTS`, with Penstock's own defaults.
    """
    if isinstance(store, PenstockStore):
        return store
    if store is None:
        url = os.environ.get(URL_VARIABLE) or DEFAULT_URL
        return PenstockStore(url=SecretStr(url), artifacts=os.environ.get(ARTIFACTS_VARIABLE))
    if not isinstance(store, str):
        raise InvalidValue("store", type(store).__name__, "a PenstockStore block, the name of a saved one, or None")
    try:
        block: PenstockStore = PenstockStore.load(store, _sync=True)
    except ValueError as error:
        raise BlockNotFound(store) from error
    except RuntimeError as error:
        if not isinstance(error.__cause__, ValidationError):
            raise
        hint = f"Save it again with PenstockStore(url=...).save({store!r}, overwrite=True)"
        raise InvalidValue("block", store, "a PenstockStore block as this version saves it", hint) from error
    return block
