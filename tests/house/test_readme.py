"""Every snippet of the README runs, in the order a reader meets them, in a folder of their own."""

from __future__ import annotations

import os
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import penstock
from tests import airflow_home

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
_MARKED = re.compile(r"<!-- (\w+): (\S+) -->\n```\w+\n(.*?)```", re.DOTALL)
_ANY = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def _snippets(how: str, which: str | None = None) -> list[str]:
    return [text for kind, name, text in _MARKED.findall(README) if kind == how and which in {None, name}]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reader's folder: the policy file of the README, and the data its pipelines name."""
    from sklearn.datasets import load_breast_cancer

    monkeypatch.chdir(tmp_path)
    for kind, name, text in _MARKED.findall(README):
        if kind == "file":
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
    data = load_breast_cancer(as_frame=True).frame.sample(frac=1, random_state=0)
    data[:400].to_parquet("train.parquet")
    data[400:].to_parquet("held_out.parquet")
    return tmp_path


def _defined(text: str, name: str, folder: Path) -> dict[str, Any]:
    """Run a snippet as a module: functions whose source is a file, as they are in a reader's project."""
    import importlib.util

    path = folder / f"{name}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return vars(module)


def test_every_block_of_the_readme_is_run_or_is_a_make_command() -> None:
    marked = {text for _, _, text in _MARKED.findall(README)}
    for language, text in _ANY.findall(README):
        if text not in marked:
            assert language == "console", text
            commands = [line[2:].split("#")[0].split() for line in text.splitlines() if line.startswith("$ ")]
            targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
            for command in commands:
                assert command == [".ci/run"] or (command[0] == "make" and command[1] in targets), command


def test_the_python_snippets_and_the_commands_after_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from click.testing import CliRunner

    from penstock.cli import main

    first, second = _snippets("run", "python")
    for number, text in enumerate((first, second, first)):
        _defined(text, f"readme_{number}", folder)
    printed = capsys.readouterr().out
    assert printed.count("PASS - all 3 rules hold") == 2
    assert "{'depth': 6}" in printed
    with penstock.connect("sqlite:///penstock.db") as client:
        assert [v.version for v in client.list_versions("benign")] == [1]
    for line in _snippets("run", "penstock")[0].splitlines():
        arguments = shlex.split(line.removeprefix("$ penstock "))
        result = CliRunner().invoke(main, ["--url", "sqlite:///penstock.db", *arguments])
        assert result.exit_code == 0, (line, result.output)
    assert (folder / "report.html").exists()


def test_the_careful_gate_asks_a_person_and_says_what_would_turn_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _defined(_snippets("run", "python")[0], "readme_first", folder)
    capsys.readouterr()
    _defined(_snippets("run", "careful")[0], "readme_careful", folder)
    printed = capsys.readouterr().out.splitlines()
    assert printed[:2] == ["0 of 169 rows also in training data", "INCONCLUSIVE"]
    assert printed[2].startswith("PASS")


@pytest.mark.airflow
def test_the_airflow_snippet_lets_a_model_in(folder: Path) -> None:
    text = _snippets("run", "airflow")[0]
    retrain = _defined(text, "readme_airflow", folder)["retrain"]
    url = f"sqlite:///{folder / 'penstock.db'}"
    with airflow_home.connection(host=url, extra={"artifacts": str(folder / "artifacts")}):
        outcome = airflow_home.run_dag(retrain, datetime(2026, 2, 1, tzinfo=UTC))
    assert outcome.state == "success", outcome.states
    with penstock.connect(url) as client:
        assert [v.version for v in client.list_versions("benign")] == [1]
        assert client.list_runs()[0].key.partition == "2026-02-01"


@pytest.mark.prefect
def test_the_prefect_snippet_lets_a_model_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "PENSTOCK_URL", f"sqlite:///{folder / 'penstock.db'}")
    flow = _defined(_snippets("run", "prefect")[0], "readme_prefect", folder)["retrain"]
    assert flow(month="2026-02") == "PASS"
