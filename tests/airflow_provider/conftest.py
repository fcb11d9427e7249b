"""Airflow's environment first: everything here imports it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import airflow_home, tiny
from tests.s3_servers import rclone

__all__ = ["rclone"]


@pytest.fixture
def store(store_url: str) -> Iterator[str]:
    """A store of this test's own, behind the connection `penstock_default`."""
    with airflow_home.connection(host=store_url):
        yield store_url


@pytest.fixture(scope="session")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny.held_out_file(tmp_path_factory.mktemp("data"))


@pytest.fixture
def script_url(tmp_path: Path) -> str:
    """A second store, for the same story told by a plain script."""
    folder = tmp_path / "script"
    folder.mkdir()
    return f"sqlite:///{folder / 'penstock.db'}"


@pytest.fixture
def joining(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process finds `penstock.join_run()`'s way into Airflow, and the plugin, by their entry points.

    They are read from pyproject.toml: an editable installation knows those of the day it was made.
    """
    from importlib.metadata import EntryPoint, entry_points

    known = airflow_home.entry_points_of("penstock.orchestrators")
    found = [EntryPoint(name, value, "penstock.orchestrators") for name, value in known.items()]
    real = entry_points
    monkeypatch.setattr(
        "importlib.metadata.entry_points",
        lambda **wanted: found if wanted == {"group": "penstock.orchestrators"} else real(**wanted),
    )
