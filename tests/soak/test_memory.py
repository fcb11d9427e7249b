"""Memory stays flat over 100,000,000 rows of Parquet with predictions given: minutes, and a file of 1 GB."""

from __future__ import annotations

import pytest

from tests.benchmarks.evaluation import parquet

MOST_MEBIBYTES = 512


@pytest.mark.soak
def test_a_hundred_million_rows_need_no_more_memory_than_ten() -> None:
    """Peaks of resident memory of fresh processes that do nothing else; the file is as long as the rows."""
    short, long = parquet(10_000_000), parquet(100_000_000)
    for what in ("measure", "measure with digest"):
        assert long[what].mebibytes <= MOST_MEBIBYTES, what
        assert long[what].mebibytes <= 1.25 * short[what].mebibytes, what
