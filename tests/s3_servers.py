"""Real S3 servers for the tests, each a process of its own, gone when pytest is gone.

`moto_server` keeps everything in memory and honours conditional writes; it checks no signature and no digest, and gives
every upload the same age. `rclone serve s3` serves a folder: it verifies signatures and Content-MD5, and overwrites
whatever `If-None-Match` says.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
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

_LISTENING = re.compile(r"https?://127\.0\.0\.1:(\d+)")
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class S3Server:
    """A running server with one bucket: on a port of this machine, unless `url` says where."""

    port: int
    certificate: str = ""  # of a server that speaks https
    url: str = ""
    key: str = KEY
    secret: str = field(default=SECRET, repr=False)

    @property
    def endpoint(self) -> str:
        return self.url or f"{'https' if self.certificate else 'http'}://127.0.0.1:{self.port}"

    def client(self) -> Any:
        """Return a plain boto3 client: the view past Penstock."""
        from boto3.session import Session
        from botocore.config import Config

        # As in `S3Client`: rclone refuses to complete an upload that was begun with a checksum of its own.
        config = Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required")
        session = Session(self.key, self.secret, region_name=REGION)
        return session.client("s3", endpoint_url=self.endpoint, config=config, verify=self.certificate or None)

    def environment(self) -> dict[str, str]:
        """What a process has to be told to reach this server."""
        return {
            ENDPOINT_VARIABLE: self.endpoint,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "PENSTOCK_CACHE": "0",
        }

    def artifacts(self, prefix: str = "", *, deadline_s: float = DEADLINE_S, port: int | None = None) -> S3Artifacts:
        """Return a store below a prefix of its own, reached through `port` where a proxy stands there."""
        options = S3Options(replace(self, port=port or self.port).endpoint, REGION, deadline_s=deadline_s)
        return S3Artifacts(S3Location(BUCKET, prefix or new_prefix()), options)


def new_prefix() -> str:
    return f"tests/{uuid.uuid4().hex}"


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running_moto(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running_rclone(tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest.fixture(scope="session")
def rclone_https(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    folder = tmp_path_factory.mktemp("rclone-https")
    key, certificate = str(folder / "key.pem"), str(folder / "certificate.pem")
    new = ["-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    named = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
    subprocess.run(["openssl", "req", "-x509", *new, *named], check=True, capture_output=True)
    with running_rclone(folder, "--key", key, "--cert", certificate, certificate=certificate) as server:
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
    _tell(S3Server(0), monkeypatch)


def server_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """Return the store that CEPH_ENDPOINT, CEPH_ACCESS_KEY and CEPH_SECRET_KEY name, with a bucket for the tests."""
    names = ("CEPH_ENDPOINT", "CEPH_ACCESS_KEY", "CEPH_SECRET_KEY")
    endpoint, key, secret = (os.environ.get(name, "") for name in names)
    if not (endpoint and key and secret):
        raise RuntimeError(f"the lane 'ceph' needs a store to talk to: set {', '.join(names)}")
    server = S3Server(0, url=endpoint, key=key, secret=secret)
    _tell(server, monkeypatch)
    client = server.client()
    if BUCKET not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=BUCKET)
    return server


def _tell(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    for name in (ENDPOINT_VARIABLE, "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def running_moto(folder: Path) -> Iterator[S3Server]:
    """Run a moto server, with its log in `folder`."""
    with _running(folder, "moto_server", "-H", "127.0.0.1", "-p", "0") as server:
        yield server


@contextmanager
def running_rclone(folder: Path, *options: str, certificate: str = "") -> Iterator[S3Server]:
    """Run rclone's S3 server on a folder of its own below `folder`."""
    served = folder / "served"
    served.mkdir()
    listening = ["--auth-key", f"{KEY},{SECRET}", "--addr", "127.0.0.1:0", "--config", "/dev/null", *options]
    with _running(folder, "rclone", "serve", "s3", *listening, str(served), certificate=certificate) as server:
        yield server


@contextmanager
def _running(folder: Path, program: str, *arguments: str, certificate: str = "") -> Iterator[S3Server]:
    log = folder / "log"
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    with log.open("wb") as written:
        process = subprocess.Popen(command, stdout=written, stderr=written, preexec_fn=_die_with_parent)
    try:
        server = S3Server(_port(process, log), certificate)
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
