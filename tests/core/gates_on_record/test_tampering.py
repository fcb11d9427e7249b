"""What somebody with the database in his hands changes of approvals, overrides and anchors is found."""

from __future__ import annotations

import sqlite3

import pytest

import penstock
from tests.core.gates_on_record.stage import ASKING, AT_LEAST, MODEL, measured, released, trained

FORGERIES = {
    "UPDATE approval_answers SET answer = 'approve'": "approval answer",
    "UPDATE approval_answers SET reason = 'fine'": "approval answer",
    "DELETE FROM approval_answers": "approval answer",
    "UPDATE approval_requests SET document = replace(document, '\"four_eyes\":true', '\"four_eyes\":false')": (
        "approval request"
    ),
    "UPDATE overrides SET document = replace(document, 'because', 'approved')": "override",
    "UPDATE overrides SET expires_ms = expires_ms + 3600000": "override",
    "UPDATE anchors SET version = 2": "anchor",
    "DELETE FROM anchors": "anchor",
    "UPDATE looks SET verdict = 'FAIL' WHERE kind = 'dry_run'": "dry run",
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forgery_is_found(client: penstock.Client, vera: penstock.Client, url: str, forgery: str) -> None:
    vera.answer_approval(client.decide(measured(client, "a"), ASKING, model=MODEL), False, "no")
    vera.override(MODEL, trained(client, "b"), reason="because")
    released(client, "c")
    second = client.decide(measured(client, "d"), AT_LEAST, model=MODEL)
    client.register(MODEL, client.wiring.store.get_model(client.get_evaluation(second.evaluation_id).model_id), second)
    client.set_anchor(MODEL, 1, reason="trusted")
    client.dry_run(measured(client, "e"), AT_LEAST, model=MODEL)
    assert list(client.verify(read_bytes=False)) == []
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        guards = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (guard,) in guards:
            connection.execute(f"DROP TRIGGER {guard}")
        assert connection.execute(forgery).rowcount > 0
    assert [finding.check for finding in client.verify(read_bytes=False)] == [FORGERIES[forgery]]
