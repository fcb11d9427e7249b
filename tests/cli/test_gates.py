"""Gates, decisions and what follows from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from penstock.cli.policy_words import stored_rule_in_words
from tests.cli.command_line import (
    CHAMPION,
    POLICY,
    Run,
    decision_of,
    one_run,
)

# ------------------------------------------------------------------------------------------------------- gate


def test_a_policy_is_said_in_words(cli: Run, sample: Path) -> None:
    text = cli("gate", "check", str(sample / "policy.yaml")).stdout
    assert "1. the data measured on is held-out data, has at least 100 rows and is not what the model" in text
    assert "2. roc_auc is at least 0.7" in text
    assert "on every slice of origin, each of 50 rows or more: roc_auc is at least 0.6" in text


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"at_most": {"metric": "log_loss", "value": 0.5}}, "log_loss is at most 0.5"),
        ({"between": {"metric": "positive_rate", "min": 0.1, "max": 0.2}}, "positive_rate is between 0.1 and 0.2"),
        ({"better_than": {"baseline": "champion", "metric": "f1", "by": 0}}, "f1 is better than champion's"),
        (
            {"not_suspiciously_better_than": {"baseline": "champion", "metric": "f1", "by_percent": 20}},
            "f1 is not suspiciously better than champion's: by 20 % at most",
        ),
        (
            {"requires": {"signature": True, "tags": ["owner", "team"], "max_size_mb": 5}},
            "the model has a signature, carries the tags owner and team and is no larger than 5 MB",
        ),
        (
            {"any_of": [{"at_least": {"metric": "f1", "value": 0.5}}, {"all_of": [{"held_out": {"min_rows": 1}}]}]},
            "any of these: f1 is at least 0.5; or all of these: "
            "the data measured on is held-out data and has at least 1 rows",
        ),
        ({"from_a_later_version": {}}, '{"from_a_later_version":{}}'),
    ],
)
def test_each_rule_has_its_words(rule: dict[str, Any], words: str) -> None:
    assert stored_rule_in_words(rule) == words


def test_a_policy_with_a_typo_suggests_the_right_name(cli: Run, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY.replace("roc_auc, value: 0.7", "roc_acu, value: 0.7"))
    result = cli("gate", "check", str(policy))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "unknown metric 'roc_acu'; did you mean 'roc_auc'?" in result.stderr


def test_a_decision_is_explained_rule_by_rule_with_what_it_binds(cli: Run) -> None:
    decision = decision_of(cli, "2024-02")
    text = cli("gate", "explain", decision[:8]).stdout
    assert "roc_auc on origin=JFK" in text
    assert "nothing: the gate did not open" in text
    assert "on-time@champion, the alias at generation 1" in text
    assert json.loads(cli("gate", "explain", decision, "--json").stdout)["verdict"] == "FAIL"


@pytest.mark.parametrize(
    ("partition", "verdict", "code"), [("2024-01", "PASS", 0), ("2024-02", "FAIL", 1), ("2024-03", "INCONCLUSIVE", 3)]
)
def test_the_gates_exit_code_is_its_verdict(own: Path, own_cli: Run, partition: str, verdict: str, code: int) -> None:
    evaluation = one_run(own_cli, partition)["evaluations"][0]["evaluation_id"]
    arguments = ["gate", "decide", evaluation[:8], "--policy", str(own / "policy.yaml"), "--model", "on-time"]
    for more in ([], ["--json"]):
        result = own_cli(*arguments, *more)
        assert result.exit_code == code
        assert verdict in result.stdout


def test_a_gate_that_cannot_be_asked_is_not_a_verdict(cli: Run, sample: Path, tmp_path: Path) -> None:
    policy = tmp_path / "empty.yaml"
    policy.write_text("name: nothing\nrules: []\n")
    result = cli("gate", "decide", "0" * 32, "--policy", str(policy), "--model", "on-time")
    assert (result.exit_code, result.stdout) == (2, "")


def test_a_model_goes_from_its_run_to_champion_by_commands_alone(own: Path, own_cli: Run) -> None:
    model = f"runs:/{one_run(own_cli, '2024-05')['run']['run_id']}/model"
    options = ["--label=late", f"--baseline={CHAMPION}", "--slice=origin", "--json"]
    measured = own_cli("evaluate", model, str(own / "held-out.parquet"), *options)
    assert (measured.exit_code, measured.stderr) == (0, "")
    evaluation = json.loads(measured.stdout)["evaluation_id"]
    arguments = ["--policy", str(own / "policy.yaml"), "--model", "on-time", "--json"]
    decision = json.loads(own_cli("gate", "decide", evaluation, *arguments).stdout)["decision_id"]
    registered = own_cli("models", "register", "on-time", model, "--decision", decision[:10])
    assert registered.stdout == f"models:/on-time/2 is {model}, PASS, decision {decision[:12]}\n"
    promoted = own_cli("models", "promote", "on-time", "champion", "v2", "--decision", decision)
    assert promoted.stdout == f"models:/on-time@champion: v1 → v2, PASS, decision {decision[:12]}\n"


def test_evaluating_again_shows_candidate_and_baseline_side_by_side(own: Path, own_cli: Run) -> None:
    model = f"runs:/{one_run(own_cli, '2024-02')['run']['run_id']}/model"
    held_out = str(own / "held-out.parquet")
    text = own_cli("evaluate", model, held_out, "--label=late", f"--baseline={CHAMPION}", "--slice=origin").stdout
    assert "candidate  champion v1  difference" in text
    assert "600 rows" in text


def test_a_model_that_failed_its_gate_is_not_registered(own_cli: Run) -> None:
    run = one_run(own_cli, "2024-02")
    decision = run["decisions"][0]["decision_id"]
    result = own_cli("models", "register", "on-time", run["models"][0]["run_id"], "--decision", decision)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("penstock: gate FAIL: ")


def test_data_that_is_not_there_is_said_in_one_line(own: Path, own_cli: Run) -> None:
    model = f"runs:/{one_run(own_cli, '2024-05')['run']['run_id']}/model"
    result = own_cli("evaluate", model, str(own / "nowhere.parquet"), "--label=late")
    assert result.exit_code == 2
    assert result.stderr.startswith("penstock: ")
    assert result.stderr.count("\n") == 1
