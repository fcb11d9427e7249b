"""The command line, as a person or a CI job uses it."""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from sklearn.linear_model import LogisticRegression

import penstock
from penstock.cli.app import app
from penstock.cli.output import plain
from penstock.cli.policy_words import stored_rule_in_words
from penstock.cli.stories import print_stories
from penstock.cli.words import duration, series, size
from penstock.model.runs import RunStatus
from penstock.services.active_run import ActiveRun

EXPERIMENT = "team/on-time"
CHAMPION = "models:/on-time@champion"
POLICY = """\
name: on-time
when_no_baseline: pass
rules:
  - held_out: {min_rows: 100, not_training_data: true}
  - at_least: {metric: roc_auc, value: 0.7}
  - no_worse_than: {baseline: champion, metric: roc_auc, margin: 0.01}
  - every_slice: {by: origin, min_rows: 50, rule: {at_least: {metric: roc_auc, value: 0.6}}}
"""
SOURCE = Path(penstock.__file__).parents[1]
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("PENSTOCK_")} | {"PYTHONPATH": str(SOURCE)}
Run = Callable[..., Result]


def rows_of(seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    signal_, noise = random.normal(size=600), random.normal(size=600)
    late = signal_ + random.normal(size=600) > 0
    return pd.DataFrame({"late": late, "signal": signal_, "noise": noise, "origin": np.resize(["EWR", "JFK"], 600)})


def train(run: ActiveRun, seed: int, column: str) -> Any:
    rows = rows_of(seed)
    model = LogisticRegression().fit(rows[[column]], rows["late"])
    run.log_metrics({"train_rows": len(rows)})
    run.log_input(rows, role="train", label="late", name="rows")
    return run.log_model(model, "model", input_example=rows[[column]].head(3))


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a run that passed, one that failed its gate, one left undecided, one that broke and one to judge."""
    folder = tmp_path_factory.mktemp("sample")
    policy, held_out = folder / "policy.yaml", folder / "held-out.parquet"
    policy.write_text(POLICY)
    rows_of(99).to_parquet(held_out)
    with penstock.connect(f"sqlite:///{folder / 'penstock.db'}", actor="vera") as client:
        for month, column, baseline in (
            ("2024-01", "signal", CHAMPION),
            ("2024-02", "noise", CHAMPION),
            ("2024-03", "signal", None),
        ):
            with client.open_run(EXPERIMENT, month, params={"column": column}, tags={"team": "delays"}) as run:
                model = train(run, int(month[-2:]), column)
                evaluation = client.evaluate(
                    model, str(held_out), label="late", baseline=baseline, slices=["origin"], run=run
                )
                decision = client.decide(evaluation, str(policy), model="on-time", run=run)
                if decision.passed:
                    version = client.register("on-time", model, decision, run=run)
                    client.promote("on-time", "champion", version, decision, run=run)
        broken = client.open_run(EXPERIMENT, "2024-04")
        broken.log_metrics({"loss": float("nan"), "gain": float("inf")})
        broken.close(RunStatus.FAILED, "RuntimeError: the warehouse was [bold]closed[/bold] \x1b[31m")
        with client.open_run(EXPERIMENT, "2024-05") as run:
            train(run, 5, "signal")
    return folder


@pytest.fixture
def own(sample: Path, tmp_path: Path) -> Path:
    """The sample once more, for a test that changes it."""
    return Path(shutil.copytree(sample, tmp_path / "own"))


def runner_on(folder: Path) -> Run:
    def run(*arguments: str, columns: int | None = None, **environment: str) -> Result:
        url = f"sqlite:///{folder / 'penstock.db'}"
        env = {"PENSTOCK_URL": url, "COLUMNS": None if columns is None else str(columns), **environment}
        return CliRunner().invoke(app, list(arguments), env=env)

    return run


@pytest.fixture
def cli(sample: Path) -> Run:
    return runner_on(sample)


@pytest.fixture
def own_cli(own: Path) -> Run:
    return runner_on(own)


def one_run(cli: Run, partition: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cli("runs", "show", f"{EXPERIMENT}@{partition}", "--json").stdout)
    return found


def decision_of(cli: Run, partition: str) -> str:
    return str(one_run(cli, partition)["decisions"][0]["decision_id"])


def commands(group: click.Command = app, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(group, click.Group):
        for name, command in group.commands.items():
            yield from commands(command, (*path, name))


def python(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT, **options)


# ------------------------------------------------------------------------------------------------------- usage


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_every_command_has_help(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*path, "--help"])
    assert result.exit_code == 0
    assert result.output.startswith("Usage: ")
    assert len(result.output.splitlines()[2].strip()) > 10


@pytest.mark.parametrize(
    "path", [p for p in commands() if len(p) == 2 or p in {("evaluate",), ("report",), ("ledger",)}]
)
def test_every_command_takes_json(path: tuple[str, ...]) -> None:
    assert "--json" in CliRunner().invoke(app, [*path, "--help"]).output


def test_help_loads_neither_the_database_nor_the_drawing_nor_the_measuring_libraries() -> None:
    code = (
        "import sys, penstock.cli\n"
        "sys.argv = ['penstock', 'runs', 'show', '--help']\n"
        "try:\n    penstock.cli.main()\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "print(sorted({'sqlalchemy', 'alembic', 'rich', 'pandas', 'numpy', 'yaml', 'sklearn'} & set(sys.modules)))\n"
    )
    assert python("-c", code).stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("runs", "list", "--nonsense"),
        ("runs", "list", "--limit", "nan"),
        ("runs", "list", "--limit", "0"),
        ("models", "promote", "on-time", "champion", "1.5", "--decision", "abcdef"),
        ("models", "promote", "on-time", "champion", "0", "--decision", "abcdef"),
        ("runs", "show", "abc"),
        ("runs", "show", "a" * 32 + "\n"),
        ("gate", "check", "no-such-file.yaml"),
        ("ledger", "--model", "on-time", "--experiment", EXPERIMENT),
        ("--url", "oracle://me:secret@host/db", "runs", "list"),
    ],
)
def test_wrong_usage_exits_2_and_says_so_on_stderr(cli: Run, arguments: tuple[str, ...]) -> None:
    result = cli(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr
    assert "secret" not in result.stderr


def test_no_arguments_at_all_show_the_usage_and_exit_2() -> None:
    result = python("-m", "penstock.cli")
    assert result.returncode == 2
    assert "Usage: penstock" in result.stderr
    assert python("-m", "penstock.cli", "--version").stdout == f"penstock, version {penstock.__version__}\n"


# --------------------------------------------------------------------------------------------- which store


@pytest.mark.parametrize("arguments", [("runs", "list"), ("models", "list"), ("db", "status"), ("ledger",)])
def test_a_missing_store_is_said_and_not_created(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result = python("-m", "penstock.cli", *arguments, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("penstock: store 'sqlite:///penstock.db' does not exist. No store was named")
    assert "--url or PENSTOCK_URL" in result.stderr
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_the_environment_names_wrongly_is_traced_to_it(tmp_path: Path) -> None:
    result = runner_on(tmp_path)("runs", "list")
    assert result.exit_code == 2
    assert "PENSTOCK_URL says so" in result.stderr


def test_another_programs_database_is_not_made_a_store(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "penstock.db") as other:
        other.execute("CREATE TABLE theirs (x)")
    result = runner_on(tmp_path)("runs", "list")
    assert result.exit_code == 2
    assert "holds no records of ours" in result.stderr
    with sqlite3.connect(tmp_path / "penstock.db") as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]


def test_the_store_may_be_named_before_and_after_the_command(sample: Path) -> None:
    url = f"sqlite:///{sample / 'penstock.db'}"
    before = CliRunner().invoke(app, ["--url", url, "runs", "list"], env={"PENSTOCK_URL": None})
    after = CliRunner().invoke(app, ["runs", "list", "--url", url], env={"PENSTOCK_URL": "sqlite:////nowhere/x.db"})
    assert before.exit_code == after.exit_code == 0
    assert before.stdout == after.stdout


def test_db_upgrade_makes_a_store_and_says_when_there_was_nothing_to_do(tmp_path: Path) -> None:
    cli = runner_on(tmp_path)
    assert "no schema → 0001" in cli("db", "upgrade").stdout
    assert "at revision 0001 already" in cli("db", "upgrade").stdout
    assert cli("runs", "list").stdout == "No runs yet.\n"
    assert cli("models", "list").stdout == "No models are registered yet.\n"
    assert json.loads(cli("runs", "list", "--json").stdout) == []


def test_db_status_counts_rows_and_tells_an_older_schema_from_a_fitting_one(own: Path, own_cli: Run) -> None:
    status = json.loads(own_cli("db", "status", "--json").stdout)
    assert status["revision"] == status["needed"]
    assert status["rows"]["runs"] == 5
    assert "up to date" in own_cli("db", "status").stdout
    with sqlite3.connect(own / "penstock.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '0000'")
    stale = own_cli("db", "status")
    assert stale.exit_code == 1
    assert "run: penstock db upgrade" in stale.stdout
    refused = own_cli("runs", "list")
    assert refused.exit_code == 2
    assert "Run: penstock db upgrade" in refused.stderr


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


# ----------------------------------------------------------------------------------------- stories and reports


def test_the_story_of_each_run_is_told_with_champions_before_and_after(
    sample: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with penstock.connect(f"sqlite:///{sample / 'penstock.db'}") as client:
        print_stories(client.run_stories(EXPERIMENT))
    text = capsys.readouterr().out
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    assert "…" not in text
    first, second = (next(line.split() for line in lines if line.startswith(month)) for month in ("2024-01", "2024-02"))
    assert (first[2], first[5], first[6]) == ("none", "PASS", "v1")
    assert (second[2], second[5], second[6]) == ("v1", "FAIL", "v1")
    assert "INCONCLUSIVE" in text
    assert "not evaluated; run FAILED: RuntimeError" in " ".join(text.split())


def test_piped_output_has_no_colour_and_nothing_is_cut(cli: Run, sample: Path) -> None:
    arguments = ["runs", "show", f"{EXPERIMENT}@2024-02", "--url", f"sqlite:///{sample / 'penstock.db'}"]
    result = python("-m", "penstock.cli", *arguments)
    assert result.returncode == 0
    assert "\x1b" not in result.stdout
    assert "…" not in result.stdout
    assert not any(line.endswith(" ") for line in result.stdout.splitlines())


def test_a_report_is_a_table_and_a_page(cli: Run, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    result = cli("report", EXPERIMENT, "-o", str(page))
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == f"Report: {page}"
    assert "INCONCLUSIVE" in result.stdout
    assert page.stat().st_size > 1000
    told = json.loads(cli("report", EXPERIMENT, "-o", str(page), "--json").stdout)
    assert told["stories"][0]["run"]["key"]["partition"] == "2024-01"


def test_an_unknown_experiment_has_no_report(cli: Run, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    result = cli("report", "team/on-tme", "-o", str(page))
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"Did you mean {EXPERIMENT!r}?" in result.stderr
    assert not page.exists()


# ---------------------------------------------------------------------------------------------------- ledger


def test_the_ledger_is_listed_and_its_hashes_are_checked(cli: Run) -> None:
    result = cli("ledger")
    assert result.exit_code == 0
    assert "every hash as it should be" in result.stdout
    assert "alias moved" in result.stdout
    kinds = [entry["kind"] for entry in json.loads(cli("ledger", "--model", "on-time", "--json").stdout)]
    assert kinds == ["decision_made", "version_registered", "alias_moved", "decision_made", "decision_made"]
    assert json.loads(cli("ledger", "--model", "nothing", "--json").stdout) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE ledger SET why = 'because' WHERE kind = 'alias_moved'", "entry 3 of model:on-time has been changed"),
        ("UPDATE ledger SET time_ms = time_ms + 1 WHERE kind = 'alias_moved'", "entry 3 of model:on-time has been"),
        ("DELETE FROM ledger WHERE kind = 'version_registered'", "entry 3 of model:on-time stands where entry 2"),
        ("UPDATE ledger SET after = '{' WHERE kind = 'alias_moved'", "after entry 2 of model:on-time) cannot be read"),
        ("UPDATE ledger SET after = 'NaN' WHERE kind = 'alias_moved'", "entry 3 of model:on-time has been changed"),
    ],
)
def test_a_ledger_that_was_tampered_with_is_found_out(own: Path, own_cli: Run, change: str, said: str) -> None:
    with sqlite3.connect(own / "penstock.db") as database:
        guards = database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'ledger'")
        for (guard,) in guards.fetchall():  # who owns the file can take the guards away; the hashes remain
            database.execute(f'DROP TRIGGER "{guard}"')
        database.execute(change)
    result = own_cli("ledger", "--model", "on-time")
    assert result.exit_code == 1
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    as_json = own_cli("ledger", "--model", "on-time", "--json")
    assert as_json.exit_code == 1
    assert len(json.loads(as_json.stdout)) < 5


# ------------------------------------------------------------------------------------------ ends that are not


def start(sample: Path, stdout: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "penstock.cli", "ledger", "--json"]
    url = f"sqlite:///{sample / 'penstock.db'}"
    return subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, env=ENVIRONMENT | {"PENSTOCK_URL": url})


def test_a_reader_that_has_gone_ends_it_quietly_with_141(sample: Path) -> None:
    reader, writer = os.pipe()
    with start(sample, writer) as process:
        os.close(writer)
        os.close(reader)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (141, b"")


def test_ctrl_c_ends_it_with_130_and_no_traceback(sample: Path) -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    with start(sample, writer) as process:
        os.close(writer)
        select.select([reader], [], [], 60)  # it writes, and will wait for us to read more
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    os.close(reader)
    assert (process.returncode, errors) == (130, b"")


def test_a_store_that_cannot_be_reached_exits_4(own: Path) -> None:
    (own / "penstock.db-wal").mkdir()
    result = runner_on(own)("runs", "list")
    assert (result.exit_code, result.stdout) == (4, "")
    assert "cannot be reached" in result.stderr


def test_a_locale_without_arrows_gets_its_tables_all_the_same(sample: Path) -> None:
    command = [sys.executable, "-m", "penstock.cli", "models", "list"]
    environment = ENVIRONMENT | {"PENSTOCK_URL": f"sqlite:///{sample / 'penstock.db'}", "PYTHONIOENCODING": "ascii"}
    result = subprocess.run(command, capture_output=True, check=True, env=environment)
    assert b"on-time" in result.stdout


# ---------------------------------------------------------------------------------------------------- wording


def test_sizes_and_times_are_said_as_people_say_them() -> None:
    start, second = pd.Timestamp("2024-01-01", tz="UTC"), pd.Timedelta(seconds=1)
    assert [duration(start, start + second * n) for n in (0.25, 61, 3 * 3600 + 120)] == [
        "0.2 s",
        "1 min 01 s",
        "3 h 02 min",
    ]
    assert [size(n) for n in (12, 1500, 2_500_000)] == ["12 B", "1.5 kB", "2.5 MB"]
    assert [series(list(parts)) for parts in ("a", "ab", "abc")] == ["a", "a and b", "a, b and c"]
