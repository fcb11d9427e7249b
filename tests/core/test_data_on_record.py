"""Data on a run's record: what training data leaves behind, and what an evaluation finds of it in held-out data."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import penstock
from penstock.errors import Corrupted, DataChanged
from penstock.model.data import DataSource
from tests import tiny


def held_out(rows: pd.DataFrame, **roles: Any) -> DataSource:
    return DataSource(rows, label=tiny.LABEL, name="held-out", **roles)


def test_an_evaluation_says_how_many_of_its_rows_the_model_was_trained_on(client: penstock.Client) -> None:
    rows = tiny.rows()
    leaked = rows[rows.index % 3 != 0][:25]
    with client.open_run(tiny.EXPERIMENT, "2013-03") as run:
        model = tiny.train(run)
        honest = client.evaluate(model, held_out(rows.iloc[::3]))
        leaky = client.evaluate(model, held_out(pd.concat([rows.iloc[::3], leaked])), step="again")

    for evaluation, found in ((honest, 0), (leaky, 25)):
        stored = client.get_evaluation(evaluation)
        assert stored.dataset == evaluation.dataset
        overlap = stored.dataset.overlap
        assert overlap is not None
        assert (overlap.rows_found, overlap.of_rows, overlap.training_rows) == (found, 190 + found, 379)
        assert overlap.sampling_rate == 1
        assert overlap.not_compared == ()
    decision = client.decide(leaky, tiny.POLICY, model=tiny.MODEL)
    assert decision.inputs["evaluation"]["dataset"]["overlap"]["rows_found"] == 25


def test_training_data_leaves_its_profile_and_hashes_but_no_rows(client: penstock.Client) -> None:
    rows = tiny.rows()
    source = DataSource(rows.assign(when=pd.Timestamp("2013-03-01")), label=tiny.LABEL, time="when")
    with client.open_run(tiny.EXPERIMENT, "2013-03") as run:
        run.log_input(source)
        run.log_input(source)  # a retry
    (found,) = client.get_run(run).inputs
    assert found.profile["side"].distinct == 2
    assert found.profile["mean radius"].maximum == rows["mean radius"].max()
    assert found.latest is not None
    assert found.latest.isoformat() == "2013-03-01T00:00:00+00:00"
    (kept,) = client.wiring.store.list_artifacts(run.run_id)
    assert (kept.sha256, kept.path) == (found.rows_sha256, f"datasets/{found.rows_sha256[:32]}.rows")
    assert kept.size_bytes < 8 * len(rows) + 2000


def test_no_training_data_on_record_is_no_overlap_found(client: penstock.Client) -> None:
    rows = tiny.rows()
    fitted = LogisticRegression().fit(rows[["mean radius"]], rows[tiny.LABEL])
    with client.open_run(tiny.EXPERIMENT, "2013-03") as run:
        model = run.log_model(fitted, "model", input_example=rows[["mean radius"]][:3])
        found = client.evaluate(model, held_out(tiny.rows().iloc[::3]))
        assert found.dataset.overlap is None
        run.log_input(tiny.rows(), label=tiny.LABEL)  # said late: it is measured again
        again = client.evaluate(model, held_out(tiny.rows().iloc[::3]))
    assert again.evaluation_id != found.evaluation_id
    assert again.dataset.overlap is not None
    assert again.dataset.overlap.share == 1.0


def test_damaged_hashes_of_training_rows_are_not_compared_with(client: penstock.Client) -> None:
    with client.open_run(tiny.EXPERIMENT, "2013-03") as run:
        model = tiny.train(run)
        (data,) = client.get_run(run).inputs
        folder = Path(client.artifact_location)
        (stored,) = (
            path
            for path in folder.rglob("*")
            if path.is_file() and data.rows_sha256 in path.as_posix().replace("/", "")
        )
        stored.chmod(0o600)
        stored.write_bytes(stored.read_bytes()[:-1])
        with pytest.raises(Corrupted):
            client.evaluate(model, held_out(tiny.rows().iloc[::3]))


def test_rows_that_change_between_two_readings_are_not_evaluated(client: penstock.Client) -> None:
    rows, asked = tiny.rows().iloc[::3], []

    def batches() -> Any:
        asked.append(1)
        return iter([rows[:100], rows[100 : 150 + len(asked)]])

    source = dataclasses.replace(held_out(rows), source=batches)
    with client.open_run(tiny.EXPERIMENT, "2013-03") as run:
        model = tiny.train(run)
        with pytest.raises(DataChanged, match=r"^data changed: expected .* It changed while it was read"):
            client.evaluate(model, source)
    steady = dataclasses.replace(source, source=lambda: iter([rows[:100], rows[100:]]))
    assert client.evaluate(model, steady).dataset.rows == 190
