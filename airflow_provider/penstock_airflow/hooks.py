"""From an Airflow connection to a client of the store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

if TYPE_CHECKING:
    from penstock import Client

DEFAULT_CONN_ID = "penstock_default"
EXTRAS = ("artifacts",)


class PenstockHook(BaseHook):  # type: ignore[misc]
    """Opens the store that a connection of type `penstock` names.

    The connection's `host` is the store URL (`sqlite:////srv/penstock/penstock.db`); its extra may hold `artifacts`,
    the folder where bytes live. Any other extra is refused, so that a misspelt one is not silently ignored.
    """

    conn_name_attr = "conn_id"
    default_conn_name = DEFAULT_CONN_ID
    conn_type = "penstock"
    hook_name = "Penstock store"

    def __init__(self, conn_id: str = DEFAULT_CONN_ID, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conn_id = conn_id

    def get_client(self, host_facts: Mapping[str, Any] | None = None) -> Client:
        """Connect. `host_facts` are this task's coordinates, for the record of what it does."""
        import penstock

        url, artifacts = self._store()
        return penstock.connect(url, artifacts, host=host_facts)

    def get_conn(self) -> Client:
        """Connect; the name that every Airflow hook has for it."""
        return self.get_client()

    def test_connection(self) -> tuple[bool, str]:
        """Open the store and read from it."""
        try:
            with self.get_client() as client:
                models = client.list_models()
                return True, f"the store answers: {len(models)} registered models, bytes in {client.artifact_location}"
        except Exception as error:  # noqa: BLE001 - the form shows any reason
            return False, str(error)

    def _store(self) -> tuple[str, str | None]:
        from airflow.sdk.exceptions import AirflowNotFoundException

        from penstock.errors import InvalidValue

        where = f"connection {self.conn_id!r}"
        try:
            found = self.get_connection(self.conn_id)
        except AirflowNotFoundException as error:
            hint = f"Add a connection {self.conn_id!r} of type 'penstock' whose host is the store URL"
            raise AirflowNotFoundException(f"{where} isn't defined. {hint}") from error
        if found.conn_type != self.conn_type:
            raise InvalidValue(f"type of {where}", found.conn_type, "'penstock'")
        if not found.host:
            raise InvalidValue(f"host of {where}", found.host, "the store URL, for example sqlite:////srv/penstock.db")
        extras = found.extra_dejson
        for option in extras:
            if option not in EXTRAS:
                # Only the option's name is shown: its value may be a secret.
                raise InvalidValue(f"unsupported connection option in {where}", option, f"only {', '.join(EXTRAS)}")
        return found.host, extras.get("artifacts") or None
