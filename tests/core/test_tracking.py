"""Runs, steps and what is logged into them."""

from __future__ import annotations

import functools
import json
import math
import threading
from pathlib import Path
from typing import Any

import pytest

import penstock
from penstock.errors import Conflict, Fenced, InvalidValue, NotFound
from penstock.model.runs import RunStatus

EXPERIMENT = "team/project/kind"


def test_the_same_key_finds_the_same_run(client: penstock.Client) -> None:
    first = client.open_run(EXPERIMENT, "2013-03")
    second = client.open_run(EXPERIMENT, "2013-03")
    assert first.run_id == second.run_id
    assert (first.created, second.created) == (True, False)
    assert [e.kind for e in client.read_ledger()] == ["run_opened"]


def test_a_run_id_follows_from_the_key_in_any_store(client: penstock.Client, tmp_path: Path) -> None:
    with penstock.connect(f"sqlite:///{tmp_path / 'other.db'}") as other:
        assert other.open_run(EXPERIMENT, "p").run_id == client.open_run(EXPERIMENT, "p").run_id


def test_a_key_of_another_experiment_is_refused(client: penstock.Client) -> None:
    key = penstock.RunKey("pipeline", "2013-03")
    client.open_run(EXPERIMENT, key)
    with pytest.raises(Conflict, match=r"belongs|run of experiment"):
        client.open_run("another/experiment", key)


