"""Rollback: one command back to what was live before, on record, with the database alone."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

import penstock
from penstock.errors import Conflict, InvalidValue, NotAuthorized, NotFound
from tests import tiny
from tests.tiny_pipeline import retrain


@pytest.fixture(scope="module")
def three_champions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("champions")
    held_out = tiny.held_out_file(folder)
    with penstock.connect(f"sqlite:///{folder / 'penstock.db'}", actor="pipeline") as client:
        for key in ("a", "b", "c"):
            assert retrain(client, key, held_out).passed
    return folder


@pytest.fixture
def client(three_champions: Path, memory: Path) -> penstock.Client:
    """A store whose champion is version 3, after 1 and 2, and whose bytes are out of reach."""
    with penstock.connect(f"sqlite:///{three_champions / 'penstock.db'}") as original:
        original.close()
    for file in three_champions.glob("penstock.db*"):
        shutil.copy(file, memory)
    return penstock.connect(f"sqlite:///{memory / 'penstock.db'}", memory / "nowhere", actor="ana")


def _live(client: penstock.Client) -> int:
    return client.list_models()[0].aliases["champion"]


def test_a_rollback_goes_back_to_what_was_live_before_with_who_and_why_on_record(client: penstock.Client) -> None:
    started = time.perf_counter()
    move = client.rollback(tiny.MODEL, "champion", reason="complaints from the clinic")
    assert time.perf_counter() - started < 2
    assert (move.from_version, move.to_version, move.generation) == (3, 2, 4)
    assert _live(client) == 2
    entry = list(client.read_ledger(model=tiny.MODEL))[-1]
    assert (entry.kind, entry.why, entry.actor["subject"]) == ("alias_moved", "complaints from the clinic", "ana")
    assert list(client.verify(read_bytes=False)) == []


def test_going_back_twice_goes_back_twice(client: penstock.Client) -> None:
    client.rollback(tiny.MODEL, "champion", reason="first")
    client.rollback(tiny.MODEL, "champion", reason="second")
    assert _live(client) == 1
    with pytest.raises(NotAuthorized, match=r"nothing before version 1.*--to"):
        client.rollback(tiny.MODEL, "champion", reason="third")


def test_a_version_that_was_promoted_again_goes_back_to_the_version_before_it(
    client: penstock.Client, three_champions: Path, memory: Path
) -> None:
    with penstock.connect(f"sqlite:///{memory / 'penstock.db'}", three_champions / "artifacts") as pipeline:
        held_out = str(three_champions / "held_out.parquet")
        evaluation = pipeline.evaluate(tiny.CHAMPION, held_out, label=tiny.LABEL, baseline=tiny.CHAMPION)
        decision = pipeline.decide(evaluation, tiny.POLICY, model=tiny.MODEL)
        again = pipeline.promote(tiny.MODEL, "champion", 3, decision)
    assert (again.from_version, again.to_version, again.generation) == (3, 3, 4)
    assert client.rollback(tiny.MODEL, "champion", reason="complaints from the clinic").to_version == 2


def test_a_named_version_that_held_the_alias_may_be_gone_back_to(client: penstock.Client) -> None:
    assert client.rollback(tiny.MODEL, "champion", to=1, reason="known good").to_version == 1
    assert client.rollback(tiny.MODEL, "champion", to=3, reason="it was not the model").to_version == 3


def test_the_same_key_rolls_back_once(client: penstock.Client) -> None:
    moves = [client.rollback(tiny.MODEL, "champion", reason="incident", key="INC-7") for _ in range(3)]
    assert {move.generation for move in moves} == {4}
    assert _live(client) == 2


def test_a_promotion_decided_before_the_rollback_comes_too_late(
    client: penstock.Client, three_champions: Path, memory: Path
) -> None:
    held_out = str(three_champions / "held_out.parquet")
    with penstock.connect(f"sqlite:///{memory / 'penstock.db'}", three_champions / "artifacts") as pipeline:
        run = pipeline.open_run(tiny.EXPERIMENT, "d")
        model = run.step("train", tiny.train, strength=1.0)
        evaluation = pipeline.evaluate(model, held_out, label=tiny.LABEL, baseline=tiny.CHAMPION)
        decision = pipeline.decide(evaluation, tiny.POLICY, model=tiny.MODEL)
        version = pipeline.register(tiny.MODEL, model, decision)
        client.rollback(tiny.MODEL, "champion", reason="stop")
        with pytest.raises(Conflict, match="version 2, generation 4"):
            pipeline.promote(tiny.MODEL, "champion", version, decision)
    assert _live(client) == 2


def test_what_cannot_be_gone_back_to_is_refused_and_nothing_moves(client: penstock.Client) -> None:
    with pytest.raises(NotAuthorized, match="Versions that did: 1, 2, 3"):
        client.rollback(tiny.MODEL, "champion", to=9, reason="x")
    with pytest.raises(InvalidValue, match="another one"):
        client.rollback(tiny.MODEL, "champion", to=3, reason="x")
    with pytest.raises(InvalidValue, match="reason"):
        client.rollback(tiny.MODEL, "champion", reason="  ")
    with pytest.raises(NotFound, match="never set"):
        client.rollback(tiny.MODEL, "challenger", reason="x")
    assert _live(client) == 3


def test_the_command_says_what_it_did(client: penstock.Client, memory: Path) -> None:
    from click.testing import CliRunner

    from penstock.cli import main

    arguments = ["models", "rollback", tiny.MODEL, "champion", "--reason", "paged at night", "--to", "v1"]
    url = f"sqlite:///{memory / 'penstock.db'}"
    done = CliRunner().invoke(main, ["--url", url, *arguments])
    assert (done.exit_code, done.stdout.strip()) == (0, "models:/benign@champion: v3 → v1, by rollback")
    history = CliRunner().invoke(main, ["--url", url, "models", "history", tiny.MODEL])
    assert "paged at night" in history.stdout
    assert "rollback" in history.stdout
