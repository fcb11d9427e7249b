"""Model URIs, parsed once and in one place; everything behind uses the parsed value.

runs:/<run id>/<model name>      a model logged in a run
models:/<name>/<version>         a registered version
models:/<name>/latest            the version with the highest number
models:/<name>@<alias>           the version an alias points to
models:/<name>/<stage>           the version in a stage (Production, Staging): as its alias
models:/m-<32 hex>               a logged model by its id
/a/folder, ./a/folder            a folder in the MLmodel layout
"""

from __future__ import annotations

from dataclasses import dataclass

from penstock.errors import InvalidValue
from penstock.model.ids import (
    check_alias_name,
    check_artifact_path,
    check_model_id,
    check_model_name,
    check_run_id,
)

_EXPECTED = "runs:/<run id>/<model>, models:/<name>/<version>, models:/<name>@<alias> or a folder"
# Of the stages people know, two point to a version, as aliases do (`model.stages`).
_STAGES = {"production": "Production", "staging": "Staging"}


@dataclass(frozen=True)
class RunModelUri:
    """`runs:/<run id>/<model name>`."""

    run_id: str
    name: str

    def __str__(self) -> str:
        return f"runs:/{self.run_id}/{self.name}"


@dataclass(frozen=True)
class LoggedModelUri:
    """`models:/m-<32 hex>`."""

    model_id: str

    def __str__(self) -> str:
        return f"models:/{self.model_id}"


@dataclass(frozen=True)
class VersionUri:
    """`models:/<name>/<version>`; `version` is None for `latest`."""

    model: str
    version: int | None

    def __str__(self) -> str:
        return f"models:/{self.model}/{'latest' if self.version is None else self.version}"


@dataclass(frozen=True)
class AliasUri:
    """`models:/<name>@<alias>`."""

    model: str
    alias: str

    def __str__(self) -> str:
        return f"models:/{self.model}@{self.alias}"


@dataclass(frozen=True)
class FolderUri:
    """A folder of the local machine in the MLmodel layout."""

    path: str

    def __str__(self) -> str:
        return self.path


ModelUri = RunModelUri | LoggedModelUri | VersionUri | AliasUri | FolderUri


def parse_model_uri(text: object) -> ModelUri:
    """Parse a model URI; `InvalidValue` says which forms there are."""
    if not isinstance(text, str) or not text or "\0" in text:
        raise InvalidValue("model URI", text, _EXPECTED)
    scheme, colon, rest = text.partition(":/")
    if not colon:
        return FolderUri(text)
    if scheme == "runs":
        run_id, slash, name = rest.partition("/")
        if not slash:
            raise InvalidValue("model URI", text, _EXPECTED)
        return RunModelUri(check_run_id(run_id), check_artifact_path(name))
    if scheme == "models":
        if "@" in rest:
            name, _, alias = rest.partition("@")
            return AliasUri(check_model_name(name), check_alias_name(alias))
        name, slash, version = rest.partition("/")
        if not slash:
            return LoggedModelUri(check_model_id(name))
        if version == "latest":
            return VersionUri(check_model_name(name), None)
        if version.lower() in _STAGES:
            return AliasUri(check_model_name(name), _STAGES[version.lower()])
        if version.isascii() and version.isdigit() and 0 < len(version) < 10 and int(version) > 0:
            return VersionUri(check_model_name(name), int(version))
    raise InvalidValue("model URI", text, _EXPECTED)
