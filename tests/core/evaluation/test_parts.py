"""Evaluation in parts, as mapped tasks do it: the same numbers as the whole, once, and nothing foreign merged."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import penstock
from penstock.errors import Conflict, Corrupted, InvalidValue, NotFound
from penstock.evaluation.state import packing
from tests.core.measuring import FEATURES, HELD_OUT, TRAIN, trained


@pytest.fixture
def client(tmp_path: Any) -> Any:
    with penstock.connect(f"sqlite:///{tmp_path}/p.db", artifacts=tmp_path / "artifacts") as client:
        yield client


def logged(client: Any, key: str = "k", c: float = 1.0) -> tuple[Any, Any]:
    run = client.open_run("team/parts/cancer", key=key)
    estimator = LogisticRegression(C=c, max_iter=3000).fit(TRAIN[list(FEATURES)], TRAIN["target"])
    return run, run.log_model(estimator, "model", input_example=TRAIN[list(FEATURES)][:3])


FRAMES = [HELD_OUT[start : start + 100].assign(group=["a", "b"][start // 100 % 2]) for start in range(0, 284, 100)]
# Without an id column a bootstrap draws the rows of frames by their number in their part, not in the whole.
OPTIONS: dict[str, Any] = {
    "label": "target",
    "task": "binary",
    "slices": ["group", "mean radius:12,15"],
    "bootstrap": 0,
}


def parts_of(client: Any, model: Any, **more: Any) -> list[Any]:
    return [
        client.evaluate_part(model.uri, frame, map_index=place, **OPTIONS, **more) for place, frame in enumerate(FRAMES)
    ]


def test_merged_parts_are_the_evaluation_of_the_whole_and_a_retry_happens_once(client: Any) -> None:
    import pandas as pd

    run, model = logged(client)
    parts = parts_of(client, model)
    whole = client.evaluate(model.uri, pd.concat(FRAMES), step="whole", **OPTIONS)

    merged = client.merge_evaluations([json.loads(json.dumps(part)) for part in parts])
    again = client.merge_evaluations(parts[::-1])

    assert merged.measurements == whole.measurements
    assert (merged.dataset.digest, merged.dataset.rows) == (whole.dataset.digest, whole.dataset.rows)
    assert (merged.task, merged.payload_digest, merged.run_id) == (whole.task, whole.payload_digest, run.run_id)
    assert again == merged
    assert parts_of(client, model) == parts
    recorded = [entry for entry in client.read_ledger() if entry.kind == "evaluation_recorded"]
    assert len(recorded) == 2
    assert len(json.dumps(parts[0])) < 400


def test_parts_that_do_not_belong_together_are_refused(client: Any) -> None:
    run, model = logged(client)
    parts = parts_of(client, model)
    other = client.evaluate_part(model.uri, FRAMES[0], label="target", map_index=9)
    _, elsewhere = logged(client, "other")

    with pytest.raises(Conflict, match=r"asked.*They are not comparable: asked differs"):
        client.merge_evaluations([parts[0], other])
    estimator = LogisticRegression(C=0.01, max_iter=3000).fit(TRAIN[list(FEATURES)], TRAIN["target"])
    another = client.evaluate_part(run.log_model(estimator, "another"), FRAMES[1], map_index=8, **OPTIONS)
    with pytest.raises(Conflict, match=r"payload_digest.*not comparable: digests differ"):
        client.merge_evaluations([parts[0], another])
    with pytest.raises(InvalidValue, match="every part once"):
        client.merge_evaluations([parts[0], parts[0]])
    with pytest.raises(InvalidValue, match="at least one"):
        client.merge_evaluations([])
    with pytest.raises(InvalidValue, match="parts of run"):
        client.merge_evaluations([parts[0], client.evaluate_part(elsewhere.uri, FRAMES[0], **OPTIONS)])
    with pytest.raises(NotFound, match="no such part"):
        client.merge_evaluations([{**parts[0], "sha256": "0" * 64}])
    with pytest.raises(InvalidValue, match="reference that evaluate_part returned"):
        client.merge_evaluations(["evaluations/parts/0"])


def test_a_state_survives_its_bytes_and_damage_is_found() -> None:
    tree = {
        "counts": np.arange(6).reshape(2, 3),
        "nested": {"text": "ü", "list": [1, 2.5, None, True, float("inf")]},
        "none": np.zeros((0, 3)),
        "names": np.array(["a", "bc"]),
    }
    packed = packing.pack(tree)
    found = packing.unpack(packed)

    np.testing.assert_equal(found, tree)
    for damaged in (packed[:-1], packed[:200] + bytes([packed[200] ^ 1]) + packed[201:], b"PK" + packed, b""):
        with pytest.raises(Corrupted):
            packing.unpack(damaged)
    with pytest.raises(InvalidValue, match="numbers, fixed text"):
        packing.pack({"objects": np.array([object()])})


def test_trained_estimators_answer_alike_in_parts() -> None:
    """The premise of this file: a linear model answers rows apart as it does together, to the last bit or nearly."""
    model = trained(LogisticRegression(max_iter=3000))
    together = model.predict_proba(HELD_OUT)
    apart = np.concatenate([model.predict_proba(frame) for frame in FRAMES])
    np.testing.assert_allclose(apart, together, rtol=1e-12)


def test_files_in_parts_draw_the_replicates_of_their_folder(client: Any, tmp_path: Any) -> None:
    _, model = logged(client)
    folder = tmp_path / "held-out"
    folder.mkdir()
    for place, frame in enumerate(FRAMES):
        frame.to_parquet(folder / f"{place}.parquet", index=False)
    options = OPTIONS | {"bootstrap": 100}
    files = sorted(folder.iterdir())
    parts = [client.evaluate_part(model.uri, file, map_index=place, **options) for place, file in enumerate(files)]
    whole = client.evaluate(model.uri, folder, step="whole", **options)
    assert client.merge_evaluations(parts).measurements == whole.measurements
    assert whole.find("f1").stats["evidence"]["kind"] == "replicates"
