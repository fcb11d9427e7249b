"""A store with three champions and one challenger that was refused, copied for each test that changes it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import penstock
from penstock.model.decisions import GateDecision
from penstock.model.versions import ModelVersion
from tests import tiny
from tests.tiny_pipeline import retrain


@pytest.fixture(scope="session")
def champions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("champions")
    held_out = tiny.held_out_file(folder)
    with penstock.connect(f"sqlite:///{folder / 'penstock.db'}", actor="pipeline") as client:
        for key in ("a", "b", "c"):
            assert retrain(client, key, held_out).passed
        assert not retrain(client, "weak", held_out, strength=0.5).passed
    return folder


@dataclass(frozen=True)
class Shop:
    """A client of an own copy, and a way to a further version that was registered but not promoted."""

    client: penstock.Client
    folder: Path

    def as_actor(self, actor: str) -> penstock.Client:
        """The same store, for somebody else."""
        return penstock.connect(f"sqlite:///{self.folder / 'penstock.db'}", actor=actor)

    def decided(
        self, key: str, alias: str = "champion", baseline: str | None = tiny.CHAMPION
    ) -> tuple[Any, GateDecision]:
        """Train, evaluate and decide for an alias."""
        with self.client.open_run(tiny.EXPERIMENT, key) as run:
            model = run.step("train", tiny.train, strength=1.0)
        held_out = str(self.folder / "held_out.parquet")
        evaluation = self.client.evaluate(model, held_out, label=tiny.LABEL, baseline=baseline)
        policy = {**tiny.POLICY, "rules": tiny.POLICY["rules"][:1]} if baseline is None else tiny.POLICY
        return model, self.client.decide(evaluation, policy, model=tiny.MODEL, alias=alias)

    def registered(self, key: str, alias: str = "champion") -> tuple[ModelVersion, GateDecision]:
        """The same, and register it."""
        model, decision = self.decided(key, alias, tiny.CHAMPION if alias == "champion" else None)
        return self.client.register(tiny.MODEL, model, decision), decision


@pytest.fixture
def shop(champions: Path, tmp_path: Path) -> Iterator[Shop]:
    with penstock.connect(f"sqlite:///{champions / 'penstock.db'}") as original:
        original.close()
    folder = tmp_path / "shop"
    shutil.copytree(champions, folder)
    with penstock.connect(f"sqlite:///{folder / 'penstock.db'}", actor="tester") as client:
        yield Shop(client, folder)
