"""Memory stays bounded whatever the size: measured in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.s3_servers import S3Server

SIZE_BYTES = 256 << 20
LIMIT_BYTES = 100 << 20

# A small object first: what is measured is growth, not libraries.
PROGRAM = """
import resource, sys
from pathlib import Path
from penstock.artifacts.opening import open_artifacts

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

store, big = open_artifacts(sys.argv[1]), Path(sys.argv[2])
small = big.with_name("small")
small.write_bytes(b"small")
store.fetch(store.put_file(small)[0], small)
before = peak()
sha256, _ = store.put_file(big)
store.fetch(sha256, big)
print(peak() - before)
"""


@pytest.mark.parametrize("where", ["folder", "rclone"])
def test_a_large_file_is_stored_and_fetched_in_bounded_memory(
    request: pytest.FixtureRequest, tmp_path: Path, where: str
) -> None:
    environment, location = dict(os.environ), str(tmp_path / "artifacts")
    if where == "rclone":
        server = request.getfixturevalue("rclone")
        assert isinstance(server, S3Server)
        environment |= server.environment()
        location = server.artifacts().location
    big = tmp_path / "big"
    with big.open("wb") as file:
        for _ in range(SIZE_BYTES >> 20):
            file.write(os.urandom(1 << 20))
    command = [sys.executable, "-c", PROGRAM, location, str(big)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) < LIMIT_BYTES, f"{int(done.stdout) >> 20} MiB"
