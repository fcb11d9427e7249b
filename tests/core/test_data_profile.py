"""What is remembered of rows: the profile of columns, time range, hashes of rows, and what two data sets share."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer

from penstock.errors import Corrupted, InvalidValue
from penstock.evaluation.describing import RowSummary, SourceReader
from penstock.evaluation.rows.digests import RowDigest
from penstock.evaluation.rows.sketch import EVERYTHING, HashSample, RowSample
from penstock.evaluation.state import packing
from penstock.model.data import Dataset, DataSource, Overlap
from penstock.ports import TrainingRows

CANCER: pd.DataFrame = load_breast_cancer(as_frame=True).frame
NOW = dt.datetime(2013, 6, 1, tzinfo=dt.UTC)


def moments(*texts: Any) -> Any:
    return pd.to_datetime(pd.Series(texts), format="ISO8601").array


def described(frame: pd.DataFrame, role: str = "train", **roles: Any) -> Dataset:
    return SourceReader().describe(DataSource(frame, **roles), role)


def kept(folder: Path, frame: pd.DataFrame, rows_kept: int = 10**6, name: str = "train", **roles: Any) -> TrainingRows:
    path = folder / f"{name}.rows"
    dataset = SourceReader(rows_kept=rows_kept).describe(DataSource(frame, name=name, **roles), "train", path)
    return TrainingRows(dataset, path)


def overlap(frame: pd.DataFrame, *training: TrainingRows, rows_kept: int = 10**6, **roles: Any) -> Overlap:
    summary = RowSummary(DataSource(frame, **roles), training, rows_kept=rows_kept)
    for start in range(0, len(frame), 1000):
        summary.update(frame[start : start + 1000])
    found = summary.result("held-out").overlap
    assert found is not None
    return found


# ------------------------------------------------------------------------------------------------------- profile


def test_a_profile_says_what_each_column_holds() -> None:
    frame = pd.DataFrame(
        {
            "whole": [3, 1, 2, 2],
            "real": [0.5, np.nan, -1.5, np.inf],
            "yes": [True, False, True, True],
            "text": ["b", "a", None, "ü" * 100],
            "when": moments("2013-01-01 05:00", "2013-01-02 05:00:00.25", None, "2012-12-31"),
            "zone": pd.to_datetime(["2013-01-01 05:00"] * 4).tz_localize("America/New_York"),
            "day": [dt.date(2013, 1, 1), dt.date(2012, 1, 1), None, dt.date(2013, 1, 1)],
            "gap": pd.to_timedelta([1, 2, 3, None], unit="min"),
            "money": [Decimal("1.25"), Decimal(2), None, Decimal("-3")],
            "kind": pd.Categorical(["low", "high", "low", None], categories=["unused", "low", "high"]),
            "level": pd.Categorical([2, 1, 2, None], categories=[0, 1, 2]),
            "none": [None] * 4,
            "mixed": [1, "x", 2.5, b"y"],
            "huge": [10**400, -(10**400), 1, None],
            "list": [[1], [1], [2, 3], None],
            "large": pd.array([2**62 + 1, None, 2**62 + 3, 2**62], dtype="Int64"),
        }
    )
    found = described(frame).profile

    def facts(name: str) -> tuple[Any, ...]:
        column = found[name]
        assert column.distinct_exact
        return column.nulls, column.distinct, column.minimum, column.maximum, column.mean

    assert facts("whole") == (0, 3, 1, 3, 2.0)
    assert facts("real") == (1, 3, -1.5, "+inf", "+inf")
    assert facts("yes") == (0, 2, False, True, 0.75)
    assert facts("text") == (1, 3, "a", "ü" * 59 + "…", None)
    assert facts("when") == (1, 3, "2012-12-31T00:00:00", "2013-01-02T05:00:00.250", None)
    assert facts("zone") == (0, 1, "2013-01-01T10:00:00+00:00", "2013-01-01T10:00:00+00:00", None)
    assert facts("day") == (1, 2, "2012-01-01", "2013-01-01", None)
    assert facts("gap")[:4] == (1, 3, 60.0, 180.0)
    assert facts("money") == (1, 3, -3.0, 2.0, pytest.approx(0.25 / 3))
    assert facts("kind") == (1, 2, "high", "low", None)
    assert facts("level") == (1, 2, 1, 2, pytest.approx(5 / 3))
    assert facts("none") == (4, 0, None, None, None)
    assert facts("mixed") == (0, 4, None, None, None)
    assert facts("huge") == (1, 3, -(10**400), 10**400, None)
    assert facts("list") == (1, 2, None, None, None)
    assert facts("large")[:4] == (1, 3, 2**62, 2**62 + 3)


def test_a_dataset_survives_json_and_an_older_one_is_read() -> None:
    frame = CANCER.assign(real=[np.inf, -np.inf, *[0.5] * (len(CANCER) - 2)], when=pd.Timestamp("2013-01-01"))
    found = described(frame, time="when")
    plain = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert Dataset.from_json(plain) == found
    older = {name: plain[name] for name in ("name", "digest", "rows", "role", "source", "schema")}
    assert Dataset.from_json(older).to_json() == older


def test_many_distinct_values_are_estimated_within_the_stated_error() -> None:
    random = np.random.default_rng(3)
    for rows, values in ((200_000, 200_000), (200_000, 30_000), (50_000, 4096), (50_000, 4000)):
        found = described(pd.DataFrame({"x": random.integers(0, 2**62, values)[np.arange(rows) % values]}))
        column = found.profile["x"]
        assert column.distinct_exact == (values <= 4096)
        assert abs(column.distinct / values - 1) <= (0 if column.distinct_exact else 5 * 0.016)


@pytest.mark.parametrize(
    "values",
    [
        np.arange(-128, 128, dtype=np.int8),
        np.arange(256, dtype=np.uint8),
        np.array([2**64 - 1, 2**64 - 3], dtype=np.uint64),
        np.array([-(2**63), 2**63 - 1]),
        np.array([-(2**63), -(2**63) + 5]),
        np.array([True, False]),
        np.array([-3.0, 7.0]),
        np.array(["b", "a"]),
        np.arange(4000),
        np.arange(9000) * 2,
        np.arange(9000) / 1024,
    ],
    ids=lambda values: f"{len(values)} of {values.dtype}",
)
def test_few_values_many_times_each_are_counted_as_they_are(values: Any) -> None:
    column = pd.Series(np.random.default_rng(5).permutation(np.tile(values, 20)))
    found = described(pd.DataFrame({"x": column})).profile["x"]

    assert (found.minimum, found.maximum) == (column.min(), column.max())
    assert found.distinct_exact == (len(values) <= 4096)
    assert abs(found.distinct / len(values) - 1) <= (0 if found.distinct_exact else 5 * 0.016)


# ---------------------------------------------------------------------------------------------------- time range


@pytest.mark.parametrize(
    "times",
    [
        moments("2013-01-02 12:00", None, "2013-01-01"),
        moments("2013-01-02 12:00", None, "2013-01-01").tz_localize("UTC").tz_convert("Asia/Tokyo"),
        ["2013-01-02T12:00:00Z", None, "2013-01-01"],
        [dt.datetime(2013, 1, 2, 12), None, dt.date(2013, 1, 1)],  # noqa: DTZ001
    ],
)
def test_a_time_column_says_from_when_the_rows_are(times: Any) -> None:
    found = described(pd.DataFrame({"t": times, "x": 1}), time="t")
    assert found.earliest == dt.datetime(2013, 1, 1, tzinfo=dt.UTC)
    assert found.latest == dt.datetime(2013, 1, 2, 12, tzinfo=dt.UTC)
    assert found.age(NOW) == NOW - found.latest


def test_numbers_and_words_are_no_times() -> None:
    for values in ([20130101, 20130102], ["yesterday", "today"]):
        with pytest.raises(InvalidValue, match="time column 't'"):
            described(pd.DataFrame({"t": values}), time="t")
    assert described(pd.DataFrame({"t": [None, None], "x": 1}), time="t").latest is None


# ------------------------------------------------------------------------------------- order, parts, merge trees


def summary_of(*batches: pd.DataFrame, rows_kept: int = 16) -> RowSummary:
    found = RowSummary(SOURCE, rows_kept=rows_kept, sampled=True)
    for batch in batches:
        found.update(batch)
    return found


SOURCE = DataSource(CANCER, time="when", id="id", name="x")
ROWS = pd.DataFrame(
    {
        "id": range(400),
        "when": pd.Timestamp("2013-01-01") + pd.to_timedelta(np.arange(400) % 90, unit="h"),
        "code": np.arange(400) % 37,
        "real": np.where(np.arange(400) % 11 == 0, np.nan, np.arange(400) / 7),
        "text": pd.Series([f"t{n % 60}" for n in range(400)]).where(np.arange(400) % 13 > 0),
    }
)


@given(st.randoms(use_true_random=False), st.lists(st.integers(0, 400), max_size=5), st.integers(5, 500))
@settings(max_examples=40, deadline=None)
def test_nothing_that_is_remembered_depends_on_order_parts_or_merge_tree(
    random: Any, cuts: list[int], rows_kept: int
) -> None:
    order = list(range(len(ROWS)))
    random.shuffle(order)
    bounds = sorted({0, len(ROWS), *cuts})
    parts = [summary_of(ROWS.iloc[order[start:stop]], rows_kept=rows_kept) for start, stop in pairwise(bounds)]
    while len(parts) > 1:  # any two of them, in any order, some by way of bytes
        one, other = parts.pop(random.randrange(len(parts))), parts.pop(random.randrange(len(parts)))
        if random.random() < 0.5:
            packed = packing.unpack(packing.pack(other.pack()))
            other = RowSummary(SOURCE, rows_kept=rows_kept, sampled=True)
            other.unpack(packed)
        one.merge(other)
        parts.append(one)

    merged, whole = parts[0], summary_of(ROWS, rows_kept=rows_kept)
    one_set, all_at_once = merged.result("train").to_json(), whole.result("train").to_json()
    for profile in (one_set["profile"], all_at_once["profile"]):
        for column in profile.values():
            column["mean"] = column["mean"] and pytest.approx(column["mean"], rel=1e-12)
    assert one_set["profile"].keys() == all_at_once["profile"].keys()
    assert one_set == all_at_once
    assert merged.sample().bound == whole.sample().bound
    assert merged.sample().hashes.tolist() == whole.sample().hashes.tolist()
    assert len(whole.sample().hashes) == min(rows_kept, 400)


@given(st.lists(st.integers(0, 99), max_size=300), st.integers(1, 120), st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_a_sample_is_the_smallest_hashes_with_exact_counts(values: list[int], limit: int, random: Any) -> None:
    hashes = np.array(values, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    samples = [HashSample(limit) for _ in range(3)]
    for part in np.array_split(hashes, 7):
        samples[random.randrange(3)].update(part)
    samples[0].merge(samples[1])
    samples[0].merge(samples[2])
    expected, counts = np.unique(hashes, return_counts=True)

    assert samples[0].hashes.tolist() == expected[:limit].tolist()
    assert samples[0].counts.tolist() == counts[:limit].tolist()
    assert samples[0].bound == (EVERYTHING if len(expected) <= limit else int(expected[limit]))


@pytest.mark.soak
def test_one_changed_cell_among_ten_million_rows_is_found() -> None:
    random = np.random.default_rng(11)
    found, changed = RowDigest(), RowDigest()
    for part in range(100):
        frame = pd.DataFrame({"a": random.normal(size=100_000), "b": random.integers(0, 50, 100_000), "c": part})
        found.update(frame)
        if part == 63:
            values = frame["a"].to_numpy(copy=True)
            values[77_777] = np.nextafter(values[77_777], np.inf)
            frame["a"] = values
        changed.update(frame)
    assert found.rows == changed.rows == 10_000_000
    assert found.result() != changed.result()


# ------------------------------------------------------------------------------------------------------- overlap


def test_rows_that_were_trained_on_are_counted_whatever_the_order_of_rows_and_columns(tmp_path: Path) -> None:
    train, held = CANCER[:400], CANCER[380:]
    shuffled = held.sample(frac=1, random_state=1)[held.columns[::-1]].assign(id=range(189), p=0.5)
    found = overlap(shuffled, kept(tmp_path, train, label="target"), label="target", id="id", scores="p")
    assert (found.rows_found, found.of_rows, found.sampling_rate) == (20, 189, 1.0)
    assert (found.training_rows, len(found.columns), found.share) == (400, 31, 20 / 189)
    assert found.miss_probability(1) == 0.0
    assert str(found) == "20 of 189 rows also in training data"
    assert Overlap.from_json(json.loads(json.dumps(found.to_json()))) == found

    twice = overlap(pd.concat([held, held[:10]]), kept(tmp_path, train))
    assert (twice.rows_found, twice.of_rows) == (30, 199)
    changed = held.assign(target=1 - held["target"])  # the same features with another label are another row
    assert overlap(changed, kept(tmp_path, train)).rows_found == 0


def test_an_id_is_not_compared_where_it_is_named_as_one(tmp_path: Path) -> None:
    train = CANCER[:400].assign(id=range(400))
    held = CANCER[380:].assign(id=range(5000, 5189))
    assert overlap(held, kept(tmp_path, train, id="id")).rows_found == 20
    assert overlap(held, kept(tmp_path, train), id="id").rows_found == 0  # the training data did not name it


def test_several_training_sets_count_as_one_and_what_is_not_comparable_is_named(tmp_path: Path) -> None:
    folds = [kept(tmp_path, CANCER[start : start + 100], name=f"fold-{start}") for start in (0, 100, 350)]
    weather = kept(tmp_path, pd.DataFrame({"wind": [1.0, 2.0]}), name="weather")
    older = TrainingRows(described(CANCER[:10], name="older"), None)

    found = overlap(CANCER[180:], *folds, weather, older)

    assert (found.rows_found, found.of_rows, found.training_rows) == (20 + 100, 389, 300)
    assert found.not_compared == ("older", "weather")
    assert overlap(CANCER, weather).share is None
    assert overlap(CANCER, folds[0], kept(tmp_path, CANCER[["target"]], name="labels")).rows_found == 569
    assert described(CANCER).overlap is None


def test_a_sampled_overlap_estimates_the_share_and_states_what_it_may_have_missed(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    train = pd.DataFrame({"x": random.normal(size=200_000), "y": random.normal(size=200_000)})
    fresh = pd.DataFrame({"x": random.normal(size=40_000), "y": random.normal(size=40_000)})
    held = pd.concat([train[:10_000], fresh], ignore_index=True)

    found = overlap(held, kept(tmp_path, train, rows_kept=20_000), rows_kept=100_000)

    assert found.sampling_rate == pytest.approx(0.1, rel=0.05)
    assert found.of_rows == pytest.approx(5000, rel=0.1)
    assert found.share == pytest.approx(0.2, abs=5 * np.sqrt(0.2 * 0.8 / 5000))
    assert found.miss_probability(10) == (1 - found.sampling_rate) ** 10
    assert "10 leaked rows go unseen with probability 0.3" in str(found)
    assert overlap(fresh, kept(tmp_path, train, rows_kept=20_000)).rows_found == 0


def test_kept_rows_that_are_damaged_are_found_out(tmp_path: Path) -> None:
    rows = kept(tmp_path, CANCER)
    assert rows.path is not None
    content = rows.path.read_bytes()
    for damaged in (content[:-1], b"", b"{}\n", b"not JSON\n", content.replace(b"rows 2", b"rows 9")):
        rows.path.write_bytes(damaged)
        with pytest.raises(Corrupted):
            RowSample.read(rows.path)
