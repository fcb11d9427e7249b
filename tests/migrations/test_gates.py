"""What gates keep is append-only, by the database's own word."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from penstock.model.overrides import Anchor
from penstock.stores.sql.store import SqlStore
from tests.contracts import gates, samples
from tests.contracts.samples import MODEL

TABLES = ("looks", "set_looks", "approval_requests", "approval_answers", "overrides", "anchors")


def test_the_database_refuses_to_rewrite_what_gates_keep(empty_url: str) -> None:
    store = SqlStore(empty_url)
    request = gates.asked(store)
    gates.say(store, request)
    model = samples.trained(store, "b")
    gates.given(store, gates.override_for(model.payload_digest))
    samples.released(store, "c")
    anchor = Anchor(MODEL, 1, 1, model.payload_digest, "because", gates.VERA)
    store.record_anchor(anchor, samples.event("anchor_set"))
    truncating = store.url.dialect == "postgresql"
    for table in TABLES:
        changes = [
            f"UPDATE {table} SET workspace = 'other'"
            if table != "approval_answers"
            else f"UPDATE {table} SET answer = 'reject'"
        ]
        changes += [f"DELETE FROM {table}", *([f"TRUNCATE {table} CASCADE"] if truncating else [])]
        for change in changes:
            with pytest.raises(sa.exc.IntegrityError, match="append-only"), store._database.writing() as connection:
                connection.exec_driver_sql(change)
    store.close()
