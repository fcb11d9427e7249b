"""What is in use is not deleted, and says by whom; what is deleted is hidden, comes back, and leaves its number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from penstock.errors import Conflict, InvalidValue, NotFound
from penstock.model.runs import RunStatus
from penstock.stores.sql.dialects import open_database
from penstock.stores.sql.urls import parse_store_url
from tests import tiny
from tests.core.registry.conftest import Shop


def test_what_is_live_or_was_compared_with_is_not_deleted(shop: Shop) -> None:
    version = shop.client.get_version(tiny.MODEL, 3)
    refusals: dict[str, Callable[[], Any]] = {
        r"alias 'champion', which points to it": lambda: shop.client.delete_version(tiny.MODEL, 3, reason="x"),
        r"decision [0-9a-f]{32}, which compares with it": lambda: shop.client.delete_version(tiny.MODEL, 1, reason="x"),
        r"version models:/benign/3, which was registered": lambda: shop.client.delete_run(version.run_id, reason="x"),
        r"version models:/benign/3": lambda: shop.client.delete_model(f"models:/{version.model_id}", reason="x"),
    }
    before = list(shop.client.read_ledger())
    for said, call in refusals.items():
        with pytest.raises(Conflict, match=said):
            call()
    with pytest.raises(InvalidValue, match="reason"):
        shop.client.delete_version(tiny.MODEL, 3, reason="")
    assert list(shop.client.read_ledger()) == before


def test_a_deleted_version_is_not_found_by_anybody_until_it_is_restored(shop: Shop) -> None:
    version, decision = shop.registered("new")
    shop.client.delete_version(tiny.MODEL, 4, reason="wrong data")
    assert [found.version for found in shop.client.list_versions(tiny.MODEL)] == [3, 2, 1]
    assert [found.version for found in shop.client.list_versions(tiny.MODEL, deleted=True)] == [4, 3, 2, 1]
    frame = tiny.rows().head(3)
    with pytest.raises(NotFound, match="penstock models restore benign 4"):
        shop.client.load_model("models:/benign/4")
    shop.client.load_model("models:/benign/latest").predict(frame)
    with pytest.raises(Conflict, match="deleted"):
        shop.client.promote(tiny.MODEL, "champion", version, decision)
    assert shop.registered("newer")[0].version == 5
    shop.client.restore_version(tiny.MODEL, 4, reason="it was right")
    assert shop.client.promote(tiny.MODEL, "champion", version, decision).to_version == 4
    assert list(shop.client.verify(read_bytes=False)) == []


def test_a_run_and_a_model_nobody_refers_to_are_hidden_and_come_back(shop: Shop) -> None:
    run = shop.client.open_run(tiny.EXPERIMENT, "scrap")
    model = run.step("train", tiny.train, strength=1.0)
    with pytest.raises(Conflict, match="running"):
        shop.client.delete_run(run.ref, reason="x")
    run.close(RunStatus.FINISHED)
    shop.client.delete_model(model, reason="leaked")
    with pytest.raises(NotFound, match="logged no model"):
        shop.client.load_model(model["model"])
    with pytest.raises(NotFound, match="deleted"):
        shop.client.load_model(f"models:/{model['model_id']}")
    shop.client.restore_model(f"models:/{model['model_id']}", reason="it was not")
    shop.client.delete_run(run.ref, reason="leaked")
    assert run.run_id not in {found.run_id for found in shop.client.list_runs()}
    with pytest.raises(Conflict, match="deleted"):
        shop.client.open_run(tiny.EXPERIMENT, "scrap")
    assert list(shop.client.verify(read_bytes=False)) == []
    shop.client.restore_run(run.ref, reason="it was not")
    assert not shop.client.open_run(tiny.EXPERIMENT, "scrap").created


@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        ("UPDATE model_versions SET payload_digest = 'x'", "versions are immutable"),
        ("DELETE FROM model_versions", "versions are immutable|FOREIGN KEY"),
        ("UPDATE load_checks SET passed = NOT passed", "append-only"),
        ("UPDATE runs SET lifecycle_stage = 'deleted'", "a version or a decision refers to this run"),
        ("DELETE FROM runs", "FOREIGN KEY"),
        ("DELETE FROM logged_models", "FOREIGN KEY"),
        ("DELETE FROM decisions", "FOREIGN KEY"),
        (
            "INSERT INTO deleted_models (model_id, reason, actor, deleted_ms)"
            " SELECT model_id, 'x', '{}', 0 FROM model_versions",
            "refers to this model",
        ),
        (
            "INSERT INTO version_states (workspace, model, version, state, reason, actor, changed_ms)"
            " SELECT workspace, model, version, 'deleted', 'x', '{}', 0 FROM aliases",
            "an alias points to this version",
        ),
        (
            "INSERT INTO alias_moves (workspace, model, alias, generation, to_version, authorization_id, moved_ms)"
            " SELECT workspace, model, 'new', 1, 4, authorization_id, 0 FROM aliases",
            "only to a version that was seen to load",
        ),
    ],
)
def test_the_database_itself_guards_what_is_in_use(shop: Shop, statement: str, refusal: str) -> None:
    if "alias_moves" in statement:
        shop.registered("never seen to load")
    database = open_database(parse_store_url(f"sqlite:///{shop.folder / 'penstock.db'}"))
    with pytest.raises(sa.exc.DBAPIError, match=refusal), database.engine().begin() as connection:
        connection.exec_driver_sql(statement)
    database.close()


def test_what_the_ledger_says_of_deleted_models_and_purged_runs_is_what_is_stored(shop: Shop) -> None:
    models = []
    for key in ("deleted", "collected", "went with its run"):
        with shop.client.open_run(tiny.EXPERIMENT, key) as run:
            models.append(run.step("train", tiny.train, strength=1.0)["model_id"])
        shop.client.delete_model(f"models:/{models[-1]}", reason="leaked")
        if key == "collected":
            shop.client.collect(dry_run=False, deleted=True)
        if key == "went with its run":
            shop.client.restore_model(f"models:/{models[-1]}", reason="it was not")
    shop.client.delete_run(run.ref, reason="leaked")
    shop.client.collect(dry_run=False, deleted=True)
    with shop.client.open_run(tiny.EXPERIMENT, "kept") as run:
        models.append(run.step("train", tiny.train, strength=1.0)["model_id"])
    shop.client.delete_model(f"models:/{models[-1]}", reason="leaked")
    assert list(shop.client.verify(read_bytes=False)) == []
    database = open_database(parse_store_url(f"sqlite:///{shop.folder / 'penstock.db'}"))
    for changed, missing in (("UPDATE deleted_models SET purged_ms = NULL", 3), ("DELETE FROM deleted_models", 4)):
        with database.engine().begin() as connection:
            connection.exec_driver_sql(f"{changed} WHERE model_id IN ('{models[1]}', '{models[2]}', '{models[3]}')")
        found = {each.subject for each in shop.client.verify(read_bytes=False) if each.check == "logged model"}
        assert found == set(models[1:missing])
    database.close()
