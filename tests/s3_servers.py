"""Real S3 servers for the tests, each a process of its own, gone when pytest is gone.

`moto_server` keeps everything in memory and honours conditional writes; it checks no signature and no digest, and gives
every upload the same age. `rclone serve s3` serves a folder: it verifies signatures and Content-MD5, and overwrites
whatever `If-None-Match` says.
"""

from __future__ import annotations

import ctypes
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from penstock.artifacts.s3 import S3Artifacts
from penstock.artifacts.urls import ENDPOINT_VARIABLE, S3Location, S3Options

BUCKET = "penstock-tests"
KEY = "penstock-key"
SECRET = "penstock-secret-never-to-be-printed"
REGION = "us-east-1"
DEADLINE_S = 20.0

_LISTENING = re.compile(r"http://127\.0\.0\.1:(\d+)")
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class S3Server:
    """A running server with one bucket."""

    port: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> Any:
        """Return a plain boto3 client: the view past Penstock."""
        from boto3.session import Session
        from botocore.config import Config

        # As in `S3Client`: rclone refuses to complete an upload that was begun with a checksum of its own.
        config = Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required")
        return Session(KEY, SECRET, region_name=REGION).client("s3", endpoint_url=self.endpoint, config=config)

    def environment(self) -> dict[str, str]:
        """What a process has to be told to reach this server."""
        return {
            ENDPOINT_VARIABLE: self.endpoint,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "PENSTOCK_CACHE": "0",
        }

    def artifacts(self, prefix: str = "", *, deadline_s: float = DEADLINE_S, port: int | None = None) -> S3Artifacts:
        """Return a store below a prefix of its own, reached through `port` where a proxy stands there."""
        options = S3Options(f"http://127.0.0.1:{port or self.port}", REGION, deadline_s=deadline_s)
        return S3Artifacts(S3Location(BUCKET, prefix or new_prefix()), options)


def new_prefix() -> str:
    return f"tests/{uuid.uuid4().hex}"


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running_moto(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    folder = tmp_path_factory.mktemp("rclone")
    keys = ["--auth-key", f"{KEY},{SECRET}"]
    served = ["serve", "s3", *keys, "--addr", "127.0.0.1:0", "--config", "/dev/null", str(folder)]
    with _running(tmp_path_factory.mktemp("rclone-log"), "rclone", *served) as server:
        yield server


@pytest.fixture(params=["moto", "rclone"])
def s3_server(request: pytest.FixtureRequest, s3_credentials: None) -> S3Server:
    """A test that asks for it runs on every server."""
    server = request.getfixturevalue(request.param)
    assert isinstance(server, S3Server)
    return server


@pytest.fixture
def s3_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is told the keys, and nothing of this machine's own AWS configuration."""
    for name, value in S3Server(0).environment().items():
        monkeypatch.setenv(name, value)
    for name in (ENDPOINT_VARIABLE, "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def running_moto(folder: Path) -> Iterator[S3Server]:
    """Run a moto server, with its log in `folder`."""
    with _running(folder, "moto_server", "-H", "127.0.0.1", "-p", "0") as server:
        yield server


@contextmanager
def _running(folder: Path, program: str, *arguments: str) -> Iterator[S3Server]:
    log = folder / "log"
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    with log.open("wb") as written:
        process = subprocess.Popen(command, stdout=written, stderr=written, preexec_fn=_die_with_parent)
    try:
        server = S3Server(_port(process, log))
        server.client().create_bucket(Bucket=BUCKET)
        yield server
    finally:
        process.terminate()
        process.wait(10)


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    """The kernel chooses the port; the server says which."""
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if found := _LISTENING.search(log.read_text()):
            return int(found[1])
        time.sleep(0.03)
    raise RuntimeError(f"{process.args!r} did not start: {log.read_text()[-2000:]}")


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
