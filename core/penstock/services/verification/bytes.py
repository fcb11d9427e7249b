"""Reading every file of every version, and computing each version's payload again from them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from penstock.errors import Corrupted
from penstock.model.versions import ModelVersion, VersionState
from penstock.services.fetching import fetch_files
from penstock.services.verification.finding import Finding
from penstock.services.wiring import Wiring


def read_bytes(wiring: Wiring) -> Iterator[Finding]:
    """Yield what of the versions' bytes is not as it was written; deleted versions' are not read."""
    seen: set[str] = set()
    for model in wiring.store.list_models():
        for version in wiring.store.list_versions(model.name):
            if version.state is not VersionState.DELETED and version.model_id not in seen:
                seen.add(version.model_id)
                yield from _payload(wiring, version)


def _payload(wiring: Wiring, version: ModelVersion) -> Iterator[Finding]:
    with tempfile.TemporaryDirectory(prefix="penstock-") as scratch:
        damaged = False
        for file in wiring.store.get_model(version.model_id).files:
            try:
                fetch_files(wiring.artifacts, [file], Path(scratch))
            except Corrupted as error:
                damaged = True
                yield Finding("bytes", f"{version.uri} {file.path}", str(error))
        found = "" if damaged else wiring.model_format().payload_digest(Path(scratch))
    if not damaged and found != version.payload_digest:
        yield Finding("payload", version.uri, f"its files' payload is {found}, but {version.payload_digest} was judged")
