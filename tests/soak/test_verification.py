"""`verify` reads a ledger of a million entries in less than a minute and no more memory than a short one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.postgres_server import PostgresServer
from tests.soak.long_ledger import AT_ONCE, fill

PROGRAM = """
import json, resource, sys, time
import penstock

with penstock.connect(sys.argv[1], sys.argv[2]) as client:
    started = time.process_time()
    findings = [str(finding) for finding in client.verify()]
    cpu_s = time.process_time() - started
print(json.dumps([findings, cpu_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]))
"""


@pytest.mark.soak
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_million_entries_are_verified_within_a_minute_in_flat_memory(
    request: pytest.FixtureRequest, tmp_path: Path, database: str
) -> None:
    """Of this process's own time: a busy machine is no fault of ours."""
    took: dict[int, tuple[float, int]] = {}
    for count in (AT_ONCE * 10, 500_000):
        url = f"sqlite:///{tmp_path / f'{count}.db'}"
        if database == "postgres":
            server: PostgresServer = request.getfixturevalue("postgres_server")
            url = server.url(server.new_database())
        fill(url, count)
        command = [sys.executable, "-c", PROGRAM, url, str(tmp_path / "artifacts")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        findings, cpu_s, peak_bytes = json.loads(done.stdout)
        assert findings == []
        took[count] = (cpu_s, peak_bytes)
    print(took)
    (_, short), (cpu_s, long) = took.values()
    assert cpu_s < 60
    assert long - short < 20 << 20, f"{(long - short) >> 20} MiB more"
