"""The contract of artifact stores, over each of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.artifacts.cache import CachedArtifacts
from penstock.artifacts.local import LocalArtifacts
from penstock.artifacts.s3 import S3Artifacts
from penstock.ports import ArtifactStore
from tests.artifacts.insides import BucketInside, FolderInside
from tests.contracts.artifact_store import ArtifactStoreContract
from tests.s3_servers import S3Server


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
