"""From where bytes live to the store that keeps them there."""

from __future__ import annotations

from pathlib import Path

from penstock.artifacts.cache import CachedArtifacts, cache_folder
from penstock.artifacts.local import LocalArtifacts
from penstock.artifacts.s3 import S3Artifacts
from penstock.artifacts.urls import S3Options, parse_artifact_location
from penstock.ports import ArtifactStore


def open_artifacts(given: str | Path, s3: S3Options | None = None) -> ArtifactStore:
    """Return the store for a folder or an `s3://bucket/prefix`, the latter with this user's read cache.

    `s3` says how the bucket is reached; without it, the environment does.
    Nothing is reached yet: what is wrong with a bucket is told by the first call that needs it.
    """
    location = parse_artifact_location(given)
    if isinstance(location, Path):
        return LocalArtifacts(location)
    store, folder = S3Artifacts(location, s3), cache_folder()
    return store if folder is None else CachedArtifacts(store, folder)
