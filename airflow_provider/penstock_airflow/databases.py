"""Databases that hold rows or predictions, by the Airflow connections that everybody has for them."""

from __future__ import annotations

from typing import Any

_DRIVERS = {"sqlite": "sqlite", "postgres": "postgresql+psycopg", "mysql": "mysql+pymysql"}


def engine_of(conn_id: str) -> Any:
    """Return an SQLAlchemy engine for the database of an Airflow connection; its secrets stay in the engine.

    SQLite, PostgreSQL and MySQL need no Airflow provider; any other database the hook of its own provider.
    """
    import sqlalchemy as sa
    from airflow.sdk import BaseHook

    from penstock.errors import InvalidValue
    from penstock_airflow.compat import AirflowNotFoundException

    where = f"connection {conn_id!r}"
    try:
        found = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException as error:
        raise AirflowNotFoundException(f"{where} isn't defined. Add the database that it is to name") from error
    if found.conn_type in _DRIVERS:
        file = found.conn_type == "sqlite"
        sslmode = found.extra_dejson.get("sslmode") if found.conn_type == "postgres" else None
        url = sa.URL.create(
            _DRIVERS[found.conn_type],
            username=None if file else found.login,
            password=None if file else found.password,
            host=None if file else found.host,
            port=None if file else found.port,
            database=found.host if file else found.schema,
            query={"sslmode": str(sslmode)} if sslmode else {},
        )
        return sa.create_engine(url, hide_parameters=True, poolclass=sa.NullPool)
    hook = BaseHook.get_hook(conn_id)
    if not hasattr(hook, "get_sqlalchemy_engine"):
        raise InvalidValue(f"type of {where}", found.conn_type, "that of a database which SQLAlchemy speaks to")
    return hook.get_sqlalchemy_engine({"hide_parameters": True})
