"""From an Airflow connection to a client of the store."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseHook

from penstock_airflow.get_provider_info import connection_type

if TYPE_CHECKING:
    from penstock import Client
    from penstock_airflow.connections import StoreFields

DEFAULT_CONN_ID = "penstock_default"
TESTS_PER_MINUTE = 20


class PenstockHook(BaseHook):  # type: ignore[misc]
    """Opens the store that a connection of type `penstock` names; `penstock_airflow.connections` says how."""

    conn_name_attr = "conn_id"
    default_conn_name = DEFAULT_CONN_ID
    conn_type = "penstock"
    hook_name = "Penstock store"

    _tested: ClassVar[deque[float]] = deque(maxlen=TESTS_PER_MINUTE)

    def __init__(self, conn_id: str = DEFAULT_CONN_ID, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conn_id = conn_id

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the fields of the form for Airflow 3.1; later ones read the provider's `conn-fields`, as this does."""
        from wtforms import PasswordField, StringField  # type: ignore[import-untyped]

        fields = connection_type()["conn-fields"]
        kinds = {None: StringField, "password": PasswordField}
        return {
            name: kinds[field["schema"].get("format")](field["label"], description=field["description"])
            for name, field in fields.items()
        }

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return how the form shows the fields that every connection has, for Airflow 3.1."""
        behaviour = connection_type()["ui-field-behaviour"]
        return {name.replace("-", "_"): value for name, value in behaviour.items()}

    def get_client(self, host_facts: Mapping[str, Any] | None = None) -> Client:
        """Connect. `host_facts` are this task's coordinates, for the record of what it does."""
        import penstock

        found = self.store_fields()
        return penstock.connect(found.url, found.artifacts, host=host_facts, s3=found.s3)

    def get_conn(self) -> Client:
        """Connect; the name that every Airflow hook has for it."""
        return self.get_client()

    def store_fields(self) -> StoreFields:
        """Read the connection; `AirflowNotFoundException` says how to add it where there is none."""
        from penstock_airflow.compat import AirflowNotFoundException
        from penstock_airflow.connections import StoreFields

        where = f"connection {self.conn_id!r}"
        try:
            found = self.get_connection(self.conn_id)
        except AirflowNotFoundException as error:
            hint = f"Add a connection {self.conn_id!r} of type 'penstock' whose host is the store URL"
            raise AirflowNotFoundException(f"{where} isn't defined. {hint}") from error
        return StoreFields.of(where, found)

    def test_connection(self) -> tuple[bool, str]:
        """Open the store and read from it. Whoever may press the button learns nothing of other hosts by it."""
        from penstock.errors import Transient

        now = time.monotonic()
        if len(self._tested) == TESTS_PER_MINUTE and now - self._tested[0] < 60:
            return False, f"more than {TESTS_PER_MINUTE} tests within a minute: try again later"
        self._tested.append(now)
        try:
            with self.get_client() as client:
                models = client.list_models()
                return True, f"the store answers: {len(models)} registered models, bytes in {client.artifact_location}"
        except Transient as error:
            self.log.warning("Test of connection %r: %s", self.conn_id, error)
            return False, "the store cannot be reached from here; the log of this process says why"
        except Exception as error:  # noqa: BLE001 - the form shows any reason
            return False, str(error)
