"""Taking recorded files out of the artifact store into a folder, and nowhere else.

Records say where in the folder a file stands, and somebody with a shell may have changed them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from penstock.errors import Corrupted, InvalidValue
from penstock.model.ids import check_artifact_path
from penstock.model.versions import FileEntry
from penstock.ports import ArtifactStore


def fetch_files(artifacts: ArtifactStore, files: Sequence[FileEntry], folder: Path, of: str = "") -> None:
    """Fetch the files `of` a model into `folder`, each verified; `Corrupted` names the file that is not as stored.

    It is raised before the first is fetched if a path leads out of the folder.
    """
    wanted = [(file.sha256, folder / _checked(file.path)) for file in files]
    try:
        artifacts.fetch_all(wanted)
    except Corrupted as error:
        odd = next((file for file in files if file.sha256 == error.name), None)
        if odd is None or not of:
            raise
        raise Corrupted("file", f"{odd.path} of {of}", f"the bytes of sha256 {odd.sha256}", error.found) from error


def _checked(path: str) -> str:
    try:
        return check_artifact_path(path)
    except InvalidValue as error:
        raise Corrupted("file's path", path, "a relative path in the model's folder", "one that is not") from error
