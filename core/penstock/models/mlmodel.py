"""The MLmodel file: MLflow's description of a model's folder, in YAML."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from penstock.errors import InvalidValue, NotFound
from penstock.model.ids import check_artifact_path
from penstock.models import requirements
from penstock.models.signature import columns_of

FILE = "MLmodel"
MAX_BYTES = 256 * 1024
MAX_DEPTH = 32  # of mappings and lists in each other; real ones have 5

# libyaml reads ten times faster than Python does, but overflows the stack of the whole process on deep nesting.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Mlmodel:
    """What loading needs of an MLmodel file: a checked path in the folder, and how to read what is there."""

    model_path: str
    serialization_format: str
    sklearn_version: str | None
    trusted_types: tuple[str, ...]
    columns: tuple[str, ...] | None


def describe(
    model_path: str,
    *,
    sklearn_version: str,
    trusted_types: tuple[str, ...],
    signature: Mapping[str, Any] | None,
    input_example: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return an MLmodel's content for a scikit-learn model in skops format, without run id, model id and time."""
    content: dict[str, Any] = {
        "flavors": {
            "python_function": {
                "loader_module": "mlflow.sklearn",
                "model_path": model_path,
                "predict_fn": "predict",
                "python_version": platform.python_version(),
                "env": {"conda": requirements.CONDA, "virtualenv": requirements.PYTHON_ENV},
            },
            "sklearn": {
                "pickled_model": model_path,
                "serialization_format": "skops",
                "sklearn_version": sklearn_version,
                "code": None,
                "skops_trusted_types": list(trusted_types) or None,
            },
        }
    }
    if signature is not None:
        content["signature"] = dict(signature)
    if input_example is not None:
        content["saved_input_example_info"] = dict(input_example)
    return content


_IDENTITY = ("run_id", "model_id", "model_uuid", "utc_time_created")


def write(folder: Path, content: Mapping[str, Any], *, run_id: str, model_id: str) -> None:
    """Write `content` with its identity and the present time as the folder's MLmodel file."""
    identity = {
        "run_id": run_id,
        "model_id": model_id,
        "model_uuid": model_id,
        "utc_time_created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
    }
    (folder / FILE).write_text(yaml.safe_dump({**content, **identity}, sort_keys=False), encoding="utf-8")


def content(folder: Path) -> dict[str, Any]:
    """Return the folder's MLmodel file without its identity and time, as `describe` made it."""
    return {name: value for name, value in _parse(folder / FILE).items() if name not in _IDENTITY}


def read(folder: Path) -> Mlmodel:
    """Read the folder's MLmodel file, written by Penstock or by MLflow.

    `NotFound` when there is none; `InvalidValue` when it is too large, not YAML, has no scikit-learn flavor or names a
    file outside the folder.
    """
    content = _parse(folder / FILE)
    flavors = _block(content, "flavors")
    if "sklearn" not in flavors:
        raise InvalidValue("MLmodel flavors", sorted(map(str, flavors)), "the sklearn flavor among them")
    sklearn = _block(flavors, "sklearn")
    for_pyfunc = _block(flavors, "python_function").get("model_path")
    if for_pyfunc is not None:
        check_artifact_path(for_pyfunc)  # not read here, but others that are given this folder will
    trusted = sklearn.get("skops_trusted_types") or []
    if not isinstance(trusted, list) or not all(isinstance(name, str) for name in trusted):
        raise InvalidValue("MLmodel skops_trusted_types", trusted, "a list of type names")
    return Mlmodel(
        model_path=check_artifact_path(sklearn.get("pickled_model")),
        serialization_format=_text(sklearn, "serialization_format") or "pickle",  # as MLflow reads it
        sklearn_version=_text(sklearn, "sklearn_version"),
        trusted_types=tuple(trusted),
        columns=columns_of(content.get("signature")),
    )


def _parse(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise NotFound("file", FILE, "A model's folder has an MLmodel file; is this one?")
    with path.open("rb") as file:
        text = file.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise InvalidValue(FILE, f"{path.stat().st_size} bytes", f"at most {MAX_BYTES} bytes")
    try:
        _check_depth(text)
        content = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader: it constructs plain values only
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidValue(FILE, text[:80], "YAML", type(error).__name__) from error
    if not isinstance(content, dict):
        raise InvalidValue(FILE, text[:80], "a YAML mapping")
    return content


def _check_depth(text: bytes) -> None:
    """`ValueError` for nesting that nobody means; events come one by one, whatever their depth."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ValueError(f"nested more than {MAX_DEPTH} deep")


def _block(parent: Mapping[str, Any], key: str) -> dict[str, Any]:
    block = parent.get(key, {})
    if not isinstance(block, dict):
        raise InvalidValue(f"MLmodel {key}", block, "a mapping")
    return block


def _text(block: Mapping[str, Any], key: str) -> str | None:
    value = block.get(key)
    if value is not None and not isinstance(value, str):
        raise InvalidValue(f"MLmodel {key}", value, "a string")
    return value
