"""The whole tiny pipeline with its bytes on S3: the same ledger as with a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

import penstock
from penstock.errors import Corrupted
from tests import tiny
from tests.artifacts.insides import BucketInside
from tests.s3_servers import S3Server
from tests.scenarios.ledgers import state
from tests.tiny_pipeline import retrain


def test_a_pipeline_with_its_bytes_on_s3_leaves_what_one_on_a_folder_leaves(
    moto: S3Server, s3_credentials: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in moto.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PENSTOCK_CACHE", str(tmp_path / "cache"))
    store = moto.artifacts()
    held_out, states = tiny.held_out_file(tmp_path), []
    for name, artifacts in (("s3", store.location), ("folder", str(tmp_path / "artifacts"))):
        with penstock.connect(f"sqlite:///{tmp_path / name}.db", artifacts, actor="tester") as client:
            assert retrain(client, "2013-03", held_out).passed
            states.append(state(client, tiny.EXPERIMENT, tiny.MODEL))
    assert states[0] == states[1]

    inside = BucketInside(moto, store)
    with penstock.connect(f"sqlite:///{tmp_path / 's3'}.db", store.location) as client:
        assert client.artifact_location == store.location
        files = client.wiring.store.get_model(client.get_version(tiny.MODEL, 1).model_id).files
        assert {file.sha256 for file in files} < set(inside.hashes())
        assert inside.hashes() == list(client.wiring.store.list_blobs("", 100))  # and what else the run refers to
        inside.replace(files[0].sha256, b"something else")
        assert len(client.load_model(tiny.CHAMPION).predict(tiny.rows()[:3])) == 3  # from the cache
        monkeypatch.setenv("PENSTOCK_CACHE", "0")
    with (
        penstock.connect(f"sqlite:///{tmp_path / 's3'}.db", store.location) as client,
        pytest.raises(Corrupted, match=files[0].sha256),
    ):
        client.load_model(tiny.CHAMPION)
