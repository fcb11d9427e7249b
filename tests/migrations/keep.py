"""Write a store as this code writes it, to be kept beside `earlier.py` when the schema moves on.

`python -m tests.migrations.keep FOLDER`, run with the code whose revision it is.
"""

from __future__ import annotations

import gzip
import os
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path

import penstock
from tests import tiny
from tests.postgres_server import PostgresServer, running_server
from tests.tiny_pipeline import retrain


def made(url: str, artifacts: Path, held_out: str) -> None:
    """Two months of the tiny pipeline, a promotion each, a rollback, and a run that is still open."""
    with penstock.connect(url, artifacts, actor="tester") as client:
        assert retrain(client, "2013-03", held_out).passed
        assert retrain(client, "2013-04", held_out, strength=2.0).passed
        client.rollback(tiny.MODEL, "champion", reason="it was worse")
        client.open_run(tiny.EXPERIMENT, key="open-run").log_metric("loss", 0.5)
        assert list(client.verify()) == []


def dumped(server: PostgresServer, url: str) -> bytes:
    """Return what `pg_dump` says of a database, without what only its own shell understands."""
    plain = url.replace("+psycopg", "")
    command = [str(server._binaries / "pg_dump"), "--inserts", "--no-owner", "--no-comments", f"--dbname={plain}"]
    lines = subprocess.run(command, capture_output=True, check=True).stdout.splitlines(keepends=True)
    return b"".join(line for line in lines if not line.startswith((b"--", b"\\")))


def keep(into: Path) -> None:
    """Write the records of both databases, and the bytes beside each."""
    into.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch, running_server() as server:
        held_out = tiny.held_out_file(Path(scratch))
        file = Path(scratch) / "penstock.db"
        for dialect, url in (("sqlite", f"sqlite:///{file}"), ("postgresql", server.url(server.new_database()))):
            artifacts = Path(scratch) / dialect / "artifacts"
            made(url, artifacts, held_out)
            with tarfile.open(into / f"{dialect}.artifacts.tar.gz", "w:gz") as packed:
                packed.add(artifacts, "artifacts")
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (into / "sqlite.db.gz").write_bytes(gzip.compress(file.read_bytes()))
        (into / "postgresql.sql.gz").write_bytes(gzip.compress(dumped(server, url)))


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)  # a run was left open on purpose: nobody ends it on the way out
