"""Trying a saved model in a clean process: loaded from its bytes, it predicts a few rows, and says where and on what.

The process is a clean one (`clean_process`), not the one that trained the model; what runs in it is
`python -m penstock.models.trial FOLDER URI ANSWER`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.errors import MissingExtra, PenstockError
from penstock.models import clean_process
from penstock.ports.model_trial import Trial

if TYPE_CHECKING:
    from penstock.ports import Predictor

_EXAMPLE, _SIGNATURE, _COUNT, _NOTHING = "its input example", "its signature", "its number of features", "nothing"
_MADE_UP: dict[str, Any] = {"boolean": False, "integer": 0, "long": 0, "float": 0.0, "double": 0.0, "string": ""}


def in_clean_process(folder: Path, uri: str, timeout_s: float) -> Trial:
    """Try the model in `folder` in a new interpreter, which is killed after `timeout_s`."""
    with tempfile.TemporaryDirectory(prefix="penstock-") as scratch:
        answer = Path(scratch) / "answer.json"
        arguments = [str(folder.resolve()), uri, str(answer)]
        with (Path(scratch) / "stderr").open("w+b") as stderr:  # a pipe could fill up
            child = clean_process.start("penstock.models.trial", arguments, stderr=stderr, cwd=scratch)
            try:
                code = child.wait(timeout_s)
            except subprocess.TimeoutExpired:
                return Trial(f"it took longer than {timeout_s:g} s to load and predict")
            finally:
                clean_process.end(child)
            if answer.exists():
                return Trial(**json.loads(answer.read_text(encoding="utf-8")))
            stderr.seek(max(0, stderr.seek(0, os.SEEK_END) - 500))
            said = " ".join(stderr.read().decode("utf-8", "replace").split())
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return Trial(f"its process {how} before it had predicted" + (f": {said}" if said else ""))


def examine(folder: Path, uri: str) -> Trial:
    """Load the model in `folder` and predict once, in this process."""
    facts: dict[str, Any] = {"python": ".".join(map(str, sys.version_info[:3])), "platform": sys.platform}
    try:
        from penstock.models.format import MlmodelFormat

        started = time.perf_counter()
        predictor = MlmodelFormat().load(folder, uri=uri)
        facts |= {"load_s": round(time.perf_counter() - started, 3), "packages": _packages()}
        facts |= _predicted(predictor, folder)
    except MissingExtra as error:
        return Trial(facts=facts, missing_extra=error.extra)
    except PenstockError as error:
        return Trial(" ".join(str(error).split())[:1000], facts)
    except Exception as error:  # noqa: BLE001 - whatever a model raises is the answer
        return Trial(f"{type(error).__name__}: {' '.join(str(error).split())}"[:1000], facts)
    return Trial(facts=facts)


def _predicted(predictor: Predictor, folder: Path) -> dict[str, Any]:
    rows, source = _rows(predictor, folder)
    if rows is None:
        return {"rows": 0, "rows_from": source}
    started = time.perf_counter()
    try:
        answered = len(predictor.predict(rows))
    except PenstockError as error:
        if source != _COUNT:
            raise
        # Zeros for features of unknown types prove nothing either way.
        return {"rows": 0, "rows_from": source, "not_predicted": str(error)[:500]}
    return {"rows": answered, "rows_from": source, "predict_s": round(time.perf_counter() - started, 3)}


def _rows(predictor: Predictor, folder: Path) -> tuple[Any, str]:
    """Return rows to predict and where they come from; None where nothing says what the model takes."""
    import pandas as pd

    from penstock.models import mlmodel

    content = mlmodel.content(folder)
    columns = _input_columns(content.get("signature"))
    path = _example_path(content, folder)
    if path is not None:
        split = json.loads(path.read_text(encoding="utf-8"))
        frame = pd.DataFrame(split["data"], columns=split.get("columns"))
        for column in columns:
            if column.get("type") == "datetime" and column.get("name") in frame.columns:
                frame[column["name"]] = pd.to_datetime(frame[column["name"]])
        return frame, _EXAMPLE
    if columns:
        values = [_made_up(column.get("type")) for column in columns]
        names = [column.get("name") for column in columns]
        return pd.DataFrame([values], columns=names if all(names) else None), _SIGNATURE
    count = getattr(getattr(predictor, "_estimator", None), "n_features_in_", None)
    if predictor.columns is not None:
        return pd.DataFrame([[0.0] * len(predictor.columns)], columns=list(predictor.columns)), _COUNT
    return (None, _NOTHING) if count is None else (pd.DataFrame([[0.0] * count]), _COUNT)


def _example_path(content: Mapping[str, Any], folder: Path) -> Path | None:
    from penstock.model.ids import check_artifact_path

    info = content.get("saved_input_example_info")
    if not isinstance(info, dict) or info.get("pandas_orient") != "split":
        return None
    path = folder / check_artifact_path(info.get("artifact_path"))
    return path if path.is_file() else None


def _input_columns(signature: Any) -> list[Mapping[str, Any]]:
    text = signature.get("inputs") if isinstance(signature, dict) else None
    columns = json.loads(text) if isinstance(text, str) else []
    return [] if any(column.get("type") == "tensor" for column in columns) else columns


def _made_up(kind: Any) -> Any:
    if kind == "datetime":
        import pandas as pd

        return pd.Timestamp(2000, 1, 1)
    return b"" if kind == "binary" else _MADE_UP.get(kind)


def _packages() -> dict[str, str]:
    names = ("sklearn", "skops", "numpy", "pandas", "scipy")
    return {name: sys.modules[name].__version__ for name in names if name in sys.modules}


def _main() -> None:
    folder, uri, answer = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    found = examine(folder, uri)
    unfinished = answer.with_suffix(".part")
    unfinished.write_text(json.dumps(found.__dict__), encoding="utf-8")
    os.replace(unfinished, answer)
    os._exit(0)  # a library's threads or exit handlers must not hold up the answer


if __name__ == "__main__":
    _main()
