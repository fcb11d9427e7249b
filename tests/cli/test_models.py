"""`penstock models`: the past, lineage, cards, checks, protection, stages, deletion."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

import penstock
from penstock.stores.sql.store import SqlStore
from tests.cli.command_line import CHAMPION, EXPERIMENT, Run, decision_of, one_run, runner_on
from tests.contracts import samples


def test_where_an_alias_pointed_is_said_with_who_and_why(cli: Run) -> None:
    result = cli("models", "as-of", "on-time", "champion", "2999-01-01")
    assert result.stdout.splitlines()[0] == "models:/on-time@champion was v1 on 2999-01-01 23:59:59 UTC"
    text = " ".join(result.stdout.split())
    for said in ("since", "none → v1", "vera (asserted)", decision_of(cli, "2024-01")[:12], "all 4 rules hold"):
        assert said in text
    moved = json.loads(cli("models", "as-of", "on-time", "champion", "2999-01-01", "--json").stdout)
    assert (moved["to_version"], moved["actor"]["subject"]) == (1, "vera")
    at = datetime.fromisoformat(moved["moved_at"])
    before = (at - timedelta(seconds=1)).astimezone(UTC).isoformat()
    result = cli("models", "as-of", "on-time", "champion", before)
    assert (result.exit_code, "It was first set on" in result.stderr) == (2, True)
    assert "is not a time such as" in cli("models", "as-of", "on-time", "champion", "yesterday").stderr


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_no_page_is_wider_than_the_terminal_or_cut_short(cli: Run, columns: int) -> None:
    for command in (("show", "on-time"), ("history", "on-time"), ("lineage", "on-time", "champion"), ("list",)):
        lines = cli("models", *command, columns=columns).stdout.splitlines()
        assert max(map(len, lines)) <= columns, command
        assert "…" not in "".join(lines)


def test_lineage_names_run_code_data_decision_and_moves(cli: Run) -> None:
    text = cli("models", "lineage", "on-time", "@champion").stdout
    run = one_run(cli, "2024-01")["run"]["run_id"]
    for said in (
        run,
        "train",
        "held-out",
        f"Decision {decision_of(cli, '2024-01')}",
        "Moves to it",
        "loads",
        "yes, seen",
    ):
        assert said in text
    found = json.loads(cli("models", "lineage", "on-time", "v1", "--json").stdout)
    (digest,) = (data["digest"] for data in found["run"]["inputs"] if data["role"] == "train")
    assert "models:/on-time/1" in cli("models", "trained-on", digest).stdout
    assert cli("models", "trained-on", "0" * 64).stdout == "No version was trained on this data.\n"
    assert (
        "a number such as 3 or v3, latest, or an alias (there are: champion)"
        in cli("models", "lineage", "on-time", "chalenger").stderr
    )


def test_a_card_is_printed_or_written(cli: Run, tmp_path: Path) -> None:
    assert cli("models", "card", "on-time", "latest").stdout.startswith("# on-time v1\n")
    page = tmp_path / "deep" / "card.html"
    result = cli("models", "card", "on-time", "1", "--html", "-o", str(page))
    assert result.stdout == f"Model card of models:/on-time/1: {page}\n"
    assert page.read_text().startswith("<!doctype html>")
    assert json.loads(cli("models", "card", "on-time", "1", "--json").stdout)["card"].startswith("# on-time")


def test_a_version_is_described_tagged_protected_and_shown_with_all_that(own_cli: Run) -> None:
    assert own_cli("models", "describe", "on-time", "Late [bold]flights[/bold]").stdout == "on-time is described\n"
    assert own_cli("models", "tag", "on-time", "team=delays", "old=x").exit_code == 0
    assert own_cli("models", "tag", "on-time", "old=").stdout == "on-time: team=delays\n"
    assert own_cli("models", "tag", "on-time", "nothing").exit_code == 2
    protected = own_cli("models", "protect", "on-time", "champion", "--actor", "ana", "--reason", "live")
    assert "is moved only through a gate, by ana (nobody checks who an actor is)" in protected.stdout
    text = own_cli("models", "show", "on-time").stdout
    for said in ("Late [bold]flights[/bold]", "team=delays", "champion (by ana)", "loads", "yes"):
        assert said in text
    refused = own_cli("models", "protect", "on-time", "champion", "--lift", "--reason", "x", PENSTOCK_ACTOR="bo")
    assert (refused.exit_code, "They are: ana" in refused.stderr) == (1, True)
    lifted = own_cli("models", "protect", "on-time", "champion", "--lift", "--reason", "x", PENSTOCK_ACTOR="ana")
    assert lifted.stdout == "models:/on-time@champion is protected no longer\n"


def test_a_check_says_what_it_saw_and_fails_with_exit_code_1(own: Path, own_cli: Run) -> None:
    seen = own_cli("models", "check", "on-time", "champion")
    assert (seen.exit_code, "loads and predicts 3 rows of its input example" in seen.stdout) == (0, True)
    with penstock.connect(f"sqlite:///{own / 'penstock.db'}") as client:
        files = client.lineage("on-time", 1).model.files
    for file in files:
        if file.path.endswith(".skops"):
            next((own / "artifacts").rglob(file.sha256)).unlink()
    failed = own_cli("models", "check", "on-time", "1")
    assert (failed.exit_code, "is corrupted" in failed.stdout) == (1, True)
    assert own_cli("models", "show", "on-time").stdout.split().count("no") == 1


def test_the_newest_rows_are_shown_with_how_many_there_are_and_the_store_is_not_asked_row_by_row(
    tmp_path: Path,
) -> None:
    with closing(SqlStore(f"sqlite:///{tmp_path / 'penstock.db'}")) as store:
        for generation, run in enumerate("abcd"):
            samples.released(store, run, generation=generation)
    cli, asked = runner_on(tmp_path), list[str]()

    def listen(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", listen)
    shown, moved = (cli("models", command, samples.MODEL, "--limit", "2").stdout for command in ("show", "history"))
    sa.event.remove(sa.Engine, "before_cursor_execute", listen)
    assert [sum(f"FROM {table}" in one for one in asked) for table in ("load_checks", "decisions")] == [1, 1]
    assert "The newest 2 of 4 versions; --limit shows more." in shown
    assert [f"v{number} " in shown for number in (1, 2, 3, 4)] == [False, False, True, True]
    assert "The last 2 of 4 moves; --limit shows more." in moved
    assert ["v2 → v3" in moved, "v1 → v2" in moved] == [True, False]
    assert "of 4" not in cli("models", "history", samples.MODEL, "--alias", samples.ALIAS).stdout
    everything = json.loads(cli("models", "show", samples.MODEL, "--json").stdout)
    assert (len(everything["versions"]), len(everything["load_checks"])) == (4, 4)
    assert len(json.loads(cli("models", "history", samples.MODEL, "--json", "--limit", "3").stdout)) == 3


def test_what_is_live_is_not_deleted_and_the_reference_is_named(own_cli: Run) -> None:
    result = own_cli("models", "delete", "on-time", "1", "--reason", "old")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "alias 'champion', which points to it. Move the alias first" in result.stderr
    assert own_cli("models", "delete", "on-time", "1").exit_code == 2


def test_a_version_goes_to_production_with_a_hint_and_comes_back_from_deletion(own: Path, own_cli: Run) -> None:
    model = f"runs:/{one_run(own_cli, '2024-05')['run']['run_id']}/model"
    measured = own_cli(
        "evaluate", model, str(own / "held-out.parquet"), "--label=late", f"--baseline={CHAMPION}", "--json"
    )
    policy = own / "stage.yaml"
    policy.write_text("name: stage\nrules:\n  - at_least: {metric: roc_auc, value: 0.7}\n")
    evaluation = json.loads(measured.stdout)["evaluation_id"]
    arguments = ["--policy", str(policy), "--model", "on-time", "--alias", "Production", "--json"]
    decision = json.loads(own_cli("gate", "decide", evaluation, *arguments).stdout)["decision_id"]
    assert own_cli("models", "register", "on-time", model, "--decision", decision).exit_code == 0
    deleted = own_cli("models", "delete", "on-time", "2", "--reason", "too early")
    assert deleted.stdout.startswith("models:/on-time/2 is deleted")
    assert "v2" not in own_cli("models", "show", "on-time").stdout
    assert own_cli("models", "card", "on-time", "latest").stdout.startswith("# on-time v1\n")  # as in a model URI
    refused = own_cli("models", "stage", "on-time", "2", "Production", "--decision", decision)
    assert (refused.exit_code, "deleted" in refused.stderr) == (1, True)
    assert own_cli("models", "restore", "on-time", "v2", "--reason", "now").stdout == "models:/on-time/2 is active\n"
    staged = own_cli("models", "stage", "on-time", "2", "production", "--decision", decision)
    assert staged.stdout == "models:/on-time/2 is in Production\n"
    assert "aliases say the same" in staged.stderr
    assert "Production" in own_cli("models", "show", "on-time").stdout
    assert own_cli("runs", "list", EXPERIMENT).exit_code == 0
