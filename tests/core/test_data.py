"""Reading rows in batches, and the digest of their content."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import pandas as hp
from sklearn.datasets import load_breast_cancer

from penstock.errors import InvalidValue, NotFound
from penstock.evaluation.describing import SourceReader
from penstock.evaluation.reading import read_batches
from penstock.evaluation.rows.digests import RowDigest
from penstock.model.data import DataSource

CANCER: pd.DataFrame = load_breast_cancer(as_frame=True).frame


def digest_of(*batches: pd.DataFrame) -> str:
    found = RowDigest()
    for batch in batches:
        found.update(batch)
    return found.result()


def read(source: Any, rows: int = 65_536, **roles: Any) -> pd.DataFrame:
    return pd.concat(list(read_batches(DataSource(source, **roles), rows)), ignore_index=True)


def mixed(rows: int = 200) -> pd.DataFrame:
    random = np.random.default_rng(7)
    whole = random.integers(-5, 5, rows)
    return pd.DataFrame(
        {
            "whole": whole,
            "some": pd.Series(np.where(whole > 3, np.nan, whole)),
            "real": random.normal(size=rows),
            "yes": whole > 0,
            "text": random.choice(["AA", "UA", "Ärö", ""], rows),
            "gap": pd.Series(random.choice(["x", "y", "z"], rows)).where(whole > 0),
            "when": pd.Timestamp("2013-01-01") + pd.to_timedelta(random.integers(0, 10**6, rows), unit="s"),
            "sort": pd.Categorical(random.choice(["low", "high"], rows)),
        }
    )


# --------------------------------------------------------------------------------------------------- digests

frames = hp.data_frames(
    [
        hp.column("a", elements=st.integers(-(2**63), 2**63 - 1), dtype=np.dtype(np.int64)),
        hp.column("b", elements=st.floats(allow_nan=True, allow_infinity=True), dtype=np.dtype(np.float64)),
        hp.column("c", elements=st.one_of(st.none(), st.text(max_size=4)), dtype=np.dtype(object)),
        hp.column("d", elements=st.booleans(), dtype=np.dtype(bool)),
    ],
    index=hp.range_indexes(min_size=1, max_size=12),
)


@given(frames, st.randoms(use_true_random=False), st.lists(st.integers(0, 12), max_size=4))
@settings(max_examples=150, deadline=None)
def test_the_digest_does_not_depend_on_order_or_on_how_the_rows_are_split(
    frame: pd.DataFrame, random: Any, cuts: list[int]
) -> None:
    order = list(range(len(frame)))
    random.shuffle(order)
    shuffled = frame.iloc[order]
    bounds = sorted({0, len(frame), *(min(cut, len(frame)) for cut in cuts)})
    merged = RowDigest()
    for start, stop in pairwise(bounds):
        part = RowDigest()
        part.update(shuffled.iloc[start:stop])
        merged.merge(part)

    assert merged.result() == digest_of(frame)


@given(frames, st.data())
@settings(max_examples=150, deadline=None)
def test_any_one_changed_cell_changes_the_digest(frame: pd.DataFrame, data: Any) -> None:
    row = data.draw(st.integers(0, len(frame) - 1))
    column = data.draw(st.sampled_from(["a", "b", "c", "d"]))
    changed = frame.copy()
    values = changed[column].to_list()
    changes: dict[str, Callable[[Any], Any]] = {
        "a": lambda v: v ^ (1 << data.draw(st.integers(0, 62))),
        "b": lambda v: 0.25 if v != v or np.isinf(v) else np.nextafter(v, np.inf),
        "c": lambda v: (v or "") + "x",
        "d": lambda v: not v,
    }
    values[row] = changes[column](values[row])
    changed[column] = pd.Series(values, index=frame.index, dtype=frame[column].dtype)

    assert digest_of(changed) != digest_of(frame)


@given(frames)
@settings(max_examples=50, deadline=None)
def test_a_duplicated_or_missing_row_changes_the_digest(frame: pd.DataFrame) -> None:
    digests = {digest_of(frame), digest_of(frame, frame.iloc[:1]), digest_of(frame.iloc[1:])}
    assert len({d.split(":")[2] for d in digests}) == 3  # not by the count alone


def test_swapped_values_and_renamed_columns_change_the_digest() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": [3, 4]})
    swapped_columns = frame.rename(columns={"a": "b", "b": "a"})
    swapped_cells = pd.DataFrame({"a": [1, 2], "b": [4, 3]})

    assert len({digest_of(f) for f in (frame, swapped_columns, swapped_cells, frame.add_prefix("x"))}) == 4
    assert digest_of(frame[["b", "a"]]) == digest_of(frame)


@pytest.mark.parametrize(
    "dtype", ["int8", "int16", "int32", "uint8", "uint64", "float32", "float64", "Int64", "int64[pyarrow]", object]
)
def test_equal_numbers_have_equal_digests_whatever_type_holds_them(dtype: Any) -> None:
    assert digest_of(pd.DataFrame({"x": pd.Series([0, 1, 7], dtype=dtype)})) == digest_of(
        pd.DataFrame({"x": [0, 1, 7]})
    )


def test_equal_text_has_equal_digests_whatever_type_holds_it() -> None:
    kinds: list[Any] = ["str", object, "category", "string", pd.ArrowDtype(pa.string())]
    assert len({digest_of(pd.DataFrame({"x": pd.Series(["a", "b", None], dtype=k)})) for k in kinds}) == 1


def test_texts_of_any_length_have_hashes_of_their_own_whatever_stands_beside_them() -> None:
    texts = [letter * length + end for length in range(300) for letter in "aä\0" for end in ("", "b", "\0")]
    texts = [*dict.fromkeys(texts), "\ud800", "\ud800a", "z" * 300_000, "z" * 299_999 + "y"]
    hashes = RowDigest().update(pd.DataFrame({"x": pd.Series(texts, dtype=object)}))[1]
    beside = RowDigest().update(pd.DataFrame({"x": pd.Series([1, 2.5, *texts[-50:]], dtype=object)}))[1]
    sliced = RowDigest().update(pd.DataFrame({"x": pd.Series(texts[:-4], dtype="str")}).iloc[700:900])[1]

    assert len(np.unique(hashes)) == len(texts)
    assert beside[2:].tolist() == hashes[-50:].tolist()
    assert sliced.tolist() == hashes[700:900].tolist()


def test_equal_instants_have_equal_digests_in_any_unit_and_zone() -> None:
    naive: Any = pd.Series(pd.to_datetime(pd.Series(["2013-01-01 05:00", None])))
    units = {digest_of(pd.DataFrame({"t": naive.astype(f"datetime64[{u}]")})) for u in ("s", "ms", "us", "ns")}
    aware = naive.dt.tz_localize("UTC")
    zones = {digest_of(pd.DataFrame({"t": aware.dt.tz_convert(z)})) for z in ("UTC", "America/New_York")}

    assert len(units) == 1
    assert len(zones) == 1
    assert units != zones


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1, 2], ["1", "2"]),
        ([2**63, 0], [-(2**63), 0]),
        ([1.5, 2.0], [np.float64(1.5).view(np.int64), 2]),
        ([None, "a"], ["", "a"]),
        ([b"a", b"b"], ["a", "b"]),
        ([np.nan, 1.0], [0.0, 1.0]),
        ([dt.date(2013, 1, 1)], [dt.datetime(2013, 1, 1)]),  # noqa: DTZ001
        (pd.to_datetime(["2013-01-01 00:00:00.000000001"]), pd.to_datetime(["2013-01-01"])),
        (pd.to_timedelta([1], unit="s"), [1_000_000]),
        ([[1, 2]], [[1, 3]]),
        ([list(range(5000))], [[*range(2500), -1, *range(2501, 5000)]]),
    ],
)
def test_values_that_differ_only_in_kind_have_different_digests(one: Any, other: Any) -> None:
    assert digest_of(pd.DataFrame({"x": one})) != digest_of(pd.DataFrame({"x": other}))


def test_a_digest_is_the_same_in_every_process_and_version() -> None:
    frame = pd.DataFrame({"n": [1, -2, 3], "x": [0.5, np.nan, 2.0], "s": ["a", None, "ü"], "d": [Decimal("1.5")] * 3})
    assert digest_of(frame) == "rows:3:38b131ae8ef29c2fb54744f491ca8df4"


def test_rows_whose_numbers_differ_in_few_bits_have_hashes_of_their_own_that_are_spread_evenly() -> None:
    halves = [sign * part * 2.0**power for sign in (1, -1) for part in (1, 1.5) for power in range(-5, 5)]
    whole = [*range(30), *(2**power for power in range(30, 60, 3))]
    for values in (halves, whole):
        rows = pd.DataFrame(list(product(values, repeat=3)), columns=["a", "b", "c"])
        sums, hashes = RowDigest().update(rows)

        assert len(np.unique(sums)) == len(np.unique(hashes)) == len(rows)
        for shift in (0, 28, 56):
            spread = np.bincount((hashes >> np.uint64(shift)).astype(np.uint8), minlength=256)
            assert abs(spread - len(rows) / 256).max() < 6 * np.sqrt(len(rows) / 256)


def test_a_frame_made_of_rows_has_the_digest_of_one_made_of_columns() -> None:
    numbers = np.random.default_rng(2).normal(size=(5000, 3))
    numbers[7, 1], numbers[9, 2] = np.nan, 4.0
    columns = pd.DataFrame({str(place): column.copy() for place, column in enumerate(numbers.T)})

    assert digest_of(pd.DataFrame(numbers, columns=list("012"))) == digest_of(columns)
    assert digest_of(pd.DataFrame(numbers, columns=list("012")), columns) == digest_of(columns, columns)


def test_values_without_content_are_refused() -> None:
    with pytest.raises(InvalidValue, match=r"'thing'.*values of type object"):
        digest_of(pd.DataFrame({"thing": [object()]}))


# --------------------------------------------------------------------------------------------------- reading


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Any]:
    frame = mixed()
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    frame[:70].to_parquet(folder / "a.parquet")
    frame[70:].to_parquet(folder / "deep" / "b.parquet", row_group_size=17)
    (folder / "_SUCCESS").touch()
    frame.to_parquet(tmp_path / "one.parquet")
    return {
        "DataFrame": frame,
        "Table": pa.Table.from_pandas(frame),
        "file": tmp_path / "one.parquet",
        "string path": str(tmp_path / "one.parquet"),
        "folder": folder,
    }


@pytest.mark.parametrize("rows", [1, 7, 64, 200, 1000])
def test_every_source_yields_the_same_rows_in_batches_of_any_size(sources: dict[str, Any], rows: int) -> None:
    expected = digest_of(mixed())
    for name, source in sources.items():
        batches = list(read_batches(DataSource(source), rows))
        assert digest_of(*batches) == expected, name
        assert max(len(batch) for batch in batches) <= rows
        assert all(list(batch.index) == list(range(len(batch))) for batch in batches)


def test_a_csv_file_reads_as_the_frame_it_was_written_from(tmp_path: Path) -> None:
    path = tmp_path / "cancer.csv"
    CANCER.to_csv(path, index=False)

    pd.testing.assert_frame_equal(read(path, 100), CANCER)
    assert SourceReader().describe(DataSource(path), "train").digest == digest_of(CANCER)


def test_a_csv_column_that_turns_real_in_its_last_row_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "late.csv"
    path.write_text("x,s\n" + "1,\n" * 300_000 + "2.5,late\n")

    frame = read(path)

    assert len(frame) == 300_001
    assert frame["x"].iloc[-1] == 2.5
    assert frame["s"].isna().sum() == 300_000


def test_whole_numbers_beside_nulls_keep_every_digit(tmp_path: Path) -> None:
    large = 2**60 + 1
    table = pa.table({"id": pa.array([large, None, large + 1], pa.int64()), "n": pa.array([1, None, 3], pa.int64())})
    pq.write_table(table, tmp_path / "ids.parquet")

    frame = read(tmp_path / "ids.parquet")

    assert frame["id"].dropna().tolist() == [large, large + 1]
    assert frame["n"].dtype == np.float64
    for rows in (1, 2, 3):
        assert digest_of(*read_batches(DataSource(table), rows)) == digest_of(frame)


def test_files_of_a_folder_may_widen_numbers_but_not_change_types(tmp_path: Path) -> None:
    pd.DataFrame({"x": [1, 2]}).to_parquet(tmp_path / "a.parquet")
    pd.DataFrame({"x": [0.5, None]}).to_parquet(tmp_path / "b.parquet")
    assert read(tmp_path)["x"].tolist()[:3] == [1.0, 2.0, 0.5]

    pd.DataFrame({"x": ["1"]}).to_parquet(tmp_path / "c.parquet")
    with pytest.raises(InvalidValue, match="same types"):
        read(tmp_path)


def test_a_named_index_is_a_column_and_an_unnamed_one_is_not_data(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [1, 2, 3]}, index=[9, 8, 7])
    named = frame.rename_axis("flight")
    frame.to_parquet(tmp_path / "plain.parquet")
    named.to_parquet(tmp_path / "named.parquet")

    assert list(read(frame).columns) == list(read(tmp_path / "plain.parquet").columns) == ["x"]
    assert read(named)["flight"].tolist() == read(tmp_path / "named.parquet")["flight"].tolist() == [9, 8, 7]


def test_a_missing_path_is_not_found_and_says_where_it_was_looked_for() -> None:
    with pytest.raises(NotFound, match=r"nowhere\.parquet' does not exist\. Relative paths start at"):
        read("nowhere.parquet")


@pytest.mark.parametrize("source", ["https://user:secret@example.com/x.parquet", "s3://key:secret@bucket/x", 3, [1, 2]])
def test_what_is_no_source_is_refused_without_repeating_secrets(source: Any) -> None:
    with pytest.raises(InvalidValue) as caught:
        read(source)
    assert "secret" not in str(caught.value)


def test_unknown_and_broken_files_are_refused_by_name(tmp_path: Path) -> None:
    for name, content, expected in [
        ("rows.xlsx", b"", r"\.parquet, \.pq, \.csv"),
        ("rows.parquet", b"PAR1 this is not it PAR1", "readable Parquet"),
        ("empty.parquet", b"", "readable Parquet"),
        ("ragged.csv", b"a,b\n1,2\n3\n", "readable CSV"),
        ("empty.csv", b"", "readable CSV"),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InvalidValue, match=expected) as caught:
            read(tmp_path / name)
        assert name in str(caught.value)


def test_a_parquet_file_damaged_in_the_middle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    CANCER.to_parquet(path)
    data = bytearray(path.read_bytes())
    data[200:4000] = b"\xff" * 3800
    path.write_bytes(bytes(data))

    with pytest.raises(InvalidValue, match=r"readable Parquet.*rows\.parquet"):
        read(path)


def test_a_folder_that_would_lose_rows_or_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="holds Parquet files"):
        read(tmp_path)
    CANCER.to_parquet(tmp_path / "a.parquet")
    (tmp_path / "b.csv").write_text("x\n1\n")
    with pytest.raises(InvalidValue, match=r"b\.csv"):
        read(tmp_path)
    (tmp_path / "b.csv").unlink()
    (tmp_path / "month=3").mkdir()
    CANCER.to_parquet(tmp_path / "month=3" / "c.parquet")
    with pytest.raises(InvalidValue, match="name the same columns"):
        read(tmp_path)
    (tmp_path / "a.parquet").unlink()
    CANCER.assign(month=4).to_parquet(tmp_path / "month=3" / "c.parquet")
    with pytest.raises(InvalidValue, match="'month' is a column of the files and a value in their folders' names"):
        read(tmp_path)


def test_files_of_a_folder_with_other_columns_are_refused(tmp_path: Path) -> None:
    CANCER.to_parquet(tmp_path / "a.parquet")
    CANCER.drop(columns="target").to_parquet(tmp_path / "b.parquet")
    with pytest.raises(InvalidValue, match="differ in target"):
        read(tmp_path)


@pytest.mark.parametrize("role", ["label", "id", "weight", "drop"])
def test_a_missing_column_is_named_with_the_columns_there_are(role: str) -> None:
    named: Any = ("gone",) if role == "drop" else "gone"
    with pytest.raises(InvalidValue, match=rf"{role} column.*'gone'.*Its columns are: a, b"):
        read(pd.DataFrame({"a": [1], "b": [2]}), **{role: named})


def test_duplicate_column_names_are_refused_in_every_format(tmp_path: Path) -> None:
    table = pa.table([pa.array([1]), pa.array([2])], names=["x", "x"])
    pq.write_table(table, tmp_path / "twice.parquet")
    (tmp_path / "twice.csv").write_text("x,x\n1,2\n")
    frame = pd.DataFrame([[1, 2]], columns=["x", "x"])
    for source in (table, frame, tmp_path / "twice.parquet", tmp_path / "twice.csv"):
        with pytest.raises(InvalidValue, match=r"every column name once.*'x'"):
            read(source)


# ----------------------------------------------------------------------------------- fingerprints and datasets


def test_a_dataset_says_what_was_read(tmp_path: Path) -> None:
    path = tmp_path / "flights-2013.parquet"
    mixed().to_parquet(path)

    found = SourceReader(batch_rows=10).describe(DataSource(path), "train")

    assert (found.name, found.rows, found.role, found.source) == ("flights-2013", 200, "train", str(path))
    assert found.digest == digest_of(mixed())
    assert found.schema["some"] == "float64"  # in some batches it has no nulls and arrives as integers
    assert dict(found.schema) == dict(SourceReader().describe(DataSource(path), "train").schema)
    assert SourceReader().describe(DataSource(mixed(), name="mine"), "train").name == "mine"
    assert SourceReader().describe(DataSource(pa.Table.from_pandas(mixed())), "train").source == "Table"


def test_no_rows_are_an_error() -> None:
    with pytest.raises(InvalidValue, match="train data has 0 rows"):
        SourceReader().describe(DataSource(CANCER[:0]), "train")


def test_a_fingerprint_follows_the_content_and_the_roles_and_not_the_place(
    sources: dict[str, Any], tmp_path: Path
) -> None:
    reader = SourceReader()
    copy = tmp_path / "copy.parquet"
    copy.write_bytes(Path(sources["file"]).read_bytes())

    def print_of(source: Any, **roles: Any) -> Any:
        return reader.fingerprint(DataSource(source, **roles))

    assert print_of(copy) == print_of(sources["file"])
    assert print_of(sources["DataFrame"]) == print_of(sources["Table"])
    assert print_of(sources["DataFrame"]) != print_of(sources["DataFrame"][1:])
    assert print_of(copy, label="yes") != print_of(copy)
    assert print_of(copy, drop=("yes", "text")) == print_of(copy, drop=("text", "yes"))
    before = print_of(sources["folder"])
    assert [name for name, _ in before["files"]] == ["a.parquet", "deep/b.parquet"]
    assert str(tmp_path) not in str(before)
    mixed()[:3].to_parquet(sources["folder"] / "c.parquet")
    assert print_of(sources["folder"]) != before
    with pytest.raises(NotFound):
        print_of(tmp_path / "gone.parquet")
