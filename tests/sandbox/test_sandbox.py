"""A model in a process of its own: the same answers, and whatever it does there is a clear error here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_wine
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from penstock.errors import InvalidValue, PredictionFailed, Untrusted
from penstock.models.format import MlmodelFormat
from penstock.models.sandbox import wire
from penstock.models.sandbox.isolated import IsolatedPredictor
from penstock.ports.sandbox import Limits
from tests.sandbox.misbehaving import Misbehaving

ROOT = Path(__file__).parents[2]
TYPE = "tests.sandbox.misbehaving.Misbehaving"
ROWS = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": ["x", "y", None]})
Isolated = Callable[..., IsolatedPredictor]


@pytest.fixture
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Isolated]:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    opened = []

    def isolate(manner: str, **limits: Any) -> IsolatedPredictor:
        model = Misbehaving(manner).fit(ROWS, [0, 1, 1])
        folder = tmp_path / manner
        MlmodelFormat().save(model, folder, run_id="0" * 32, name="model", trusted_types=[TYPE])
        opened.append(IsolatedPredictor(folder, uri="runs:/r/model", limits=Limits(**{"time_s": 60.0, **limits})))
        return opened[-1]

    yield isolate
    for predictor in opened:
        predictor.close()


def gone(predictor: IsolatedPredictor) -> bool:
    """Whether nobody of the model's process group is left alive (the dead may wait to be collected)."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(group) == predictor._process.pid and state != "Z":
                return False
    return True


def test_a_classifier_answers_in_its_own_process_as_it_does_here(tmp_path: Path) -> None:
    rows, labels = load_wine(return_X_y=True, as_frame=True)
    labels = labels.map({0: "alba", 1: "barolo", 2: "cortese"})
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(rows, labels)
    MlmodelFormat().save(model, tmp_path / "m", run_id="0" * 32, name="model", input_example=rows.head(3))
    here = MlmodelFormat().load(tmp_path / "m", uri="runs:/r/model")
    with IsolatedPredictor(tmp_path / "m", uri="runs:/r/model") as there:
        assert (there.columns, there.classes, there.uri) == (here.columns, here.classes, here.uri)
        assert np.array_equal(there.predict(rows), here.predict(rows))
        ours, theirs = here.predict_proba(rows), there.predict_proba(rows)
        assert ours is not None
        assert theirs is not None
        assert np.array_equal(ours, theirs)
        assert theirs.dtype == ours.dtype
    assert gone(there)


def test_a_model_without_probabilities_says_so_from_there_too(tmp_path: Path) -> None:
    rows, target = load_diabetes(return_X_y=True, as_frame=True)
    MlmodelFormat().save(LinearRegression().fit(rows, target), tmp_path / "m", run_id="0" * 32, name="model")
    with IsolatedPredictor(tmp_path / "m", uri="runs:/r/model") as there:
        assert there.predict_proba(rows) is None
        assert there.classes is None
        figures = there.measure_latency(rows, repeats=20)
    assert 0 < figures["latency_p50_ms"] <= figures["latency_p95_ms"] <= figures["latency_p99_ms"]
    assert figures["batch_rows"] == 442
    assert figures["load_ms"] > 0
    assert figures["memory_bytes"] > 0


@pytest.mark.parametrize(
    ("manner", "cause"),
    [
        ("exit", r"ended with exit code 7"),
        ("segfault", r"killed by signal 11 \(SIGSEGV\)"),
        ("raise", r"ValueError: no such carrier"),
        ("short", r"predict returned 2 values for 3 rows"),
        ("lie", r"its process answered with a message of"),
    ],
)
def test_a_model_that_fails_is_one_clear_error(isolated: Isolated, manner: str, cause: str) -> None:
    predictor = isolated(manner)
    with pytest.raises(PredictionFailed, match=cause) as failed:
        predictor.predict(ROWS)
    assert "rows 0..2" in str(failed.value)


def test_a_model_that_hangs_is_ended_with_all_it_started(isolated: Isolated) -> None:
    predictor = isolated("hang", time_s=1.0)
    started = time.monotonic()
    with pytest.raises(PredictionFailed, match="it exceeded 1 s"):
        predictor.predict(ROWS)
    assert time.monotonic() - started < 10
    assert gone(predictor)


def test_a_model_that_eats_memory_is_refused_it(isolated: Isolated) -> None:
    predictor = isolated("eat", memory_bytes=2 * 10**9)
    with pytest.raises(PredictionFailed, match=r"MemoryError.*it may allocate 2000000000 bytes"):
        predictor.predict(ROWS)


def test_a_model_may_talk_as_long_as_it_likes(isolated: Isolated) -> None:
    predictor = isolated("talk")
    assert predictor.predict(ROWS).tolist() == [0, 0, 0]
    assert len(predictor._said) <= 2000


def test_what_a_model_started_ends_with_it(isolated: Isolated) -> None:
    predictor = isolated("fork")
    assert predictor.predict(ROWS).tolist() == [0, 0, 0]
    assert not gone(predictor)
    predictor.close()
    assert gone(predictor)


def test_a_model_changes_only_its_own_copy(isolated: Isolated) -> None:
    rows = ROWS.copy()
    isolated("change").predict(rows)
    assert rows.equals(ROWS)


def test_a_model_sees_no_secret_of_ours(isolated: Isolated, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PENSTOCK_URL", "AWS_SECRET_ACCESS_KEY", "AIRFLOW__CORE__FERNET_KEY", "PGPASSWORD"):
        monkeypatch.setenv(name, "secret-never-to-be-seen")
    with pytest.raises(PredictionFailed, match="PATH=") as failed:
        isolated("peek").predict(ROWS)
    assert "secret-never-to-be-seen" not in str(failed.value)


def test_what_loading_refuses_is_refused_the_same_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    model = Misbehaving().fit(ROWS, [0, 1, 1])
    MlmodelFormat().save(model, tmp_path / "m", run_id="0" * 32, name="model", trusted_types=[TYPE])
    with pytest.raises(Untrusted) as there:
        IsolatedPredictor(tmp_path / "m", uri="runs:/r/model", trusted_types=[])
    with pytest.raises(Untrusted) as here:
        MlmodelFormat().load(tmp_path / "m", uri="runs:/r/model", trusted_types=[])
    assert (str(there.value), there.value.__dict__) == (str(here.value), here.value.__dict__)


def test_rows_that_cannot_be_handed_over_are_refused(isolated: Isolated) -> None:
    with pytest.raises(InvalidValue, match="columns of one type each"):
        isolated("well").predict(pd.DataFrame({"a": [1, "x", object()]}))


def test_bad_limits_are_refused() -> None:
    for bad in ({"time_s": 0.0}, {"time_s": float("nan")}, {"memory_bytes": 0}):
        with pytest.raises(InvalidValue, match="sandbox"):
            Limits(**bad)


@pytest.mark.parametrize(
    "answer",
    [
        np.array([1, 0, 1]),
        np.array([[0.25, 0.75]]),
        np.array([True, False]),
        np.array(["a", "bc"]),
        np.array(["a", None, 3.5][:2], dtype=object),
        np.array([], dtype=object),
        np.array(7),
    ],
    ids=repr,
)
def test_an_answer_arrives_as_it_was_given(answer: np.ndarray[Any, Any]) -> None:
    back = wire.array_of(*wire.array_bytes(answer))
    assert back.shape == answer.shape
    assert back.tolist() == answer.tolist()
    assert back.dtype.kind == answer.dtype.kind
