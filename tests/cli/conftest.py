"""A sample store to look at, and one to change."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import penstock
from penstock.model.runs import RunStatus
from tests.cli.command_line import (
    CHAMPION,
    EXPERIMENT,
    POLICY,
    Run,
    rows_of,
    runner_on,
    train,
)


@pytest.fixture(scope="session")
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


@pytest.fixture
def cli(sample: Path) -> Run:
    return runner_on(sample)


@pytest.fixture
def own_cli(own: Path) -> Run:
    return runner_on(own)
