"""A version is seen to load and predict in a clean process before it gets an alias, and the record says so."""

from __future__ import annotations

import re
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from penstock.errors import LoadCheckFailed, MissingExtra, NotAuthorized, StoreUnavailable
from penstock.models import clean_process, trial
from penstock.models.format import MlmodelFormat
from penstock.ports.model_trial import Trial
from tests import tiny
from tests.core.registry.conftest import Shop

in_clean_process = trial.in_clean_process  # before the suite tries models in its own process


def _saved(folder: Path, model: Any = None, example: bool = True) -> Path:
    rows = pd.DataFrame(np.eye(4), columns=list("abcd"))
    fitted = model or LogisticRegression().fit(rows, [0, 1, 0, 1])
    MlmodelFormat().save(fitted, folder, run_id="0" * 32, name="m", input_example=rows if example else None)
    return folder


def test_a_clean_process_loads_and_predicts_the_input_example_without_our_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PENSTOCK_URL", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD"):
        monkeypatch.setenv(name, "secret")
    found = in_clean_process(_saved(tmp_path / "m"), "models:/m/1", 60)
    assert (found.error, found.facts["rows"], found.facts["rows_from"]) == ("", 4, "its input example")
    assert set(found.facts["packages"]) >= {"sklearn", "skops", "numpy"}
    assert "secret" not in str(clean_process.environment())


def test_a_process_that_hangs_dies_or_says_nothing_is_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _saved(tmp_path / "m")
    started = time.perf_counter()
    assert "longer than 0.05 s" in in_clean_process(folder, "m", 0.05).error
    assert time.perf_counter() - started < 5
    for code, said in (
        ("import os; os.kill(os.getpid(), 9)", "signal 9"),
        ("raise SystemExit('lost')", "code 1.*lost"),
    ):
        program = tmp_path / "python"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}"\n')
        program.chmod(0o755)
        with monkeypatch.context() as patch:
            patch.setattr(sys, "executable", str(program))
            found = in_clean_process(folder, "m", 60)
        assert re.search(said, found.error), found.error


def test_a_model_in_the_working_folder_imports_nothing_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _saved(tmp_path / "m")
    (folder / "pandas.py").write_text("raise SystemExit('run by the model')")
    assert in_clean_process(folder, "m", 60).error == ""


def test_rows_are_made_up_where_there_is_no_example(tmp_path: Path) -> None:
    assert trial.examine(_saved(tmp_path / "a", example=False), "m").facts["rows_from"] == "its number of features"
    kinds = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(pd.DataFrame({"kind": ["x", "y"]}), [0, 1])
    found = trial.examine(_saved(tmp_path / "b", kinds, example=False), "m")
    assert (found.error, found.facts["rows"]) == ("", 0)
    assert "not_predicted" in found.facts
    example = _saved(tmp_path / "c")
    (example / "input_example.json").unlink()
    assert trial.examine(example, "m").facts["rows_from"] == "its signature"


@pytest.mark.parametrize(("damage", "said"), [("model.skops", "BadZipFile"), ("MLmodel", "MLmodel")])
def test_a_model_that_cannot_be_read_is_an_answer(tmp_path: Path, damage: str, said: str) -> None:
    folder = _saved(tmp_path / "m")
    (folder / damage).write_bytes(b"\x00 not this")
    assert said in trial.examine(folder, "models:/m/1").error


# ------------------------------------------------------------------------------------------------- in the registry


def _answering(monkeypatch: pytest.MonkeyPatch, answer: Trial) -> list[str]:
    asked: list[str] = []

    def here(folder: Path, uri: str, timeout_s: float) -> Trial:
        assert (folder / "MLmodel").is_file()
        asked.append(uri)
        return answer

    monkeypatch.setattr(trial, "in_clean_process", here)
    return asked


def test_a_version_is_tried_once_and_the_record_says_where(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _answering(monkeypatch, Trial(facts={"rows": 3, "python": "3.11"}))
    version, decision = shop.registered("new")
    for index in (-1, 0, 1):
        shop.client.promote(tiny.MODEL, "champion", version, decision, map_index=index)
    assert asked == [version.uri]
    (check,) = shop.client.load_checks(tiny.MODEL, version.version)
    assert (check.passed, check.facts, check.actor["subject"]) == (True, {"rows": 3, "python": "3.11"}, "tester")


def test_a_version_that_does_not_load_is_not_promoted_and_says_why(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    _answering(monkeypatch, Trial("no module named 'lost'"))
    version, decision = shop.registered("new")
    with pytest.raises(LoadCheckFailed, match="no module named 'lost'"):
        shop.client.promote(tiny.MODEL, "champion", version, decision)
    assert shop.client.list_models()[0].aliases == {"champion": 3}
    _answering(monkeypatch, Trial())
    assert shop.client.promote(tiny.MODEL, "champion", version, decision).to_version == version.version
    assert [check.passed for check in shop.client.load_checks(tiny.MODEL, version.version)] == [False, True]


def test_what_is_missing_here_says_nothing_about_the_version(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    _answering(monkeypatch, Trial(missing_extra="eval"))
    version, decision = shop.registered("new")
    with pytest.raises(MissingExtra, match="eval"):
        shop.client.promote(tiny.MODEL, "champion", version, decision)

    def unreachable(objects: Any) -> None:
        raise StoreUnavailable("s3://bucket", "no answer")

    monkeypatch.setattr(shop.client.wiring.artifacts, "fetch_all", unreachable)
    with pytest.raises(StoreUnavailable):
        shop.client.promote(tiny.MODEL, "champion", version, decision)
    assert shop.client.load_checks(tiny.MODEL, version.version) == []


def test_a_version_whose_bytes_are_gone_or_changed_fails_and_is_not_gone_back_to(shop: Shop) -> None:
    logged = shop.client.wiring.store.get_model(shop.client.get_version(tiny.MODEL, 1).model_id)
    skops = next(file for file in logged.files if file.path.endswith(".skops"))
    next((shop.folder / "artifacts").rglob(skops.sha256)).unlink()
    check = shop.client.check_version(tiny.MODEL, 1)
    assert not check.passed
    assert "corrupted" in check.error
    with pytest.raises(NotAuthorized, match="failed its last load check"):
        shop.client.rollback(tiny.MODEL, "champion", to=1, reason="known good")
    assert shop.client.list_models()[0].aliases == {"champion": 3}


def test_a_late_promoter_is_told_who_won_without_trying_anything(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _answering(monkeypatch, Trial())
    version, decision = shop.registered("late")
    shop.client.rollback(tiny.MODEL, "champion", reason="stop")
    with pytest.raises(Exception, match="version 2, generation 4"):
        shop.client.promote(tiny.MODEL, "champion", version, decision)
    assert asked == []


def test_a_rollback_relies_on_the_record_with_the_object_store_gone(shop: Shop) -> None:
    shutil.rmtree(shop.folder / "artifacts")
    assert shop.client.rollback(tiny.MODEL, "champion", reason="night").to_version == 2
