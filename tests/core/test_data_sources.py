"""Rows from CSV files, folders whose names hold values, batches, queries and S3, none of it wholly in memory."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from sklearn.datasets import load_breast_cancer

from penstock.errors import InvalidValue, NotFound, StoreUnavailable
from penstock.evaluation.describing import SourceReader
from penstock.evaluation.reading import read_batches, rows_at_once
from penstock.evaluation.rows.digests import RowDigest
from penstock.evaluation.sources import csv_files
from penstock.model.data import DataSource, SqlSource
from tests.s3_servers import BUCKET, SECRET, S3Server, moto, new_prefix, s3_credentials

__all__ = ["moto", "s3_credentials"]

CANCER: pd.DataFrame = load_breast_cancer(as_frame=True).frame


def digest_of(frame: pd.DataFrame) -> str:
    found = RowDigest()
    found.update(frame)
    return found.result()


def read(source: Any, rows: int = 65_536, **roles: Any) -> pd.DataFrame:
    return pd.concat(list(read_batches(DataSource(source, **roles), rows)), ignore_index=True)


# ------------------------------------------------------------------------------------------------------ CSV files


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "It is empty"),
        (b"\xef\xbb\xbf\r\n", "It is empty"),
        (b"a,b\n1,2\n3\n", r"Row #3: Expected 2 columns, got 1"),
        (b"a,b\n1,2\n3,4,5\n", r"Row #3: Expected 2 columns, got 3"),
        ("a,b\n1,2\n".encode("utf-16"), "text in UTF-16. Save it in UTF-8"),
        (b"a,b\n1,\xff\xfe\n", "Column 'b' is not. Save it in UTF-8"),
        (b"PK\x03\x04 and so on", "an Excel workbook or a ZIP archive. Save it as CSV"),
        (b"\xd0\xcf\x11\xe0 and so on", "an old Excel workbook"),
        (b"PAR1 and so on", "Parquet file. Name it .parquet"),
        (b"a;b\n1;2\n", "semicolons and no comma: 'a;b'"),
        (b"a\tb\n1\t2\n", "tabs and no comma"),
        (gzip.compress(b"a,b\n" + b"1,2\n" * 100_000, mtime=0)[:-60], "Truncated"),
    ],
)
def test_a_csv_file_that_is_none_is_refused_with_file_and_cause(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidValue, match=said) as caught:
        read(path)
    assert "readable CSV file" in str(caught.value)
    assert "rows.csv" in str(caught.value)


def test_a_csv_file_with_a_header_only_has_no_rows(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n")
    with pytest.raises(InvalidValue, match=r"train data has 0 rows.*rows\.csv"):
        SourceReader().describe(DataSource(tmp_path / "rows.csv"), "train")


@pytest.mark.parametrize(
    "content",
    [
        b"a,b\r\n1,x\r\n2,y",
        b"\xef\xbb\xbfa,b\n1,x\n2,y\n",
        gzip.compress(b"a,b\n1,x\n2,y\n", mtime=0),
    ],
)
def test_line_ends_byte_order_marks_and_gzip_do_not_change_what_is_read(tmp_path: Path, content: bytes) -> None:
    for name in ("rows.csv", "rows.csv.gz"):  # whatever the name says
        (tmp_path / name).write_bytes(content)
        frame = read(tmp_path / name)
        assert digest_of(frame) == digest_of(pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}))
        assert SourceReader().describe(DataSource(tmp_path / name), "train").name == "rows"


def test_a_file_of_many_blocks_has_the_types_that_a_file_of_one_block_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(5)
    rows = 3000
    when = pd.Timestamp("2013-01-01") + pd.to_timedelta(random.integers(0, 10**7, rows), unit="s")
    frame = pd.DataFrame(
        {
            "whole": random.integers(-9, 9, rows),
            "late": [*range(rows - 1), 0.5],
            "turns": [*range(rows - 1), "text"],
            "truth": random.integers(0, 2, rows) > 0,
            "day": when.strftime("%Y-%m-%d"),
            "moment": when,
            "clock": when.strftime("%H:%M:%S"),
            "zulu": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "gap": [None, *[1.5] * (rows - 1)],
            "none": None,
            "lines": random.choice(["a\nb", 'with "quotes", and commas', " padded "], rows),
            "padded": [f" {n}" for n in range(rows)],
        }
    )
    path = tmp_path / "rows.csv"
    frame.to_csv(path, index=False)
    whole = read(path)
    assert whole["late"].iloc[0] == 0.0
    assert whole["turns"].iloc[0] == "0"

    monkeypatch.setattr(csv_files, "BLOCK_BYTES", 20_000)
    parts = list(read_batches(DataSource(path), 100))

    assert len(parts) > 30
    assert digest_of(pd.concat(parts, ignore_index=True)) == digest_of(whole)
    assert {str(kind) for kind in parts[0].dtypes} == {str(kind) for kind in whole.dtypes}


# ------------------------------------------------------------------------------------- values in folders' names


def test_values_in_folder_names_are_columns(tmp_path: Path) -> None:
    carriers = pd.Series("A/A é", CANCER.index).where(CANCER["target"] > 0)
    frame = CANCER[["mean area", "target"]].assign(month=np.arange(len(CANCER)) % 3 + 1, carrier=carriers)
    pq.write_to_dataset(pa.Table.from_pandas(frame, preserve_index=False), tmp_path, ["month", "carrier"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["month=1", "month=2", "month=3"]

    found = read(tmp_path, 50, label="target", drop=("month",))

    assert digest_of(found) == digest_of(frame)
    assert found["month"].dtype == np.int64
    assert SourceReader().describe(DataSource(tmp_path), "train").digest == digest_of(frame)


def test_values_in_folder_names_that_are_not_all_whole_numbers_stay_text(tmp_path: Path) -> None:
    for value in ("03", "x"):
        (tmp_path / f"part={value}").mkdir()
        pd.DataFrame({"n": [1]}).to_parquet(tmp_path / f"part={value}" / "a.parquet")
    assert read(tmp_path)["part"].tolist() == ["03", "x"]


# ------------------------------------------------------------------------------------------------------- batches


def batches() -> Iterator[Any]:
    yield CANCER[:100]
    yield pa.Table.from_pandas(CANCER[100:300], preserve_index=False)
    yield pa.RecordBatch.from_pandas(CANCER[300:][CANCER.columns[::-1]], preserve_index=False)


def test_batches_are_rows_like_any_others() -> None:
    table = pa.Table.from_pandas(CANCER, preserve_index=False)
    for source in (batches, list(batches()), batches(), table.to_reader(50), lambda: table.to_batches(10)):
        parts = list(read_batches(DataSource(source, label="target"), 64))
        assert max(len(part) for part in parts) <= 64
        assert digest_of(pd.concat(parts, ignore_index=True)) == digest_of(CANCER)
    assert SourceReader().describe(DataSource(batches()), "train").source == "batches"


def test_an_iterator_is_refused_where_rows_are_read_twice_with_what_to_pass_instead() -> None:
    reader = SourceReader()
    for once in (batches(), pa.Table.from_pandas(CANCER).to_reader()):
        with pytest.raises(InvalidValue, match="Pass a function that returns a new iterator"):
            reader.fingerprint(DataSource(once))
    assert reader.fingerprint(DataSource(batches)) == reader.fingerprint(DataSource(CANCER))


def test_batches_with_other_columns_and_things_that_are_no_batches_are_refused_by_number() -> None:
    with pytest.raises(InvalidValue, match=r"batch 1 with other columns.*target"):
        read([CANCER, CANCER.drop(columns="target")])
    with pytest.raises(InvalidValue, match="batch 1 of type dict"):
        read(lambda: iter([CANCER, {"a": 1}]))
    with pytest.raises(InvalidValue, match="a function that returned int"):
        read(lambda: 3)
    with pytest.raises(InvalidValue, match="held-out data has 0 rows"):
        SourceReader().describe(DataSource(lambda: iter(())), "held-out")


# ------------------------------------------------------------------------------------------------------- queries


@pytest.fixture
def database(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'warehouse.db'}"
    CANCER.rename(columns=lambda name: name.replace(" ", "_")).to_sql("rows", sa.create_engine(url), index=False)
    return url


def test_a_query_is_read_in_batches_with_bound_parameters(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    query = "SELECT mean_area, target FROM rows WHERE mean_area > :least"
    expected = CANCER.loc[CANCER["mean area"] > 500, ["mean area", "target"]].rename(columns={"mean area": "mean_area"})
    monkeypatch.setenv("WAREHOUSE", database)
    for named in (database, "WAREHOUSE", sa.create_engine(database)):
        source = SqlSource(named, query, {"least": 500})
        parts = list(read_batches(DataSource(source, label="target"), 64))
        assert max(len(part) for part in parts) == 64
        assert digest_of(pd.concat(parts)) == digest_of(expected)
        found = SourceReader().describe(DataSource(source), "train")
        assert (found.name, found.source) == ("query", f"{database}: {query}")


def test_decimals_and_nulls_of_a_query_are_numbers(postgres_url: str) -> None:
    url = postgres_url
    query = "SELECT n, CASE WHEN n > 1 THEN n / 4.0 END AS q, n * 4611686018427387 AS big FROM generate_series(1, 3) n"
    frame = read(SqlSource(url, query), 2)
    assert frame["q"].dropna().tolist() == [0.5, 0.75]
    assert frame["big"].tolist() == [n * 4611686018427387 for n in (1, 2, 3)]
    with pytest.raises(InvalidValue, match=r"query.*relation \"nowhere\" does not exist"):
        read(SqlSource(url, "SELECT * FROM nowhere"))
    with pytest.raises(InvalidValue, match='syntax error at or near "CREATE"'):
        read(SqlSource(url, "CREATE TABLE left_behind (n int)"))
    with pytest.raises(InvalidValue, match="left_behind"):  # what a query does is not kept
        read(SqlSource(url, "SELECT * FROM left_behind"))


def test_a_query_that_fails_says_why_and_never_shows_a_secret(database: str) -> None:
    cases: list[tuple[Any, str, type[Exception], str]] = [
        (database, "SELECT * FROM nowhere", InvalidValue, "no such table: nowhere"),
        (database, "SELEC 1", InvalidValue, "syntax error"),
        (database, "SELECT 1 WHERE :x", InvalidValue, "bind parameter 'x'"),
        ("NO_SUCH_VARIABLE", "SELECT 1", InvalidValue, "environment variable"),
        ("nonsense://user:hunter2@host/db", "SELECT 1", InvalidValue, "driver"),
        ("postgresql+psycopg://user:hunter2@127.0.0.1:1/db", "SELECT 1", StoreUnavailable, "postgresql.*cannot be"),
        ("user:hunter2@://", "SELECT 1", InvalidValue, "a URL such as"),
    ]
    for url, query, kind, said in cases:
        source = SqlSource(url, query)
        with pytest.raises(kind, match=said) as caught:
            read(source)
        assert "hunter2" not in f"{caught.value!r} {caught.value} {source!r} {DataSource(source)!r}"
    source = SqlSource(database, "SELECT :name AS name", {"name": "hunter2"})
    assert "hunter2" not in f"{source!r} {SourceReader().describe(DataSource(source), 'train').source}"


# ------------------------------------------------------------------------------------------------------------ S3


@pytest.fixture
def bucket(moto: S3Server, s3_credentials: None, monkeypatch: pytest.MonkeyPatch) -> tuple[S3Server, str]:
    monkeypatch.setenv("PENSTOCK_S3_ENDPOINT", moto.endpoint)
    return moto, new_prefix()


def test_files_and_folders_on_s3_are_rows_like_those_here(bucket: tuple[S3Server, str], tmp_path: Path) -> None:
    server, prefix = bucket
    for month, part in ((1, CANCER[:300]), (2, CANCER[300:])):
        path = tmp_path / f"month={month}" / "a b.parquet"
        path.parent.mkdir()
        part.to_parquet(path)
        server.client().upload_file(str(path), BUCKET, f"{prefix}/folder/month={month}/a b.parquet")
    (tmp_path / "rows.csv").write_bytes(CANCER.to_csv(index=False).encode())
    server.client().upload_file(str(tmp_path / "rows.csv"), BUCKET, f"{prefix}/rows.csv")
    reader, folder = SourceReader(), f"s3://{BUCKET}/{prefix}/folder"

    assert digest_of(read(folder, 100)) == digest_of(CANCER.assign(month=np.repeat([1, 2], [300, 269])))
    assert reader.fingerprint(DataSource(folder)) == {
        **reader.fingerprint(DataSource(tmp_path / "month=1")),
        "files": [
            [f"month={month}/a b.parquet", *reader.fingerprint(DataSource(tmp_path / f"month={month}"))["files"][0][1:]]
            for month in (1, 2)
        ],
    }
    found = reader.describe(DataSource(f"s3://{BUCKET}/{prefix}/rows.csv"), "train")
    assert (found.name, found.digest) == ("rows", digest_of(CANCER))


def test_what_is_missing_or_refused_on_s3_is_said_in_a_sentence(
    bucket: tuple[S3Server, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotFound, match="gone"):
        read(f"s3://{BUCKET}/{bucket[1]}/gone.parquet")
    with pytest.raises(NotFound, match="no-such-bucket"):
        read("s3://no-such-bucket/x.parquet")
    monkeypatch.setenv("PENSTOCK_S3_ENDPOINT", "http://user:hunter2@127.0.0.1")
    with pytest.raises(InvalidValue, match="Credentials are no part") as caught:
        read("s3://bucket/x.parquet")
    assert "hunter2" not in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.slow
def test_a_store_that_does_not_answer_is_a_passing_fault(s3_credentials: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_S3_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(StoreUnavailable):
        read("s3://bucket/x.parquet")


# -------------------------------------------------------------------------------------------------------- memory

_READER = """
import resource, sys
from penstock.evaluation.describing import SourceReader
from penstock.model.data import DataSource
reader = SourceReader()
reader.describe(DataSource(sys.argv[1]), "train")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = reader.describe(DataSource(sys.argv[2]), "train").rows
print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """A file of 200 MB in one row group, of which no more than a fraction is ever in memory."""
    random = np.random.default_rng(1)
    rows, columns = 1_250_000, 20
    table = pa.table({f"x{i}": random.normal(size=rows).astype(np.float64) for i in range(columns)})
    pq.write_table(table, tmp_path / "large.parquet", row_group_size=rows)
    pq.write_table(table.slice(0, 200_000), tmp_path / "small.parquet")
    del table
    grown = subprocess.run(
        [sys.executable, "-c", _READER, str(tmp_path / "small.parquet"), str(tmp_path / "large.parquet")],
        check=True,
        capture_output=True,
        text=True,
    )
    read_rows, kilobytes = (int(word) for word in grown.stdout.split())
    assert read_rows == rows
    assert kilobytes < 120 * 1024  # with the hashes of a million rows, and what sorting them takes


def test_batches_are_larger_where_a_table_is_in_memory_and_narrow() -> None:
    narrow, wide = (DataSource(pd.DataFrame(np.zeros((1, width)))) for width in (20, 1000))
    stream = DataSource("rows.parquet")
    assert [rows_at_once(data, given=False) for data in (narrow, wide, stream)] == [131_072, 65_536, 65_536]
    assert rows_at_once(DataSource(pa.table({"x": [1.0]})), given=False) == 131_072
    assert [rows_at_once(data, given=True) for data in (narrow, stream)] == [131_072, 131_072]
    assert rows_at_once(narrow, given=False, several_cores=True) == 262_144
    assert rows_at_once(narrow, given=False, several_cores=True, answers=1000) == 65_536
    assert rows_at_once(stream, given=False, several_cores=True) == 65_536
