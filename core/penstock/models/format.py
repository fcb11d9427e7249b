"""Models as folders in the MLmodel layout: what MLflow writes and reads, in the skops format only."""

from __future__ import annotations

import hashlib
import logging
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.errors import InvalidValue, MissingExtra, Untrusted
from penstock.model.canonical import digest
from penstock.model.ids import model_id_of
from penstock.ports import Limits, PackagedModel

try:
    import sklearn
    from sklearn.base import BaseEstimator

    from penstock.models import input_example as examples
    from penstock.models import mlmodel, requirements, signature, skops_file
    from penstock.models.sklearn_predictor import SklearnPredictor, feature_names
except ModuleNotFoundError as error:
    raise MissingExtra("saving and loading models", "eval") from error

if TYPE_CHECKING:
    from penstock.models.sandbox.isolated import IsolatedPredictor

_log = logging.getLogger(__name__)

_MODEL = "model.skops"


class MlmodelFormat:
    """Saves scikit-learn estimators and pipelines, and loads what it or MLflow saved in the skops format."""

    def save(
        self,
        model: Any,
        folder: Path,
        *,
        run_id: str,
        name: str,
        input_example: Any = None,
        trusted_types: Sequence[str] = (),
    ) -> PackagedModel:
        """Write `model` into the empty `folder`, which is made if it is not there.

        `input_example` is a DataFrame or an array of shape (rows, features) that the model can predict; the signature
        follows from it. All is checked before anything is written. `InvalidValue` for what is not a scikit-learn
        model or an example of no use, `PredictionFailed` when the model cannot predict the example, `Untrusted` when
        the model holds types not listed in `trusted_types`.
        """
        if not isinstance(model, BaseEstimator) or not hasattr(model, "predict"):
            raise InvalidValue("model", type(model).__name__, "a scikit-learn estimator or pipeline with predict")
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InvalidValue("folder", str(folder), "an empty folder")

        content, needed = skops_file.dump(model, f"model {name!r}", trusted_types)
        files = {_MODEL: content}
        columns = feature_names(model)
        block = None
        if input_example is not None:
            frame = examples.as_frame(input_example, columns)
            answer = SklearnPredictor(model, name, _named(frame)).predict(frame.head(examples.MAX_ROWS))
            block = signature.infer(frame, answer).block
            columns = signature.columns_of(block)
            files |= _encoded(examples.files(frame))
        pins = requirements.pinned(
            [trusted.partition(".")[0] for trusted in needed] + (["pandas"] if columns is not None else [])
        )
        files |= _encoded(requirements.files(pins))
        description = mlmodel.describe(
            _MODEL,
            sklearn_version=sklearn.__version__,
            trusted_types=needed,
            signature=block,
            input_example=examples.info() if input_example is not None else None,
        )

        payload_digest = _payload_digest(description, files)
        model_id = model_id_of(run_id, name, payload_digest)
        for path, data in files.items():
            (folder / path).write_bytes(data)
        mlmodel.write(folder, description, run_id=run_id, model_id=model_id)
        facts = {
            "signature": block,
            "input_example": input_example is not None,
            "requirements": list(pins),
            "trusted_types": list(needed),
            "flavor_version": sklearn.__version__,
            "sklearn_version": sklearn.__version__,
            "python_version": platform.python_version(),
            "estimator": type(model).__name__,
            "columns": None if columns is None else list(columns),
        }
        return PackagedModel(model_id, payload_digest, "sklearn", facts)

    def payload_digest(self, folder: Path) -> str:
        """Compute a saved folder's payload digest again: its content without run id, model id and times."""
        paths = [path for path in folder.rglob("*") if path.is_file() and path != folder / mlmodel.FILE]
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
        return _payload_digest(mlmodel.content(folder), files)

    def load(self, folder: Path, *, uri: str, trusted_types: Sequence[str] | None = None) -> SklearnPredictor:
        """Load a folder whose bytes have been verified; `uri` names it in messages.

        The types recorded at save time are trusted when `trusted_types` is None; a list given by the caller replaces
        them. `Untrusted` for pickles, which can run any code, and for types nobody vouched for; `InvalidValue` for a
        folder that cannot be read or a model of another major version of scikit-learn.
        """
        description = mlmodel.read(folder)
        if description.serialization_format != "skops":
            raise Untrusted(
                f"model {uri!r}",
                (f"{description.serialization_format} (runs code while loading)",),
                "Save it again with run.log_model, or with MLflow's serialization_format='skops'",
            )
        _check_version(uri, description.sklearn_version)
        path = folder / description.model_path
        if not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
            raise InvalidValue("MLmodel pickled_model", description.model_path, "a file in the model's folder")
        trusted = description.trusted_types if trusted_types is None else trusted_types
        estimator = skops_file.load(path, f"model {uri!r}", trusted)
        if not isinstance(estimator, BaseEstimator) or not hasattr(estimator, "predict"):
            raise InvalidValue(f"model {uri!r}", type(estimator).__name__, "a scikit-learn estimator with predict")
        return SklearnPredictor(estimator, uri, description.columns)

    def load_isolated(
        self, folder: Path, *, uri: str, trusted_types: Sequence[str] | None = None, limits: Limits | None = None
    ) -> IsolatedPredictor:
        """Load a folder as `load` does, in a process of its own."""
        from penstock.models.sandbox.isolated import IsolatedPredictor

        return IsolatedPredictor(folder, uri=uri, trusted_types=trusted_types, limits=limits)


def _payload_digest(description: Mapping[str, Any], files: Mapping[str, bytes]) -> str:
    hashes = {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
    return digest({mlmodel.FILE: description, "files": hashes})


def _encoded(texts: dict[str, str]) -> dict[str, bytes]:
    return {path: text.encode() for path, text in texts.items()}


def _named(frame: Any) -> list[str] | None:
    return list(frame.columns) if all(isinstance(column, str) for column in frame.columns) else None


def _check_version(uri: str, recorded: str | None) -> None:
    found = sklearn.__version__
    if recorded is None or recorded == found:
        return
    if recorded.split(".")[0] != found.split(".")[0]:
        raise InvalidValue(f"model {uri!r}", f"scikit-learn {found}", f"scikit-learn=={recorded}, which wrote it")
    if recorded.split(".")[:2] != found.split(".")[:2]:
        _log.warning("model %r was written by scikit-learn %s; this is %s", uri, recorded, found)
