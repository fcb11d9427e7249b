"""Names and identities: what a thing may be called and how its id follows from the caller's coordinates."""

from __future__ import annotations

import re
import secrets
import unicodedata
from dataclasses import dataclass

from penstock.errors import InvalidValue
from penstock.model.canonical import digest
from penstock.model.names import is_disguised

_NAME = re.compile(r"[^\W_][\w.\- ]*(?:/[^\W_][\w.\- ]*)*", re.UNICODE)
_MODEL = re.compile(r"[^\W_][\w.\-]*", re.UNICODE)
_SIMPLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]*")
_RUN_ID = re.compile(r"[0-9a-f]{32}")
_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")
_METRIC = re.compile(r"[\w][\w.\-: /@%+=]*", re.UNICODE)
_MAX_NAME = 250

NAMESPACE = "default"
WORKSPACE = "default"


def _check(field: str, value: object, pattern: re.Pattern[str], expected: str) -> str:
    if (
        not isinstance(value, str)
        or len(value) > _MAX_NAME
        or not pattern.fullmatch(value)
        or value != value.strip()
        or value != unicodedata.normalize("NFC", value)
        or ".." in value
    ):
        raise InvalidValue(field, value, f"{expected}, at most {_MAX_NAME} characters")
    return value


def check_experiment_name(value: object) -> str:
    """Return `value` if it names an experiment: letters, digits, `_ . -` and spaces, in parts joined by `/`."""
    return _check("experiment name", value, _NAME, "letters, digits, '_', '.', '-' in parts joined by '/'")


def check_model_name(value: object) -> str:
    """Return `value` if it names a registered model: letters of one script, ASCII digits and `_ . -`.

    What looks like another name is refused: compatibility forms (full-width letters), mixed scripts, foreign letters
    that print like Latin ones, and the form of a logged model's id.
    """
    name = _check("model name", value, _MODEL, "letters, digits, '_', '.', '-'")
    plain = unicodedata.normalize("NFKC", name) == name and all(c.isascii() or c.isalpha() for c in name)
    if not plain or is_disguised(name):
        raise InvalidValue("model name", ascii(name), "letters of one script that cannot be taken for others")
    if _MODEL_ID.fullmatch(name):
        raise InvalidValue("model name", name, "a name that does not look like the id of a logged model")
    return name


def check_alias_name(value: object) -> str:
    """Return `value` if it names an alias: as a model name, but not `latest` and not a plain number."""
    name = _check("alias", value, _SIMPLE, "letters, digits, '_', '.', '-'")
    if name.lower() == "latest" or re.fullmatch(r"v?\d+", name):
        raise InvalidValue("alias", name, "a name that is neither 'latest' nor a version number")
    return name


def check_step_name(value: object) -> str:
    """Return `value` if it names a step of a run."""
    return _check("step name", value, _NAME, "letters, digits, '_', '.', '-' in parts joined by '/'")


def check_metric_name(value: object) -> str:
    """Return `value` if it names a metric, param or tag (MLflow's alphabet)."""
    return _check("name", value, _METRIC, "letters, digits and '_ . - : / @ % + =' or spaces")


def check_artifact_path(value: object) -> str:
    """Return `value` if it is a relative, normalised, forward-slash path inside a run's artifacts.

    This is the one place where an artifact path is judged; everything behind it uses the checked value.
    """
    expected = "a relative path without '..', '.', empty parts, control characters, ':' or backslash"
    if not isinstance(value, str) or not value or len(value) > 1000:
        raise InvalidValue("artifact path", value, expected)
    parts = value.split("/")
    if any(part in {"", ".", ".."} or len(part) > 255 or part != part.strip() for part in parts):
        raise InvalidValue("artifact path", value, expected)
    if any(unicodedata.category(c) in {"Cc", "Cf", "Cs"} or c in "\\:" for c in value):
        raise InvalidValue("artifact path", value, expected)
    if unicodedata.normalize("NFKC", value) != value:
        raise InvalidValue("artifact path", value, "a path in normalised Unicode (NFKC)")
    return value


def check_run_id(value: object) -> str:
    """Return `value` if it has the form of a run id: 32 lower-case hexadecimal characters."""
    return _check("run id", value, _RUN_ID, "32 lower-case hexadecimal characters")


def check_model_id(value: object) -> str:
    """Return `value` if it has the form of a logged model's id: `m-` and 32 hexadecimal characters."""
    return _check("model id", value, _MODEL_ID, "'m-' and 32 lower-case hexadecimal characters")


@dataclass(frozen=True)
class RunKey:
    """Which run this is, in the caller's own coordinates: a retry with the same key finds the same run.

    `pipeline` is the DAG's, flow's or script's name; `partition` is the caller's: a month, a data interval, a CI
    commit. Where a key is asked for, a plain string means the partition, in the pipeline named by the experiment.
    """

    pipeline: str
    partition: str
    namespace: str = NAMESPACE

    def __post_init__(self) -> None:
        for field in ("namespace", "pipeline", "partition"):
            value = getattr(self, field)
            if not isinstance(value, str) or not value.strip() or len(value) > _MAX_NAME:
                raise InvalidValue(f"run key {field}", value, f"a non-empty string of at most {_MAX_NAME} characters")
            if any(unicodedata.category(c) in {"Cc", "Cf", "Cs"} for c in value):
                raise InvalidValue(f"run key {field}", value, "text without control characters")

    @classmethod
    def of(cls, key: RunKey | str, experiment: str) -> RunKey:
        """Return `key` as a `RunKey`; a string is a partition of the pipeline named by `experiment`."""
        return key if isinstance(key, RunKey) else cls(pipeline=experiment, partition=key)

    def __str__(self) -> str:
        prefix = "" if self.namespace == NAMESPACE else f"{self.namespace}:"
        return f"{prefix}{self.pipeline}[{self.partition}]"


def derived_id(kind: str, *coordinates: object) -> str:
    """32 hexadecimal characters that follow from `kind` and `coordinates` alone (law L1).

    The same caller asking for the same thing gets the same id, in any process and after any crash.
    """
    return digest([kind, *coordinates])[:32]


def run_id_of(workspace: str, key: RunKey) -> str:
    """Return the id of the run with this key."""
    return derived_id("run", workspace, key.namespace, key.pipeline, key.partition)


def new_token() -> str:
    """Return a fencing token: random, made by the store for one attempt, never an identity."""
    return secrets.token_hex(16)


def model_id_of(run_id: str, name: str, payload_digest: str) -> str:
    """Return the id of the model with this content logged under this name in this run."""
    return "m-" + derived_id("model", run_id, name, payload_digest)
