"""The package as Prefect and readers of its code meet it: cheap to import, found as a collection, refusing early."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import InvalidValue
from penstock_prefect import BlockNotFound, tracked_flow, tracked_task

HEAVY = ["pandas", "numpy", "sklearn", "sqlalchemy", "boto3", "pyarrow", "skops", "matplotlib"]


def loaded_by(statements: str) -> set[str]:
    code = f"import sys; {statements}; print(*[name for name in {HEAVY} if name in sys.modules])"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


def test_importing_the_package_loads_nothing_heavy_that_prefect_does_not_load_itself() -> None:
    prefect = "import prefect.artifacts, prefect.blocks.core, prefect.flows, prefect.tasks, prefect.runtime.flow_run"
    assert loaded_by("import penstock_prefect") == loaded_by(prefect)


def test_prefect_finds_the_block_through_the_entry_point_of_the_distribution(tmp_path: Path) -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    (collection,) = project["entry-points"]["prefect.collections"].items()
    installed = tmp_path / "penstock-0.dist-info"
    installed.mkdir()
    installed.joinpath("entry_points.txt").write_text("[prefect.collections]\n{} = {}\n".format(*collection))
    code = "from prefect.blocks.core import Block; print(Block.get_block_class_from_key('penstock-store').__module__)"
    path = os.pathsep.join([str(tmp_path), *sys.path])
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert found.stdout.strip() == "penstock_prefect.blocks", found.stderr


def test_errors_survive_the_way_between_processes() -> None:
    error = pickle.loads(pickle.dumps(BlockNotFound("production")))
    assert str(error).startswith("block 'production' not found")
    assert error.name == "production"


def test_functions_that_cannot_be_tracked_are_refused_when_they_are_decorated() -> None:
    async def asynchronous(run: Any) -> None: ...

    def without_run(month: str) -> None: ...

    def run_last(month: str, run: Any) -> None: ...

    def resume(run: Any, resume: bool) -> None: ...

    def anything(run: Any, *rest: Any) -> None: ...

    for refused in (asynchronous, without_run, run_last, resume, anything):
        with pytest.raises(InvalidValue, match="tracked_task"):
            tracked_task(refused)
    for refused in (asynchronous, without_run, anything):
        with pytest.raises(InvalidValue, match="tracked_flow"):
            tracked_flow(experiment="tests/flows", key="only")(refused)


def test_a_step_name_uses_only_the_inputs() -> None:
    def train(run: Any, region: str) -> None: ...

    with pytest.raises(InvalidValue, match="a format string over region"):
        tracked_task(step="train/{country}")(train)


def test_a_flow_is_versioned_by_the_file_it_is_written_in() -> None:
    from prefect.utilities.hashing import file_hash

    from tests.prefect_tasks import tiny_flow

    assert tiny_flow.retrain.version == file_hash(tiny_flow.__file__)
