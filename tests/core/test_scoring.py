"""Batch scoring: every row once, a partition whole or as it was, whoever dies, repeats or races."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

import penstock
from penstock.errors import Fenced, ForeignReference, InvalidValue, NotFound, StoreUnavailable
from penstock.evaluation.scoring import scorer
from penstock.model.data import DataSource, SqlSource
from penstock.model.scores import TableDestination
from tests import tiny, tiny_pipeline


@pytest.fixture
def rows(tmp_path: Path) -> pd.DataFrame:
    frame = tiny.rows().drop(columns=tiny.LABEL).reset_index(names="id")
    frame.to_parquet(tmp_path / "rows.parquet")
    return frame


@pytest.fixture
def run(client: penstock.Client, rows: pd.DataFrame, tmp_path: Path) -> Any:
    """A run to score in; `benign@champion` is version 1."""
    tiny_pipeline.retrain(client, "train", tiny.held_out_file(tmp_path))
    return client.open_run("tests/scoring", "2026-01").ref


def test_every_row_is_predicted_once_with_the_model_of_the_alias(
    client: penstock.Client, run: Any, rows: pd.DataFrame, tmp_path: Path
) -> None:
    scores = client.score(
        tiny.CHAMPION, tmp_path / "rows.parquet", tmp_path / "out", partition="2026-01", run=run, keep=["id"]
    )
    written = pd.read_parquet(tmp_path / "out" / "2026-01.parquet")
    assert (scores.rows, scores.version, scores.partition) == (len(rows), 1, "2026-01")
    assert list(written.columns) == ["id", "prediction", "probability_0", "probability_1", "model_version"]
    assert (written["id"].tolist(), set(written["model_version"])) == (rows["id"].tolist(), {1})
    expected = client.load_model(tiny.CHAMPION)
    assert written["prediction"].tolist() == expected.predict(rows).tolist()
    assert written["probability_1"].tolist() == pytest.approx(expected.predict_proba(rows)[:, 1])  # type: ignore[index]


def test_the_same_again_answers_from_the_store_unless_the_file_is_gone_or_changed(
    client: penstock.Client, run: Any, tmp_path: Path
) -> None:
    def score() -> Any:
        return client.score(tiny.CHAMPION, tmp_path / "rows.parquet", tmp_path / "out", partition="p", run=run)

    def attempts() -> int:
        return next(s.attempt for s in client.get_run(run).steps if s.step.name == "score")

    first, file = score(), tmp_path / "out" / "p.parquet"
    assert (score(), attempts()) == (first, 1)
    for change in (file.unlink, lambda: file.write_bytes(b"half")):
        change()
        before = attempts()
        assert score() == first
        assert (attempts(), pd.read_parquet(file).shape[0]) == (before + 1, first.rows)


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_table_holds_a_partition_once_however_often_it_is_scored(
    client: penstock.Client,
    run: Any,
    rows: pd.DataFrame,
    tmp_path: Path,
    database: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = f"sqlite:///{tmp_path}/wh.db" if database == "sqlite" else str(request.getfixturevalue("empty_postgres_url"))
    monkeypatch.setenv("WAREHOUSE", url)
    engine = sa.create_engine(url)
    rows.to_sql("input", engine, index=False)
    with engine.begin() as connection:
        columns = "id BIGINT, prediction BIGINT, probability_0 FLOAT, probability_1 FLOAT, model_version INT, day TEXT"
        connection.execute(sa.text(f'CREATE TABLE "scores; DROP TABLE input" ({columns})'))
    table = TableDestination("WAREHOUSE", "scores; DROP TABLE input", partition_column="day")

    def score(day: str, low: int, high: int) -> Any:
        query = SqlSource(
            "WAREHOUSE", "SELECT * FROM input WHERE id >= :low AND id < :high", {"low": low, "high": high}
        )
        return client.score(
            tiny.CHAMPION, DataSource(query), table, partition=day, run=run, step=f"score-{low}-{high}", keep=["id"]
        )

    def stored() -> list[tuple[str, int]]:
        with engine.connect() as connection:
            counts = sa.text('SELECT day, count(*) FROM "scores; DROP TABLE input" GROUP BY day ORDER BY day')
            return [(day, int(count)) for day, count in connection.execute(counts)]

    assert (score("a'; --", 0, 100).rows, score("b", 100, 300).rows) == (100, 200)
    assert score("a'; --", 0, 50).rows == 50  # a query's rows are read again: they may have changed
    assert stored() == [("a'; --", 50), ("b", 200)]

    def fails(*given: Any) -> Any:
        raise OSError("in the middle, the old rows deleted")

    monkeypatch.setattr(scorer, "_scored", fails)
    with pytest.raises(OSError, match="in the middle"):
        score("b", 100, 200)
    assert stored() == [("a'; --", 50), ("b", 200)]
    engine.dispose()


def test_an_older_attempt_that_is_still_alive_replaces_nothing(
    client: penstock.Client, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored, place = scorer._scored, tmp_path / "out"

    def overtaken(*given: Any) -> Any:
        monkeypatch.setattr(scorer, "_scored", scored)
        client.score(tiny.CHAMPION, tmp_path / "rows.parquet", place, partition="p", run=run)
        return scored(*given).assign(prediction=-1)

    monkeypatch.setattr(scorer, "_scored", overtaken)
    with pytest.raises(Fenced):
        client.score(tiny.CHAMPION, tmp_path / "rows.parquet", place, partition="p", run=run)
    assert set(pd.read_parquet(place / "p.parquet")["prediction"]) == {0, 1}
    assert [path.name for path in place.iterdir()] == ["p.parquet"]


def test_what_a_killed_attempt_has_left_is_never_read_and_is_cleared_away(
    client: penstock.Client, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "out"
    child = os.fork()
    if child == 0:
        monkeypatch.setattr(scorer, "_scored", lambda *given: time.sleep(60))
        client.close()
        client.score(tiny.CHAMPION, tmp_path / "rows.parquet", place, partition="p", run=run)
        os._exit(0)
    until = time.monotonic() + 20
    while not place.exists() and time.monotonic() < until:
        time.sleep(0.01)
    (place / ".p.parquet.0123.partial").write_bytes(b"half")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    client.score(tiny.CHAMPION, tmp_path / "rows.parquet", place, partition="p", run=run)
    assert [path.name for path in place.iterdir()] == ["p.parquet"]


def test_no_rows_are_an_empty_partition(client: penstock.Client, run: Any, rows: pd.DataFrame, tmp_path: Path) -> None:
    scores = client.score(tiny.CHAMPION, rows.head(0), tmp_path / "out", partition="p", run=run)
    assert (scores.rows, len(pd.read_parquet(tmp_path / "out" / "p.parquet"))) == (0, 0)


@pytest.mark.parametrize(
    "partition", ["..", ".", "a/../../b", "region=eu/2026", "päris ✈", "*", "[a]", "%2F", ".hidden"]
)
def test_a_partition_is_one_file_in_the_folder_whatever_its_name(
    client: penstock.Client, run: Any, rows: pd.DataFrame, tmp_path: Path, partition: str
) -> None:
    client.score(tiny.CHAMPION, rows.head(3), tmp_path / "out", partition=partition, run=run)
    (file,) = (tmp_path / "out").iterdir()
    assert (file.suffix, file.name[0] != ".", len(pd.read_parquet(file))) == (".parquet", True, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"partition": ""}, "partition: expected"),
        ({"partition": "a\nb"}, "partition: expected"),
        ({"to": "s3://bucket/x?key=S3CR3T"}, r"destination: .* got 's3://\.\.\.'"),
        ({"keep": ["nothing"]}, r"keep: expected columns of the rows, got \['nothing'\]"),
        ({"rows": "prediction"}, r"names other than .*, got \['prediction'\]"),
        ({"rows": "missing"}, "features of model"),
    ],
)
def test_what_cannot_be_scored_is_said_and_leaves_nothing(
    client: penstock.Client, run: Any, rows: pd.DataFrame, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    given: dict[str, Any] = {"rows": rows, "to": tmp_path / "out", "partition": "p", **change}
    if given["rows"] is not rows:
        given["rows"] = rows.assign(prediction=1) if change["rows"] == "prediction" else rows[["id"]]
    with pytest.raises(InvalidValue, match=message):
        client.score(tiny.CHAMPION, run=run, **given)
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_a_destination_that_is_not_there_is_told_without_its_password(
    client: penstock.Client, run: Any, rows: pd.DataFrame, tmp_path: Path
) -> None:
    def score(to: Any) -> None:
        client.score(tiny.CHAMPION, rows.head(2), to, partition="p", run=run)

    with pytest.raises(NotFound, match=r"table 'scores' does not exist\. Create it"):
        score(TableDestination(f"sqlite:///{tmp_path}/empty.db", "scores"))
    with pytest.raises(StoreUnavailable, match="table scores cannot be reached") as raised:
        score(TableDestination("postgresql+psycopg://u:S3CR3T@127.0.0.1:9/x", "scores"))
    assert "S3CR3T" not in str(raised.value)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="folder"):
        score(tmp_path / "file" / "below")


def test_a_model_that_is_not_registered_belongs_to_the_run_or_to_one_nested_in_it(
    client: penstock.Client, run: Any, rows: pd.DataFrame, tmp_path: Path
) -> None:
    other = client.open_run("tests/other", "p").step("train", tiny.train)
    with pytest.raises(ForeignReference):
        client.score(other, rows.head(2), tmp_path / "out", partition="p", run=run)
    nested = client.open_run("tests/scoring", "nested", parent=run).step("train", tiny.train)
    assert client.score(nested, rows.head(2), tmp_path / "out", partition="p", run=run).version is None
