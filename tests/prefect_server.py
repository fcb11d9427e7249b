"""A real Prefect server for tests, started once: import the fixture into a conftest, mark tests with `prefect`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

_running: list[str] = []


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[str]:
    """Run a Prefect server with an empty database; returns the URL of its API.

    Heartbeats are off: each flow run would wait a second for their thread. Several conftests may import this fixture;
    the server is started by the first and stopped with it, last.
    """
    if _running:
        yield _running[0]
        return
    from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    with (
        prefect_test_harness(server_startup_timeout=120),
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        _running.append(str(PREFECT_API_URL.value()))
        yield _running[0]
        _running.clear()


@pytest.fixture(autouse=True)
def server_for_marked_tests(request: pytest.FixtureRequest) -> None:
    """Start the server for tests that are marked `prefect`, and only for them."""
    if request.node.get_closest_marker("prefect"):
        request.getfixturevalue("prefect_server")
