"""What can be measured without being a logged model: predictions made already, a function, an MLmodel folder.

An evaluation is always of a model on record, so each stands as a model of its own in the run, sealed without files. Its
payload digest identifies the predictions, the function's code or the folder's content; it can never be registered.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penstock.errors import InvalidValue, NotAuthorized, NotFound
from penstock.model.canonical import digest
from penstock.model.ids import derived_id
from penstock.model.uris import FolderUri, parse_model_uri
from penstock.model.versions import LoggedModel, manifest_digest
from penstock.services.references import id_in
from penstock.services.wiring import Wiring

PREDICTIONS, FUNCTION, FOLDER = "predictions", "function", "folder"
FLAVORS = (PREDICTIONS, FUNCTION, FOLDER)


def find_stand_in(wiring: Wiring, model: object, data: Mapping[str, Any], run: object) -> LoggedModel | None:
    """Return the model that stands for `model` in `run`; None if it is a reference to a logged model.

    `model` None means the predictions in the data, whose fingerprint is `data`.
    """
    found = _identity(wiring, model, data)
    if found is None:
        return None
    flavor, identity = found
    if run is None:
        hint = "Pass run=<the run this evaluation belongs to>: only a logged model has one of its own"
        raise InvalidValue("run", None, f"a run, as what is measured is a {flavor}", hint)
    run_id = id_in(run, "run_id")
    payload = digest([flavor, identity])
    return LoggedModel(
        model_id=f"m-{derived_id('stand-in', run_id, payload)}",
        run_id=run_id,
        name=f"{flavor}-{payload[:12]}",
        payload_digest=payload,
        manifest_digest=manifest_digest(()),
        flavor=flavor,
        size_bytes=0,
        facts={"stands_for": flavor},
    )


def _identity(wiring: Wiring, model: object, data: Mapping[str, Any]) -> tuple[str, Any] | None:
    if model is None:
        return PREDICTIONS, dict(data)
    if isinstance(model, str):
        parsed = parse_model_uri(model)
        if not isinstance(parsed, FolderUri):
            return None
        folder = Path(parsed.path)
        if not folder.is_dir():
            raise NotFound("model folder", model, "A model URI is runs:/..., models:/... or an existing folder")
        return FOLDER, wiring.model_format().payload_digest(folder)
    if callable(model) and not hasattr(model, "uri"):
        return FUNCTION, _code_digest(model)
    return None


def _code_digest(function: Any) -> str:
    """Return the SHA-256 of a function's source, or of its class's; what it calls or closes over is not part of it."""
    made = function if inspect.isroutine(function) else type(function)
    try:
        text = inspect.getsource(made)
    except (OSError, TypeError):
        code = getattr(made, "__code__", None)
        if code is None:
            raise InvalidValue("model", repr(function), "a function whose code can be read") from None
        text = repr((code.co_code, code.co_names, code.co_consts))
    return hashlib.sha256(f"{getattr(made, '__qualname__', '')}\n{text}".encode()).hexdigest()


def check_registrable(logged: LoggedModel, uri: str) -> None:
    """`NotAuthorized` for what stands for a model but has no bytes to load."""
    if logged.flavor in FLAVORS:
        hint = "Log the model itself (run.log_model), evaluate and decide on that"
        raise NotAuthorized(f"registering {uri}", f"it is no model but stands for a {logged.flavor}", hint)
