"""The input example kept beside a model: a few rows it can predict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from penstock.errors import InvalidValue
from penstock.model.canonical import canonical_json

INPUT = "input_example.json"
SERVING = "serving_input_example.json"
MAX_ROWS = 100  # an example, not a data set


def as_frame(example: Any, feature_names: Sequence[str] | None) -> pd.DataFrame:
    """Return `example` (a DataFrame, or an array of shape (rows, features)) as a DataFrame with at least one row.

    An array's columns take `feature_names`, the names the estimator was fitted with, when there are as many.
    """
    expected = "a pandas DataFrame or a numpy array of shape (rows, features), with at least one row"
    if isinstance(example, pd.DataFrame):
        frame = example
    elif isinstance(example, np.ndarray) and example.ndim == 2:
        named = feature_names if feature_names and len(feature_names) == example.shape[1] else None
        frame = pd.DataFrame(example, columns=None if named is None else list(named))
    else:
        raise InvalidValue("input_example", type(example).__name__, expected)
    if frame.empty or not frame.columns.is_unique:
        raise InvalidValue("input_example", f"{frame.shape[0]} rows, columns {list(frame.columns)}", expected)
    return frame


def files(frame: pd.DataFrame) -> dict[str, str]:
    """Return the example's files by name, as JSON text in pandas' `split` orientation.

    At most the first 100 rows. Numbers are exact, missing values are null, times are ISO 8601; unnamed columns have no
    `columns` key, as MLflow writes them.
    """
    rows = frame.head(MAX_ROWS).copy()
    for place, dtype in enumerate(rows.dtypes):
        if pd.api.types.is_datetime64_any_dtype(dtype):
            rows.isetitem(place, rows.iloc[:, place].dt.strftime("%Y-%m-%dT%H:%M:%S.%f%z"))
    rows = rows.astype(object).where(rows.notna(), None)
    split = {"columns": list(rows.columns), "data": rows.to_dict(orient="split")["data"]}
    if isinstance(frame.columns, pd.RangeIndex):
        del split["columns"]
    return {INPUT: canonical_json(split), SERVING: canonical_json({"dataframe_split": split})}


def info() -> dict[str, str]:
    """Return the `saved_input_example_info` block of an MLmodel file."""
    return {"artifact_path": INPUT, "serving_input_path": SERVING, "type": "dataframe", "pandas_orient": "split"}