def test_runs_opened_at_once_by_many_threads_are_one_run(client: penstock.Client) -> None:
    barrier, ids = threading.Barrier(8), []

    def open_one() -> None:
        barrier.wait()
        ids.append(client.open_run(EXPERIMENT, "2013-03", params={"a": 1}).run_id)

    threads = [threading.Thread(target=open_one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 8
    assert len(set(ids)) == 1
    assert len(list(client.read_ledger())) == 1


def test_a_block_that_raises_ends_the_run_failed_with_its_reason(client: penstock.Client) -> None:
    with pytest.raises(ZeroDivisionError), client.open_run(EXPERIMENT, "p") as run:
        run.log_metric("a", 1 / 0)
    ended = client.get_run(run.ref).run
    assert ended.status is RunStatus.FAILED
    assert "ZeroDivisionError" in ended.reason


def test_a_failed_run_that_is_opened_again_is_reopened_on_record(client: penstock.Client) -> None:
    with pytest.raises(ValueError, match="first"), client.open_run(EXPERIMENT, "p"):
        raise ValueError("first")
    with client.open_run(EXPERIMENT, "p"):
        pass
    kinds = [event.kind for event in client.read_ledger()]
    assert kinds == ["run_opened", "run_ended", "run_reopened", "run_ended"]
    assert client.list_runs()[0].status is RunStatus.FINISHED


def test_nan_and_infinities_are_recorded_as_what_they_are(client: penstock.Client) -> None:
    with client.open_run(EXPERIMENT, "p") as run:
        run.log_metrics({"nan": math.nan, "up": math.inf, "down": -math.inf, "zero": 0.0})
    metrics = client.get_run(run.ref).metrics
    assert math.isnan(metrics["nan"])
    assert (metrics["up"], metrics["down"], metrics["zero"]) == (math.inf, -math.inf, 0.0)


@pytest.mark.parametrize("value", ["0.91", True, None, [0.9], {"v": 1}, b"1"])
def test_a_metric_that_is_not_a_number_is_refused_and_nothing_is_written(client: penstock.Client, value: Any) -> None:
    run = client.open_run(EXPERIMENT, "p")
    with pytest.raises(InvalidValue, match="metric 'bad'"):
        run.log_metrics({"good": 1.0, "bad": value})
    assert client.get_run(run.ref).metrics == {}


def test_numpy_scalars_are_numbers_and_arrays_are_not(client: penstock.Client) -> None:
    import numpy as np

    run = client.open_run(EXPERIMENT, "p")
    run.log_metrics({"f32": np.float32(0.5), "i": np.int64(3)})
    assert client.get_run(run.ref).metrics == {"f32": 0.5, "i": 3.0}
    with pytest.raises(InvalidValue, match=r"shape \(3,\)"):
        run.log_metric("a", np.zeros(3))
    with pytest.raises(InvalidValue):
        run.log_metric("a", np.bool_(True))


def test_the_same_metric_point_twice_is_one_point(client: penstock.Client) -> None:
    run = client.open_run(EXPERIMENT, "p")
    for step in (0, 1, 1, 2):
        run.log_metric("loss", 1.0 / (step + 1), step=step)
    points = client.wiring.store.list_metric_points(run.run_id, "loss")
    assert [point[0] for point in points][:1] == [0]
    assert sorted({point[0] for point in points}) == [0, 1, 2]


def test_a_metrics_history_is_read_in_columns_that_pandas_and_numpy_take_as_they_are(client: penstock.Client) -> None:
    import numpy as np
    import pandas as pd

    run = client.open_run(EXPERIMENT, "p")
    for step in (2, 1):
        run.log_metric("loss", 1.0 / step, step=step)
    history = client.metric_history(run.ref, "loss")
    frame = pd.DataFrame(history.columns)
    assert frame[["step", "value"]].to_numpy().tolist() == [[1.0, 1.0], [2.0, 0.5]]
    assert np.asarray(history.values).tolist() == [1.0, 0.5]
    assert (len(history), [point[0] for point in history[1:]], history[-1][2]) == (2, [2], 0.5)
    assert len(client.metric_history(run, "unknown")) == 0


def test_a_param_is_written_once_per_attempt(client: penstock.Client) -> None:
    run = client.open_run(EXPERIMENT, "p")
    run.log_params({"lr": 0.1})
    run.log_params({"lr": 0.1})
    with pytest.raises(Conflict, match=r"lr.*0\.2.*0\.1"):
        run.log_params({"lr": 0.2, "other": 1})
    assert client.get_run(run.ref).params == {"lr": "0.1"}


def test_a_step_is_done_once_and_answers_from_its_stored_result(client: penstock.Client) -> None:
    calls = []

    def work(run: Any, month: str) -> dict[str, Any]:
        calls.append(month)
        run.log_metric("rows", 10)
        return {"month": month, "n": [1, 2]}

    with client.open_run(EXPERIMENT, "p") as run:
        first = run.step("train", work, month="2013-03")
    before = list(client.read_ledger())
    with client.open_run(EXPERIMENT, "p") as run:
        second = run.step("train", work, month="2013-03")
    assert first == second == {"month": "2013-03", "n": [1, 2]}
    assert calls == ["2013-03"]
    assert list(client.read_ledger()) == before


def test_a_step_with_other_inputs_is_done_again_and_the_old_result_is_kept(client: penstock.Client) -> None:
    calls = []

    def work(run: Any, depth: int) -> int:
        calls.append(depth)
        run.log_metric("depth", depth)
        return depth

    with client.open_run(EXPERIMENT, "p") as run:
        assert [run.step("train", work, depth=d) for d in (1, 2, 1)] == [1, 2, 1]
    assert calls == [1, 2]
    details = client.get_run(run.ref)
    assert details.metrics == {"depth": 2.0}
    assert next(s for s in details.steps if s.step.name == "train").generation == 2


def test_a_step_whose_code_has_changed_is_done_again(client: penstock.Client) -> None:
    with client.open_run(EXPERIMENT, "p") as run:
        assert run.step("train", lambda run: "old") == "old"
        assert run.step("train", lambda run: "new") == "new"


def test_comments_layout_and_decorators_of_a_step_are_not_its_code(client: penstock.Client) -> None:
    def first() -> Any:
        def work(run: Any) -> str:
            return "done"

        return work

    def second() -> Any:
        @functools.cache
        def work(run: Any) -> str:
            # A comment, and a decorator.
            return "done"

        return work

    with client.open_run(EXPERIMENT, "p") as run:
        run.step("train", first())
        run.step("train", second())
    assert client.get_run(run.ref).steps[0].attempt == 1


def test_a_failed_step_is_tried_again_and_its_metrics_do_not_count_twice(client: penstock.Client) -> None:
    tries = []

    def work(run: Any) -> str:
        tries.append(1)
        run.log_metric("attempt", len(tries), step=len(tries))
        run.log_params({"try": len(tries)})
        if len(tries) == 1:
            raise RuntimeError("out of memory")
        return "done"

    with pytest.raises(RuntimeError), client.open_run(EXPERIMENT, "p") as run:
        run.step("train", work)
    with client.open_run(EXPERIMENT, "p") as run:
        assert run.step("train", work) == "done"
    details = client.get_run(run.ref)
    assert details.metrics == {"attempt": 2.0}
    assert details.params == {"try": "2"}
    assert len(client.wiring.store.list_metric_points(run.run_id, "attempt")) == 1


def test_a_resumed_step_keeps_the_metrics_of_the_attempt_before(client: penstock.Client) -> None:
    tries = []

    def work(run: Any) -> str:
        tries.append(1)
        run.log_metric("loss", 1.0 / len(tries), step=len(tries))
        if len(tries) == 1:
            raise RuntimeError("preempted")
        return "done"

    with pytest.raises(RuntimeError), client.open_run(EXPERIMENT, "p") as run:
        run.step("train", work)
    with client.open_run(EXPERIMENT, "p") as run:
        run.step("train", work, resume=True)
    assert [p[0] for p in client.wiring.store.list_metric_points(run.run_id, "loss")] == [1, 2]


def test_a_result_that_is_not_json_fails_the_step(client: penstock.Client) -> None:
    with pytest.raises(InvalidValue, match="JSON"), client.open_run(EXPERIMENT, "p") as run:
        run.step("train", lambda run: math.nan)
    assert client.get_run(run.ref).steps[0].state.value == "FAILED"


def test_a_newer_attempt_fences_the_older_one(client: penstock.Client) -> None:
    run = client.open_run(EXPERIMENT, "p")
    old, new = client.join_run(run.ref, step="train"), client.join_run(run.ref, step="train")
    old.log_metric("loss", 0.5)
    new.log_metric("loss", 0.4)
    with pytest.raises(Fenced, match="attempt 1 has been superseded by attempt 2"):
        old.log_metric("loss", 0.3)
    assert client.get_run(run.ref).metrics == {"loss": 0.4}


def test_mapped_steps_do_not_fence_each_other(client: penstock.Client) -> None:
    run = client.open_run(EXPERIMENT, "p")
    handles = [client.join_run(run.ref, step="shard", map_index=i) for i in range(3)]
    for index, handle in enumerate(handles):
        handle.log_metric(f"m{index}", index)
    for index, handle in enumerate(handles):
        handle.log_metric(f"n{index}", index)
    assert len(client.get_run(run.ref).metrics) == 6


def test_ending_a_run_twice_is_once_and_differently_is_refused(client: penstock.Client) -> None:
    run = client.open_run(EXPERIMENT, "p")
    client.close_run(run.ref)
    client.close_run(run.ref)
    with pytest.raises(Conflict, match="it ended FINISHED"):
        client.close_run(run.ref, "FAILED")
    with pytest.raises(InvalidValue, match="FINISHED, FAILED, KILLED"):
        client.close_run(run.ref, "DONE")
    assert [e.kind for e in client.read_ledger()] == ["run_opened", "run_ended"]


def test_a_run_is_joined_from_the_environment(
    client: penstock.Client, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = client.open_run(EXPERIMENT, "p")
    monkeypatch.setenv("PENSTOCK_URL", store_url)
    monkeypatch.setenv("PENSTOCK_RUN_ID", run.run_id)
    penstock.join_run(step="train").log_metric("a", 1)
    assert client.get_run(run.ref).metrics == {"a": 1.0}


def test_joining_without_a_run_says_what_is_expected(client: penstock.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PENSTOCK_RUN_ID", raising=False)
    with pytest.raises(InvalidValue, match="PENSTOCK_RUN_ID"):
        client.join_run()
    with pytest.raises(NotFound, match="does not exist"):
        client.join_run("0" * 32)
    with pytest.raises(InvalidValue, match="run reference"):
        client.join_run({"run_id": "../../etc/passwd"})


@pytest.mark.parametrize("name", ["", " ", "a" * 501, "a//b", "../x", "a\u202eb", "e\u0301", "/a", "a\nb"])
def test_an_experiment_name_outside_the_grammar_is_refused(client: penstock.Client, name: str) -> None:
    with pytest.raises(InvalidValue, match="experiment name"):
        client.open_run(name, "p")
    assert client.list_runs() == []


def test_references_are_small_json(client: penstock.Client) -> None:
    run = client.open_run(EXPERIMENT, "p")
    assert len(json.dumps(run.ref)) < 300


def test_an_artifact_is_stored_listed_and_replaced_by_path(client: penstock.Client, tmp_path: Path) -> None:
    run = client.open_run(EXPERIMENT, "p")
    file = tmp_path / "notes.txt"
    seen: list[tuple[int, int]] = []
    for text in ("first", "second"):
        file.write_text(text)
        entry = run.log_artifact(file, "docs/notes.txt", progress=lambda *at: seen.append(at))
    assert seen == [(5, 5), (6, 6)]
    listed = client.wiring.store.list_artifacts(run.run_id)
    assert [(f.path, f.sha256) for f in listed] == [("docs/notes.txt", entry.sha256)]
    client.wiring.artifacts.fetch(entry.sha256, tmp_path / "back.txt")
    assert (tmp_path / "back.txt").read_text() == "second"


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "a\\b", "a\0b", "C:/x", "a//b", "．．/x", "."])
def test_an_artifact_path_that_could_escape_is_refused(client: penstock.Client, tmp_path: Path, path: str) -> None:
    run = client.open_run(EXPERIMENT, "p")
    file = tmp_path / "a.txt"
    file.write_text("x")
    with pytest.raises(InvalidValue, match="artifact path"):
        run.log_artifact(file, path)
