"""The contract of artifact stores, over each of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.artifacts.cache import CachedArtifacts
from penstock.artifacts.local import LocalArtifacts
from penstock.artifacts.s3 import S3Artifacts
from penstock.ports import ArtifactStore
from tests.artifacts.insides import BucketInside, FolderInside
from tests.contracts.artifact_store import LARGE_BYTES, ArtifactStoreContract, written
from tests.s3_servers import S3Server, server_of_the_environment


class TestLocal(ArtifactStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ArtifactStore:
        return LocalArtifacts(tmp_path / "artifacts")

    @pytest.fixture
    def inside(self, tmp_path: Path) -> FolderInside:
        return FolderInside(tmp_path / "artifacts")


class TestCached(ArtifactStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ArtifactStore:
        return CachedArtifacts(LocalArtifacts(tmp_path / "artifacts"), tmp_path / "cache")

    @pytest.fixture
    def inside(self, tmp_path: Path) -> FolderInside:
        return FolderInside(tmp_path / "artifacts")


class TestS3(ArtifactStoreContract):
    """On moto, which honours conditional writes, and on rclone, which does not and verifies signatures."""

    @pytest.fixture
    def store(self, s3_server: S3Server) -> ArtifactStore:
        return s3_server.artifacts()

    @pytest.fixture
    def inside(self, s3_server: S3Server, store: S3Artifacts) -> BucketInside:
        return BucketInside(s3_server, store)


@pytest.mark.ceph
class TestCeph(ArtifactStoreContract):
    """On the store that the environment names: a Ceph radosgw, or any other that speaks S3."""

    @pytest.fixture
    def server(self, monkeypatch: pytest.MonkeyPatch) -> S3Server:
        return server_of_the_environment(monkeypatch)

    @pytest.fixture
    def store(self, server: S3Server) -> Iterator[ArtifactStore]:
        store = server.artifacts()
        yield store
        store.delete_objects([each.sha256 for each in store.list_objects()], 600.0)

    @pytest.fixture
    def inside(self, server: S3Server, store: S3Artifacts) -> BucketInside:
        return BucketInside(server, store)


@pytest.mark.parametrize("size", [0, 7_000, LARGE_BYTES])
def test_over_https_bytes_are_guarded_by_a_digest_of_their_own(
    rclone_https: S3Server, s3_credentials: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, size: int
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", rclone_https.certificate)
    content = os.urandom(size)
    store = rclone_https.artifacts()
    sha256, _ = store.put_file(written(tmp_path / "a", content))
    store.fetch(sha256, tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == content
    # rclone verifies Content-MD5: a body that is not what was announced is refused, and nothing is stored.
    wrong = {**store._client.body(b"content"), "Body": b"c0ntent"}
    assert store._client.call("put_object", ("BadDigest",), Key="tests/wrong", **wrong).code == "BadDigest"
