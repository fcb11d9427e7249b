"""`penstock gc`, `penstock models probation`, `ungate` and `gate`: what people type and what they are shown."""

from __future__ import annotations

import json
from pathlib import Path

import penstock
from tests.cli.command_line import EXPERIMENT, Run, one_run

POLICY = "name: later\nrules:\n  - at_least: {metric: roc_auc, value: 0.999}\n"


def test_gc_shows_what_would_go_and_removes_it_only_when_told_to(own: Path, own_cli: Run) -> None:
    assert "everything is kept" in own_cli("gc", "policy", "list").stdout
    done = own_cli("gc", "policy", "set", EXPERIMENT, "--keep-last", "1")
    assert (done.exit_code, "the newest 1" in done.stdout) == (0, True)
    assert "the newest 1" in own_cli("gc", "policy", "list").stdout
    dry = own_cli("gc", "--grace-hours", "0")
    assert dry.exit_code == 0
    assert "Nothing was changed. Do it with: penstock gc --yes" in dry.stdout
    foreseen = json.loads(own_cli("gc", "--grace-hours", "0", "--json").stdout)
    assert (foreseen["dry_run"], foreseen["runs"], foreseen["kept"]) == (True, 1, 3)
    found = json.loads(own_cli("gc", "--yes", "--grace-hours", "0", "--json").stdout)
    assert {**found, "dry_run": True} == foreseen
    again = own_cli("gc", "--yes", "--grace-hours", "0")
    assert "0 B freed." in again.stdout
    assert own_cli("verify").exit_code == 0
    assert own_cli("gc", "policy", "remove", EXPERIMENT).exit_code == 0
    missing = own_cli("gc", "policy", "remove", EXPERIMENT)
    assert (missing.exit_code, "penstock gc policy list" in missing.stderr) == (2, True)
    assert own_cli("gc", "policy", "set", EXPERIMENT).exit_code == 2


def test_a_model_that_is_ungated_says_so_wherever_it_is_shown(own: Path, own_cli: Run) -> None:
    model = f"runs:/{one_run(own_cli, '2024-05')['run']['run_id']}/model"
    refused = own_cli("models", "register", "toy", model)
    assert (refused.exit_code, "neither" in refused.stderr) == (2, True)
    assert own_cli("models", "ungate", "toy", "--reason", "a demonstration").exit_code == 0
    made = own_cli("models", "register", "toy", model)
    assert (made.exit_code, "ungated by" in made.stdout) == (0, True)
    assert "ungated by" in own_cli("models", "promote", "toy", "champion", "1").stdout
    assert "toy (ungated)" in own_cli("models", "list").stdout
    assert "a demonstration" in own_cli("models", "show", "toy").stdout
    assert "ungated" in own_cli("models", "history", "toy").stdout
    assert json.loads(own_cli("models", "show", "toy", "--json").stdout)["ungated"]["gated"] is False
    assert "is gated" in own_cli("models", "gate", "toy", "--reason", "serious now").stdout
    assert "(ungated)" not in own_cli("models", "list").stdout


def test_a_probation_is_shown_judged_and_ended(own: Path, own_cli: Run) -> None:
    policy = own / "later.yaml"
    policy.write_text(POLICY)
    model = f"runs:/{one_run(own_cli, '2024-05')['run']['run_id']}/model"
    own_cli("models", "ungate", "toy", "--reason", "a demonstration")
    own_cli("models", "register", "toy", model)
    wrong = own_cli("models", "promote", "toy", "champion", "1", "--probation-days", "3")
    assert (wrong.exit_code, "--probation" in wrong.stderr) == (2, True)
    promoted = own_cli("models", "promote", "toy", "champion", "1", "--probation", str(policy), "--probation-days", "3")
    assert promoted.exit_code == 0
    assert "open (later, 3 days)" in own_cli("models", "show", "toy").stdout
    assert "on probation: open (later, 3 days)" in own_cli("models", "history", "toy").stdout
    assert "open" in own_cli("models", "probation", "list", "toy").stdout
    assert "No probation has come to its end" in own_cli("models", "probation", "settle").stdout
    with penstock.connect(f"sqlite:///{own / 'penstock.db'}") as client:
        evaluation = client.evaluate("models:/toy@champion", str(own / "held-out.parquet"), label="late", step="later")
    judge = ("models", "probation", "judge", "toy", "champion", evaluation.evaluation_id[:12])
    dry = own_cli(*judge, "--backfill")
    assert (dry.exit_code, "nothing was recorded" in dry.stdout) == (1, True)
    judged = own_cli(*judge)
    assert (judged.exit_code, "no version before it" in judged.stdout) == (1, True)
    assert json.loads(own_cli("models", "probation", "list", "--json").stdout)[0]["state"] == "failed"
