"""Databases that hold rows or predictions, by the Airflow connections that everybody has for them."""

from __future__ import annotations

from typing import Any

POSTGRES_EXTRAS = (
    *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "ssl_min_protocol_version", "channel_binding"),
    *("gssencmode", "connect_timeout", "tcp_user_timeout", "target_session_attrs", "application_name", "options"),
    *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"),
)
"""Options of libpq that the extra of a PostgreSQL connection may hold, as for Airflow's own hook."""

# These say how Airflow's own hook behaves, not how the database is reached.
_OF_THE_HOOK = frozenset(("cursor", "enable_log_db_messages", "log_sql"))
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
        url = sa.URL.create(
            _DRIVERS[found.conn_type],
            username=None if file else found.login,
            password=None if file else found.password,
            host=None if file else found.host,
            port=None if file else found.port,
            database=found.host if file else found.schema,
            query=_libpq_options(where, found) if found.conn_type == "postgres" else {},
        )
        return sa.create_engine(url, hide_parameters=True, poolclass=sa.NullPool)
    hook = BaseHook.get_hook(conn_id)
    if not hasattr(hook, "get_sqlalchemy_engine"):
        raise InvalidValue(f"type of {where}", found.conn_type, "that of a database which SQLAlchemy speaks to")
    return hook.get_sqlalchemy_engine({"hide_parameters": True})


def _libpq_options(where: str, connection: Any) -> dict[str, str]:
    """Return a PostgreSQL connection's options; one that would be lost silently (`iam`, for example) is refused."""
    from penstock.errors import InvalidValue

    given = {name: value for name, value in connection.extra_dejson.items() if value is not None and value != ""}
    for name in given.keys() - _OF_THE_HOOK - set(POSTGRES_EXTRAS):
        # Only an option's name is shown: its value may be a secret.
        raise InvalidValue(f"unsupported option in the extra of {where}", name, f"only {', '.join(POSTGRES_EXTRAS)}")
    return {name: str(given[name]) for name in POSTGRES_EXTRAS if name in given}
