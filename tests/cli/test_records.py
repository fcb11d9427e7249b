"""Runs and models, as they are listed and shown."""

from __future__ import annotations

import json

import pytest

from penstock.cli.output import plain
from tests.cli.command_line import (
    EXPERIMENT,
    Run,
    decision_of,
    one_run,
)

# ------------------------------------------------------------------------------------------------------ runs


def test_runs_are_listed_newest_first_with_ids_to_copy_when_piped(cli: Run) -> None:
    lines = cli("runs", "list").stdout.splitlines()
    assert lines[0].split()[:3] == ["partition", "run", "experiment"]
    assert [line.split()[0] for line in lines[2:]] == ["2024-05", "2024-04", "2024-03", "2024-02", "2024-01"]
    assert all(len(line.split()[1]) == 32 for line in lines[2:])
    assert len(cli("runs", "list", "--limit", "2").stdout.splitlines()) == 4


def test_a_narrow_page_shortens_ids_and_cuts_nothing_else(cli: Run) -> None:
    result = cli("runs", "list", EXPERIMENT, columns=100)
    assert max(map(len, result.stdout.splitlines())) <= 100
    assert len(result.stdout.splitlines()[2].split()[1]) == 12
    assert "…" not in result.stdout
    assert cli("runs", "list", columns=20).exit_code == 0
    assert cli("runs", "list", "team/other").stdout == "No runs of experiment 'team/other'.\n"


@pytest.mark.parametrize("form", ["id", "prefix", "partition"])
def test_a_run_is_found_by_id_prefix_or_partition(cli: Run, form: str) -> None:
    run_id = one_run(cli, "2024-02")["run"]["run_id"]
    given = {"id": run_id, "prefix": run_id[:6], "partition": f"{EXPERIMENT}@2024-02"}[form]
    assert json.loads(cli("runs", "show", given, "--json").stdout)["run"]["run_id"] == run_id


def test_a_run_page_has_its_steps_params_models_numbers_and_reasons(cli: Run) -> None:
    text = cli("runs", "show", f"{EXPERIMENT}@2024-02").stdout
    for title in ("Steps", "Params", "Metrics", "Tags", "Inputs", "Models", "Evaluation ", "Decision "):
        assert f"\n{title}" in text
    assert "champion v1" in text
    assert "origin=EWR" in text
    assert "roc_auc is not worse than champion's by more than 0.01" in text
    assert "FAIL" in text


def test_what_a_run_said_is_taken_literally(cli: Run) -> None:
    text = cli("runs", "show", f"{EXPERIMENT}@2024-04").stdout
    assert r"[bold]closed[/bold] \x1b[31m" in text
    assert "\x1b" not in text


def test_numbers_that_are_not_finite_are_written_by_kind(cli: Run) -> None:
    result = cli("runs", "show", f"{EXPERIMENT}@2024-04", "--json")
    metrics = json.loads(result.stdout, parse_constant=pytest.fail)["metrics"]
    assert metrics == {"loss": "nan", "gain": "+inf"}
    assert plain({"x": [float("-inf")]}) == {"x": ["-inf"]}


def test_an_unknown_run_is_said_in_one_line(cli: Run) -> None:
    result = cli("runs", "show", "0" * 32)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"penstock: run '{'0' * 32}' does not exist. penstock runs list shows the runs there are\n"
    )
    assert "2024-01, 2024-02" in cli("runs", "show", f"{EXPERIMENT}@1999-01").stderr


# ---------------------------------------------------------------------------------------------------- models


def test_models_are_listed_with_their_aliases(cli: Run) -> None:
    assert "champion → v1" in cli("models", "list").stdout
    assert json.loads(cli("models", "list", "--json").stdout)[0]["aliases"] == {"champion": 1}


def test_a_models_versions_name_what_authorized_them(cli: Run) -> None:
    text = cli("models", "show", "on-time").stdout
    assert f"PASS, decision {decision_of(cli, '2024-01')[:12]}" in text


def test_a_models_history_says_who_moved_which_alias_and_why(cli: Run) -> None:
    text = cli("models", "history", "on-time").stdout
    assert "none → v1" in text
    assert "vera (asserted)" in text
    assert "all 4 rules hold, most narrowly: roc_auc is " in text
    assert "there was no champion to compare with" in " ".join(text.split())
    assert json.loads(cli("models", "history", "on-time", "--json").stdout)[0]["to_version"] == 1


def test_a_mistyped_model_gets_the_right_name(cli: Run) -> None:
    result = cli("models", "show", "on-tme")
    assert result.exit_code == 2
    assert "Did you mean 'on-time'?" in result.stderr
