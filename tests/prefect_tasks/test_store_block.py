"""The `PenstockStore` block: found or clearly missing, and never telling its secret (W1, W10, BI-098)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import penstock
from penstock.errors import InvalidValue, Terminal
from penstock_prefect import BlockNotFound, PenstockStore, get_store, open_run, tracked_flow

CANARY = "S3CR3T-5f0c8f4e"


def test_without_a_block_the_environment_names_the_store(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_ARTIFACTS", "/somewhere/else")
    store = get_store()
    assert store.url.get_secret_value() == store_url
    assert store.artifacts == "/somewhere/else"


def test_a_block_hides_its_url_where_people_look() -> None:
    block = PenstockStore(url=f"sqlite:////{CANARY}/penstock.db")
    shown = [repr(block), str(block), f"{block}", str(block.model_dump()), block.model_dump_json()]
    assert CANARY not in "".join(shown)


@pytest.mark.prefect
def test_a_missing_block_says_how_to_create_it_and_is_not_retried() -> None:
    with pytest.raises(BlockNotFound, match=r"block 'production' not found: create it with PenstockStore\(url=") as e:
        get_store("production")
    assert isinstance(e.value, Terminal)


def test_something_that_is_no_store_is_refused() -> None:
    with pytest.raises(InvalidValue, match="a PenstockStore block"):
        get_store(3)  # type: ignore[arg-type]


@pytest.mark.prefect
def test_a_saved_block_is_used_by_name_and_its_secret_is_in_no_log_result_or_record(
    tmp_path: Path, logs: pytest.LogCaptureFixture
) -> None:
    from prefect.client.orchestration import get_client

    folder = tmp_path / CANARY
    folder.mkdir()
    PenstockStore(url=f"sqlite:///{folder}/penstock.db", artifacts=str(tmp_path / "bytes")).save("team-store")

    @tracked_flow(experiment="tests/flows", key="only", store="team-store")
    def pipeline(run: Any) -> Any:
        assert run == open_run("tests/flows", "only", store=PenstockStore.load("team-store"))
        return run

    state = pipeline(return_state=True)
    with penstock.connect(f"sqlite:///{folder}/penstock.db") as client:
        record = client.get_run(state.result())
    with get_client(sync_client=True) as api:
        document = api.read_block_document_by_name("team-store", "penstock-store", include_secrets=False)
        tasks = api.read_task_runs()
        flow_run = api.read_flow_run(state.state_details.flow_run_id)
    texts = [logs.text, json.dumps(state.result()), repr(record), document.model_dump_json(), repr(tasks)]
    assert CANARY not in "".join([*texts, flow_run.model_dump_json()])


@pytest.mark.prefect
def test_a_url_that_is_refused_is_not_told_in_the_failure(logs: pytest.LogCaptureFixture) -> None:
    store = PenstockStore(url=f"oracle://ada:{CANARY}@db.example/penstock")

    @tracked_flow(experiment="tests/flows", key="only", store=store)
    def pipeline(run: Any) -> None: ...

    state = pipeline(return_state=True)
    assert state.is_failed()
    assert "store URL" in logs.text
    assert CANARY not in logs.text + repr(state) + str(state.message)


@pytest.mark.prefect
def test_a_block_of_an_older_form_says_to_save_it_again() -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import BlockDocumentUpdate

    PenstockStore(url="sqlite:////tmp/penstock.db").save("old-store")
    with get_client(sync_client=True) as api:
        document = api.read_block_document_by_name("old-store", "penstock-store")
        update = BlockDocumentUpdate(data={"address": "x"}, merge_existing_data=False)
        api.update_block_document(document.id, update)
    with pytest.raises(InvalidValue, match="Save it again"):
        get_store("old-store")


@pytest.mark.prefect
def test_a_saved_block_is_found_from_an_async_flow_too() -> None:
    import asyncio

    from prefect import flow

    PenstockStore(url="sqlite:////tmp/penstock.db").save("async-store")

    async def pipeline() -> str:
        return get_store("async-store").url.get_secret_value()

    assert asyncio.run(flow(pipeline)()) == "sqlite:////tmp/penstock.db"
