"""Alembic's entry: runs on the connection and inside the transaction that `schema.upgrade` holds."""

from alembic import context

given = context.config.attributes
context.configure(**{name: given[name] for name in ("connection", "version_table", "on_version_apply")})
context.run_migrations()
