"""`penstock events` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import penstock
from tests.cli.command_line import Run, runner_on
from tests.events.receiver import receiving

KEY = "penstock-key-never-to-be-printed"


@pytest.fixture
def cli(tmp_path: Path) -> Run:
    with penstock.connect(f"sqlite:///{tmp_path / 'penstock.db'}", actor="vera") as client:
        client.open_run("team/model", "a").close()
    return runner_on(tmp_path)


def test_events_are_listed_in_words_and_followed_by_their_cursor(cli: Run) -> None:
    listed = cli("events", "list", columns=120).stdout
    assert "run opened" in listed
    assert "vera" in listed
    first = json.loads(cli("events", "list", "--json").stdout)
    assert [event["type"] for event in first["events"]] == ["run_opened", "run_ended"]
    again = cli("events", "list", "--json", "--after", json.dumps(first["cursor"]))
    assert json.loads(again.stdout)["events"] == []
    assert cli("events", "list", "--model", "none").stdout == "No events.\n"
    wrong = cli("events", "list", "--after", "yesterday")
    assert (wrong.exit_code, "not a cursor" in wrong.stderr) == (2, True)


def test_a_webhook_is_added_told_and_removed(cli: Run, tmp_path: Path) -> None:
    with receiving() as receiver:
        url = f"http://127.0.0.1:{receiver.port}/"
        added = cli("events", "webhooks", "add", "team", url, "--secret", "TEAM_KEY", "--kind", "run_opened")
        assert added.stdout == f"Webhook team goes to {url}, signed with $TEAM_KEY.\n"
        assert "Nothing is due" in cli("events", "deliver", TEAM_KEY=KEY).stdout
        with penstock.connect(f"sqlite:///{tmp_path / 'penstock.db'}") as client:
            client.open_run("team/model", "b").close()
        refused = cli("events", "deliver", TEAM_KEY=KEY, PENSTOCK_WEBHOOK_HOSTS="")
        assert (refused.exit_code, "not public" in refused.stdout) == (1, True)
        unset = cli("events", "deliver", TEAM_KEY="")
        assert (unset.exit_code, "team (TEAM_KEY)" in unset.stderr) == (2, True)
        log = cli("events", "deliveries", columns=120).stdout
        assert "failed" in log
        everything = "".join(cli("events", *rest).output for rest in (["webhooks", "list"], ["deliveries"], ["list"]))
        assert KEY not in everything
        assert receiver.received == []
    assert cli("events", "webhooks", "remove", "team").stdout == "Webhook team is removed.\n"
    assert "No webhooks" in cli("events", "webhooks", "list").stdout
    missing = cli("events", "webhooks", "remove", "team")
    assert (missing.exit_code, "does not exist" in missing.stderr) == (2, True)
