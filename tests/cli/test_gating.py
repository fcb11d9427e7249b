"""Beside the gate on the command line: dry runs, approvals, overrides, anchors, replays, diffs, reports for CI."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from click.testing import CliRunner, Result

import penstock
from penstock.cli.app import app
from penstock.model.evaluations import Evaluation
from tests.cli.command_line import ENVIRONMENT, Run, runner_on
from tests.core.gates_on_record.stage import ALIAS, ASKING, AT_LEAST, MODEL, better, loads, measured, released, trained

STRICT = {"name": "p", "rules": [{"at_least": {"metric": "accuracy", "value": 0.95}}]}
EXAMPLES = Path(__file__).parents[2] / "example_dags"


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with penstock.connect(f"sqlite:///{tmp_path / 'penstock.db'}", actor="pipeline") as client:
        yield client


@pytest.fixture
def cli(tmp_path: Path) -> Run:
    run = runner_on(tmp_path)

    def as_pipeline(*arguments: str, **environment: Any) -> Result:
        return run(*arguments, **{"PENSTOCK_ACTOR": "pipeline", **environment})

    return as_pipeline


def written(folder: Path, policy: dict[str, Any], name: str = "policy.json") -> str:
    path = folder / name
    path.write_text(json.dumps(policy))
    return str(path)


def decide(cli: Run, evaluation: Evaluation, policy: str, *more: str, **environment: Any) -> Result:
    return cli("gate", "decide", evaluation.evaluation_id, "--policy", policy, "--model", MODEL, *more, **environment)


def test_a_dry_run_says_what_it_would_be_and_decides_nothing(store: Any, cli: Run, tmp_path: Path) -> None:
    evaluation, policy = measured(store, "a"), written(tmp_path, AT_LEAST)
    said = decide(cli, evaluation, policy, "--dry-run")
    assert said.exit_code == 0
    assert "Dry run: nothing was decided, and nothing may move" in said.stdout
    assert "as look 1 of on-time, the first at these rows" in said.stdout
    assert store.wiring.store.list_decisions(evaluation.run_id) == []
    assert decide(cli, measured(store, "b", 0.7), policy, "--dry-run").exit_code == 1
    looks = cli("gate", "looks", MODEL).stdout
    assert looks.count("dry run") == 2


def test_an_approval_is_shown_answered_and_decided_on(store: Any, cli: Run, tmp_path: Path) -> None:
    evaluation, policy = measured(store, "a"), written(tmp_path, ASKING)
    asked = decide(cli, evaluation, policy)
    assert asked.exit_code == 3
    request = asked.stdout.split("penstock approvals show ")[1].strip()
    shown = cli("approvals", "show", request).stdout
    assert "a person in the role owner, not an author" in shown
    assert "accuracy        0.9         –" in shown
    assert "live now       none, the alias at generation 0" in shown
    refused = cli("approvals", "approve", request, "--reason", "mine")
    assert refused.exit_code == 1
    assert "pipeline (asserted) made what is to be approved" in refused.stderr
    yes = cli("approvals", "approve", request, "--reason", "good", PENSTOCK_ACTOR="vera")
    assert yes.stdout.startswith("on-time@champion: approved by vera (asserted) as owner.\n")
    assert "vera (asserted): good" in cli("approvals", "list").stdout
    assert cli("approvals", "list", "--state", "pending").stdout == "No approvals are pending.\n"
    assert cli("approvals", "reject", request, "--reason", "oh", PENSTOCK_ACTOR="otto").exit_code == 1
    assert decide(cli, evaluation, policy).exit_code == 0
    (found,) = json.loads(cli("approvals", "list", "--json").stdout)
    assert (found["state"], found["answer"]["reason"], found["binds"]["alias"]) == ("approved", "good", ALIAS)
    page = cli("runs", "show", evaluation.run_id).stdout
    assert "Approvals" in page
    assert "vera (asserted): good" in page


def test_an_override_asks_first_and_is_visible_in_every_listing(store: Any, cli: Run, tmp_path: Path) -> None:
    model = trained(store, "a")
    arguments = ["gate", "override", MODEL, model.uri, "--reason", "the gate's data is late"]
    vera = {"PENSTOCK_ACTOR": "vera", "PENSTOCK_URL": str(store.wiring.store.url)}
    no = CliRunner().invoke(app, arguments, env=vera, input="n\n")
    assert no.exit_code == 1
    assert "in the name of vera (asserted), because: the gate's data is late" in no.stderr
    assert "It cannot be taken back." in no.stderr
    assert store.list_overrides() == []
    assert cli(*arguments, "--json").exit_code == 2
    given = CliRunner().invoke(app, arguments, env=vera, input="y\n")
    override = given.stdout.split("--override ")[1].split()[0]
    neither = cli("models", "register", MODEL, model.uri)
    assert (neither.exit_code, "--decision or --override" in neither.stderr) == (2, True)
    registered = cli("models", "register", MODEL, model.uri, "--override", override)
    assert registered.stdout.strip().endswith("override by vera (asserted)")
    loads(store, store.get_version(MODEL, 1))
    assert "none → v1, override by vera" in cli("models", "promote", MODEL, ALIAS, "1", "--override", override).stdout
    assert "champion → v1 (override)" in cli("models", "list").stdout
    assert "override by vera (asserted)" in cli("models", "show", MODEL).stdout
    assert "the gate's data is late" in cli("models", "history", MODEL).stdout
    told = cli("report", "delays/on-time", "-o", str(tmp_path / "report.html")).stdout
    assert "v1 (override)" in told
    assert "let past the gate by vera (asserted): the gate's data is late" in told
    page = (tmp_path / "report.html").read_text()
    assert "v1 (override)" in page
    assert "let past the gate by vera (asserted): the gate&#x27;s data is late" in page
    assert "Overrides: let past the gate by a person" in cli("runs", "show", model.run_id).stdout
    assert "registered v1; moved champion; used up" in cli("gate", "overrides").stdout
    assert "override given" in cli("ledger", "--model", MODEL).stdout


def test_a_policy_that_changed_since_the_decision_is_told(store: Any, cli: Run, tmp_path: Path) -> None:
    evaluation, policy = measured(store, "a"), written(tmp_path, AT_LEAST)
    decision = json.loads(decide(cli, evaluation, policy, "--json").stdout)["decision_id"]
    model = store.wiring.store.get_model(evaluation.model_id).uri
    arguments = ("models", "register", MODEL, model, "--decision", decision, "--policy", policy)
    written(tmp_path, STRICT)
    refused = cli(*arguments)
    assert (refused.exit_code, "the decision was made under another policy" in refused.stderr) == (1, True)
    written(tmp_path, AT_LEAST)
    assert cli(*arguments).exit_code == 0


def test_an_anchor_is_shown_and_set(store: Any, cli: Run) -> None:
    released(store, "a")
    assert "has no anchor. Set one with" in cli("gate", "anchor", "show", MODEL).stdout
    told = cli("gate", "anchor", "set", MODEL, "v1", "--reason", "trusted", PENSTOCK_ACTOR="vera").stdout
    assert told == "The anchor of on-time is v1, by vera (asserted).\n"
    assert "trusted" in cli("gate", "anchor", "show", MODEL).stdout


def test_a_decision_is_explained_for_a_terminal_a_chat_and_a_page(store: Any, cli: Run) -> None:
    champion = released(store, "a")
    decision = store.decide(measured(store, "b", 0.8525, against=champion), better(), model=MODEL)
    told = cli("gate", "explain", decision.decision_id[:8]).stdout
    (row,) = [line for line in told.splitlines() if line.startswith("undecidable") and "all rows" in line]
    for cell in ("accuracy", "0.8525", "0.85", "difference above 0", "(90 %)", "2,000", "misses by 0.0", "straddles"):
        assert cell in row
    narrow = cli("gate", "explain", decision.decision_id[:8], COLUMNS="80").stdout
    assert max(map(len, narrow.splitlines())) <= 80
    part = narrow.partition("What was compared")[2]
    for words in (
        "undecidable accuracy on all rows",
        "value 0.8525",
        "difference above 0",
        "(90 %)",
        "n 2,000",
        "straddles",
    ):
        assert words in part
    assert "The nearest flip\nIt would be PASS if rules[0].better_than." in narrow
    chat = cli("gate", "explain", decision.decision_id, "--short").stdout.splitlines()
    assert chat[0] == "INCONCLUSIVE: on-time@champion under policy better"
    assert chat[-1] == f"(decision {decision.decision_id[:12]} by pipeline (asserted))"
    assert max(map(len, chat)) <= 402
    page = cli("gate", "explain", decision.decision_id, "--html").stdout
    assert page.startswith('<section class="decision"')
    assert "<style>" in page
    assert "champion&#x27;s accuracy" in page


def test_a_hostile_name_is_escaped_everywhere(store: Any) -> None:
    policy = {**STRICT, "name": "<script>&\u202e"}
    with pytest.raises(penstock.errors.InvalidPolicy):
        store.decide(measured(store, "a"), policy, model=MODEL)
    decision = store.decide(measured(store, "b"), {**STRICT, "name": "<script>&"}, model=MODEL)
    assert "<script>" not in store.explain(decision, "html")
    ElementTree.fromstring(store.explain(decision, "junit"))


def test_junit_has_a_case_for_each_rule(store: Any, cli: Run, tmp_path: Path) -> None:
    policy = {
        "name": "p",
        "rules": [*AT_LEAST["rules"], *STRICT["rules"], {"at_most": {"metric": "log_loss", "value": 1}}],
    }
    report = tmp_path / "gate.xml"
    assert decide(cli, measured(store, "a"), written(tmp_path, policy), "--junit", str(report)).exit_code == 1
    (suite,) = ElementTree.parse(report).getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "1")
    first, second, third = suite.findall("testcase")
    assert [child.tag for child in first] == ["system-out"]
    failure, error = second.find("failure"), third.find("error")
    assert failure is not None
    assert error is not None
    assert failure.get("message") == "accuracy is 0.9 but must be at least 0.95: misses by 0.05"
    assert (error.get("type"), error.get("message")) == ("missing", "log_loss was not measured")


def test_replays_and_diffs_are_told(store: Any, cli: Run, tmp_path: Path) -> None:
    decision = store.decide(measured(store, "a"), AT_LEAST, model=MODEL)
    told = cli("gate", "replay", decision.decision_id)
    assert (told.exit_code, told.stdout) == (0, "PASS: recomputed from its own record, exactly as it was recorded.\n")
    old, new = written(tmp_path, AT_LEAST, "old.json"), written(tmp_path, STRICT, "new.json")
    assert "1 past decision: 1 verdict would change." in cli("gate", "diff", old, new).stdout
    assert cli("gate", "diff", old, old).stdout == "1 past decision: every verdict stays as it is.\n"
    (flip,) = json.loads(cli("gate", "diff", old, new, "--json").stdout)["flips"]
    assert (flip["before"], flip["after"]) == ("PASS", "FAIL")
    other = written(tmp_path, {**STRICT, "name": "other"}, "other.json")
    assert "--any-policy takes all there are" in cli("gate", "diff", other, new).stdout


def test_the_schema_of_the_language_is_printed(cli: Run) -> None:
    schema = json.loads(cli("gate", "schema").stdout)
    assert schema["title"] == "Penstock gate policy"


# ---------------------------------------------------------------------------------------------------------- CI


def test_the_github_actions_example_runs_as_plain_shell(store: Any, tmp_path: Path) -> None:
    good, bad = measured(store, "a"), measured(store, "b", 0.7)
    gates = tmp_path / "gates"
    gates.mkdir()
    (gates / "on-time.yaml").write_text(yaml.safe_dump(AT_LEAST))
    (tmp_path / "ci_gate.sh").write_bytes((EXAMPLES / "ci_gate.sh").read_bytes())
    (tmp_path / "ci_gate.sh").chmod(0o755)
    environment = {
        **ENVIRONMENT,
        "PATH": f"{Path(sys.executable).parent}:{ENVIRONMENT['PATH']}",
        "PENSTOCK_URL": str(store.wiring.store.url),
        "GITHUB_BASE_REF": "main",
        "GIT_CONFIG_GLOBAL": "/dev/null",
    }
    store.decide(measured(store, "c"), AT_LEAST, model=MODEL)
    steps = yaml.safe_load((EXAMPLES / "ci_gate.yml").read_text())["jobs"]["gate"]["steps"]
    check, gate = (
        step["run"] for step in steps if "penstock gate" in step.get("run", "") or "ci_gate" in step.get("run", "")
    )

    def shell(script: str, evaluation: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-e", "-c", script],
            cwd=tmp_path,
            env={**environment, "EVALUATION": evaluation},
            capture_output=True,
            text=True,
            check=False,
        )

    commit = "git -c user.name=a -c user.email=a@b commit -q"
    made = shell(
        f"git init -q -b work && git add gates && {commit} -m old && git update-ref refs/remotes/origin/main HEAD"
    )
    assert made.returncode == 0, made.stderr
    (gates / "on-time.yaml").write_text(yaml.safe_dump(STRICT))
    changed = shell(check)
    assert (changed.returncode, "1 verdict would change" in changed.stdout) == (0, True), changed.stderr
    (gates / "on-time.yaml").write_text(yaml.safe_dump(AT_LEAST))
    passed, failed = shell(gate, good.evaluation_id), shell(gate, bad.evaluation_id[:10])
    assert [passed.returncode, failed.returncode] == [0, 1], passed.stderr + failed.stderr
    assert ElementTree.parse(tmp_path / "gate.xml").getroot().get("failures") == "1"
    assert shell("./ci_gate.sh").returncode == 2
