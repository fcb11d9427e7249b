"""One story, three drivers, one ledger: a script, an Airflow DAG and a Prefect flow on real flights."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import penstock
from example_dags import flights
from tests.scenarios.drivers import DRIVERS
from tests.scenarios.ledgers import entry, normalised, state

EXPECTED = Path(__file__).parent / "expected" / "on_time.json"

# The first month meets no champion and is let in; the weak month is refused by it.
MONTHS = ("2013-03", "2013-06")


@pytest.fixture(scope="module", autouse=True)
def flights_data(tmp_path_factory: pytest.TempPathFactory) -> None:
    flights.DATA = tmp_path_factory.mktemp("flights")


def _ledger(url: str) -> list[object]:
    with penstock.connect(url) as client:
        entries = normalised([entry(event) for event in client.read_ledger()])
    for found in entries:
        found["actor"].pop("subject")
    return list(entries)


@pytest.mark.parametrize(
    "driver",
    [
        "script",
        pytest.param("airflow", marks=pytest.mark.airflow),
        pytest.param("prefect", marks=pytest.mark.prefect),
    ],
)
def test_every_driver_leaves_the_expected_ledger_and_running_again_adds_nothing(driver: str, tmp_path: Path) -> None:
    url, artifacts = f"sqlite:///{tmp_path / 'penstock.db'}", tmp_path / "artifacts"
    for month in MONTHS:
        DRIVERS[driver](url, artifacts, month)
    found = _ledger(url)
    if os.environ.get("PENSTOCK_WRITE_EXPECTED") and driver == "script":
        EXPECTED.write_text(json.dumps(found, indent=1) + "\n")
    assert found == json.loads(EXPECTED.read_text())
    with penstock.connect(url) as client:
        before = state(client, flights.EXPERIMENT, flights.MODEL)
        for month in MONTHS:
            DRIVERS[driver](url, artifacts, month)
        assert state(client, flights.EXPERIMENT, flights.MODEL) == before
