"""Where a secret is looked for: every shape of it, in every row, file and object."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from tests.s3_servers import BUCKET, S3Server


def shapes_of(secret: str) -> list[str]:
    """The secret as it is, in base64, in a URL, backwards, and its halves."""
    half = len(secret) // 2
    encoded = base64.b64encode(secret.encode()).decode().rstrip("=")[:-2]
    return [secret, encoded, quote(secret, safe=""), secret[::-1], secret[:half], secret[half:]]


def rows_of(url: str) -> Iterator[tuple[str, str]]:
    """Yield every row of a database, as text."""
    import sqlalchemy as sa

    engine = sa.create_engine(url)
    with engine.connect() as connection:
        found = sa.MetaData()
        found.reflect(connection)
        for table in found.sorted_tables:
            for row in connection.execute(sa.select(table)):
                yield table.name, repr(row)
    engine.dispose()


def objects_of(bucket: S3Server) -> Iterator[tuple[str, str]]:
    """Yield every object of the bucket, as text."""
    client = bucket.client()
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for entry in page.get("Contents", []):
            with suppress(client.exceptions.NoSuchKey):
                body = client.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read()
                yield entry["Key"], body.decode("latin-1")


def files_holding(folders: Sequence[Path], shapes: Sequence[str]) -> list[str]:
    """Return the files below the folders that hold one of these shapes."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    found = [(path, path.read_bytes()) for path in files]
    return [str(path) for path, content in found if any(shape.encode() in content for shape in shapes)]
