"""A model's signature: which columns it takes and what it answers, in MLflow's column types."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types as kinds

from penstock.errors import InvalidValue

_OBJECT_TYPES = {"string": "string", "boolean": "boolean", "bytes": "binary", "empty": "string"} | {
    "integer": "long",
    "floating": "double",
    "mixed-integer-float": "double",
    "datetime64": "datetime",
    "datetime": "datetime",
    "date": "datetime",
}


@dataclass(frozen=True)
class Signature:
    """Columns taken and columns answered, each as MLflow's `{"type", "name", "required"}`."""

    inputs: tuple[Mapping[str, Any], ...]
    outputs: tuple[Mapping[str, Any], ...]

    @property
    def block(self) -> dict[str, str | None]:
        """The `signature` block of an MLmodel file: each part is a JSON string of a list."""
        return {"inputs": json.dumps(self.inputs), "outputs": json.dumps(self.outputs), "params": None}


def infer(example: pd.DataFrame, predictions: np.ndarray[Any, Any]) -> Signature:
    """Return the signature that `example` (rows, features) and its `predictions` (rows,) show.

    Types follow from dtypes, so the cost does not grow with cells; only `object` columns are looked into. A frame
    whose columns are not named by strings gives unnamed columns. `InvalidValue` names a column with no MLflow type.
    """
    return Signature(
        inputs=tuple(_column(example[name], name) for name in example.columns),
        outputs=(_column(pd.Series(predictions), None),),
    )


def columns_of(block: object) -> tuple[str, ...] | None:
    """Return the names of the input columns of an MLmodel `signature` block, in order.

    None when there is no signature, or its inputs are unnamed columns or tensors. `InvalidValue` for a block that is
    not a signature.
    """
    if block is None:
        return None
    if not isinstance(block, Mapping):
        raise InvalidValue("MLmodel signature", block, "a mapping")
    if block.get("inputs") is None:
        return None
    try:
        columns = json.loads(block["inputs"])
        tensors = [column for column in columns if column["type"] == "tensor"]
        names = [column.get("name") for column in columns]
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
        raise InvalidValue("MLmodel signature", block, "inputs as a JSON string of a list of columns") from error
    if tensors or not names or not all(isinstance(name, str) for name in names):
        return None
    if len(set(names)) != len(names):
        raise InvalidValue("MLmodel signature", names, "input columns with different names")
    return tuple(names)


def _column(values: pd.Series[Any], name: object) -> dict[str, Any]:
    column: dict[str, Any] = {"type": _type(values, name), "required": not bool(values.isna().any())}
    return column | {"name": name} if isinstance(name, str) else column


def _type(values: pd.Series[Any], name: object) -> str:
    dtype: Any = values.dtype
    if isinstance(dtype, pd.SparseDtype):
        dtype = dtype.subtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _type(dtype.categories.to_series(), name)
    if kinds.is_object_dtype(dtype):
        found = _OBJECT_TYPES.get(kinds.infer_dtype(values, skipna=True))
    elif kinds.is_bool_dtype(dtype):
        found = "boolean"
    elif kinds.is_datetime64_any_dtype(dtype):
        found = "datetime"
    elif kinds.is_integer_dtype(dtype):
        # MLflow's integer is 32 bits signed, its long 64 bits signed; uint64 fits neither.
        bits = 8 * dtype.itemsize + kinds.is_unsigned_integer_dtype(dtype)
        found = "integer" if bits <= 32 else "long" if bits <= 64 else None
    elif kinds.is_float_dtype(dtype):
        found = "float" if dtype.itemsize <= 4 else "double" if dtype.itemsize == 8 else None
    else:
        found = "string" if kinds.is_string_dtype(dtype) else None
    if found is None:
        raise InvalidValue(
            "signature", f"{'predictions' if name is None else name}: {dtype}", "a type that MLflow has a name for"
        )
    return found
