"""Bad input: one clear line each, the run ends FAILED, and nothing half-made is visible."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import penstock
from penstock.errors import InvalidPolicy, InvalidValue, NotFound, PredictionFailed
from penstock.model.runs import RunStatus
from penstock.services.active_run import ActiveRun
from tests import tiny
from tests.tiny_pipeline import retrain


def _train_on_one_side(run: ActiveRun) -> dict[str, Any]:
    """Train a model that knows only rows of one side and raises on rows of the other, as encoders do."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    data = tiny.rows().query("side == 'left'")
    model = make_pipeline(OneHotEncoder(handle_unknown="error"), LogisticRegression())
    return run.log_model(model.fit(data[["side"]], data[tiny.LABEL]), input_example=data[["side"]].head(2)).ref


def _check(client: penstock.Client, error: type[Exception], message: str, **changes: Any) -> None:
    call: dict[str, Any] = {"held_out": "", "policy": tiny.POLICY, **changes}
    with pytest.raises(error, match=message) as caught:
        retrain(client, "p", call["held_out"], policy=call["policy"])
    assert "\n" not in str(caught.value)
    run = client.list_runs()[0]
    assert run.status is RunStatus.FAILED
    assert str(caught.value)[:60] in run.reason
    assert client.list_models() == []
    assert client.wiring.store.list_decisions(run.run_id) == []


def test_a_missing_held_out_file(client: penstock.Client, tmp_path: Path) -> None:
    _check(client, NotFound, "nowhere.parquet", held_out=str(tmp_path / "nowhere.parquet"))
    assert client.wiring.store.list_evaluations(client.list_runs()[0].run_id) == []


def test_a_held_out_file_without_the_label_column(client: penstock.Client, tmp_path: Path) -> None:
    path = tmp_path / "unlabelled.parquet"
    tiny.rows().drop(columns=tiny.LABEL).to_parquet(path)
    _check(client, InvalidValue, "'benign'", held_out=str(path))
    assert client.wiring.store.list_evaluations(client.list_runs()[0].run_id) == []


def test_an_unknown_policy_key(client: penstock.Client, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("name: p\nrules:\n  - at_least: {metric: roc_auc, value: 0.5, treshold: 1}\n")
    _check(client, InvalidPolicy, "treshold", held_out=tiny.held_out_file(tmp_path), policy=str(policy))


def test_a_missing_policy_file(client: penstock.Client, tmp_path: Path) -> None:
    _check(client, NotFound, "policy", held_out=tiny.held_out_file(tmp_path), policy=str(tmp_path / "no.yaml"))


def test_a_model_that_raises_in_predict(client: penstock.Client, tmp_path: Path) -> None:
    held_out = tiny.held_out_file(tmp_path)
    with (
        pytest.raises(PredictionFailed, match=r"rows .*ValueError: Found unknown categories"),
        client.open_run(tiny.EXPERIMENT, "p") as run,
    ):
        model = run.step("train", _train_on_one_side)
        client.evaluate(model, held_out, label=tiny.LABEL, run=run)
    details = client.get_run(run.ref)
    assert details.run.status is RunStatus.FAILED
    assert "Found unknown categories" in details.run.reason
    assert client.wiring.store.list_evaluations(run.run_id) == []


def test_an_unknown_baseline_uri(client: penstock.Client, tmp_path: Path) -> None:
    held_out = tiny.held_out_file(tmp_path)
    with pytest.raises(NotFound, match="models:/benign/7"), client.open_run(tiny.EXPERIMENT, "p") as run:
        model = run.step("train", tiny.train)
        client.evaluate(model, held_out, label=tiny.LABEL, baseline="models:/benign/7", run=run)
    assert client.get_run(run.ref).run.status is RunStatus.FAILED


def test_an_unreachable_store_says_so_and_what_to_check() -> None:
    with pytest.raises(penstock.Transient, match="Check that the folder exists"):
        penstock.connect("sqlite:////no/such/folder/penstock.db")


@pytest.mark.parametrize("url", ["oracle://u:S3CR3T@h/db", "sqlite://x", "mysql+pymysql://u:S3CR3T@h/d", "p.db"])
def test_a_url_that_is_not_supported_is_refused_without_showing_a_password(url: str) -> None:
    with pytest.raises(InvalidValue, match="sqlite:///") as caught:
        penstock.connect(url)
    assert "S3CR3T" not in str(caught.value)
