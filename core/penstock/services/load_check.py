"""Seeing once that a version loads and predicts, before it may get an alias; a rollback relies on that."""

from __future__ import annotations

import tempfile
from pathlib import Path

from penstock.errors import Corrupted, LoadCheckFailed, MissingExtra
from penstock.model.load_checks import LoadCheck
from penstock.model.versions import ModelVersion
from penstock.ports.model_trial import Trial
from penstock.services.fetching import fetch_files
from penstock.services.wiring import Wiring

TIMEOUT_S = 120.0


def ensure_loads(wiring: Wiring, version: ModelVersion) -> LoadCheck:
    """Return the check that says the version loads, trying it now if none does; `LoadCheckFailed` if it does not.

    A version that passed is not tried again: it is immutable, and so are its bytes.
    """
    checks = wiring.store.list_load_checks(version.model, version.version)
    last = checks[-1] if checks else None
    if last is None or not last.passed:
        last = check_version(wiring, version)
    if not last.passed:
        hint = "It was given no alias. Mend that, register the model again, or log it with an input_example"
        raise LoadCheckFailed(version.uri, last.error, hint)
    return last


def check_version(wiring: Wiring, version: ModelVersion, timeout_s: float = TIMEOUT_S) -> LoadCheck:
    """Load a version and predict once in a clean process, and put what was seen on record, passed or not.

    Every file's checksum is verified first. `MissingExtra` where the libraries are not installed here, and
    `StoreUnavailable` where its bytes cannot be reached: those say nothing about the version.
    """
    number = len(wiring.store.list_load_checks(version.model, version.version)) + 1
    trial = _tried(wiring, version, timeout_s)
    if trial.missing_extra:
        raise MissingExtra(f"checking that {version.uri} loads", trial.missing_extra)
    check = LoadCheck(
        model=version.model,
        version=version.version,
        number=number,
        passed=not trial.error,
        error=trial.error,
        facts=trial.facts,
        actor=wiring.actor.to_json(),
    )
    return wiring.store.record_load_check(check)


def _tried(wiring: Wiring, version: ModelVersion, timeout_s: float) -> Trial:
    logged = wiring.store.get_model(version.model_id)
    with tempfile.TemporaryDirectory(prefix="penstock-") as scratch:
        folder = Path(scratch) / "model"
        folder.mkdir()
        try:
            fetch_files(wiring.artifacts, logged.files, folder)
        except Corrupted as error:
            return Trial(str(error))
        return wiring.trial(folder, version.uri, timeout_s)
