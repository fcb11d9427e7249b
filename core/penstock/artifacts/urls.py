"""Where bytes live, parsed once: a local folder, or `s3://bucket[/prefix]`. Never printed with a secret.

How an S3 store is reached (endpoint, region, addressing, keys) is no part of the location. Keys come from boto3's own
chain (environment, profile, role) unless an orchestrator's connection gives them.
"""

from __future__ import annotations

import ipaddress
import os
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from penstock.errors import InvalidValue

ENDPOINT_VARIABLE = "PENSTOCK_S3_ENDPOINT"
DEFAULT_DEADLINE_S = 60.0

_EXPECTED = "a local folder, or s3://bucket or s3://bucket/prefix"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
# Written for another system (a drive, a share) or as a URL of some kind: as a folder's name it would be a mistake.
_FOREIGN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|\\\\")
_PREFIX_BYTES = 900  # of the 1,024 that S3 gives a key


@dataclass(frozen=True)
class S3Location:
    """A bucket and the prefix below which objects lie."""

    bucket: str
    prefix: str = ""

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}" if self.prefix else f"s3://{self.bucket}"

    def key(self, *parts: str) -> str:
        """Return the key of what is named `parts` below this location."""
        return "/".join((self.prefix, *parts) if self.prefix else parts)


@dataclass(frozen=True)
class S3Options:
    """How an S3 store is reached.

    With an `endpoint` (anything but Amazon's own) buckets are addressed in the path, since few others have a name for
    each bucket. `deadline_s` bounds how long one request is tried again. Without an access key, boto3 finds its own
    (environment, profile, role). `InvalidValue` for an endpoint that is not a plain http(s) URL, or for half a key.
    """

    endpoint: str | None = None
    region: str | None = None
    addressing: str = ""
    deadline_s: float = DEFAULT_DEADLINE_S
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.endpoint is not None:
            _check_endpoint(self.endpoint)
        has_id, has_secret = bool(self.access_key_id), bool(self.secret_access_key)
        if has_id != has_secret or (self.session_token and not has_id):
            given = "the secret alone" if has_secret else "the id alone" if has_id else "a session token alone"
            raise InvalidValue("S3 access key", given, "an id and its secret, or neither")
        if self.addressing not in {"", "auto", "path", "virtual"}:
            raise InvalidValue("S3 addressing", self.addressing, "auto, path or virtual")

    @property
    def addressing_style(self) -> str:
        """The addressing in force."""
        return self.addressing or ("path" if self.endpoint else "auto")

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> S3Options:
        """Read `PENSTOCK_S3_ENDPOINT` (else the AWS variables for an endpoint) and `AWS_REGION`."""
        names = (ENDPOINT_VARIABLE, "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
        endpoint = next((environ[name] for name in names if environ.get(name)), None)
        return cls(endpoint, environ.get("AWS_REGION") or None)


def parse_artifact_location(given: str | Path) -> Path | S3Location:
    """Return the folder or the S3 location that `given` names; `InvalidValue` for anything else."""
    if isinstance(given, Path):
        return given
    scheme, separator, rest = given.partition("://")
    if not separator:
        if foreign := _FOREIGN.match(given):  # the rest is not shown: it may hold keys
            raise InvalidValue("artifacts", f"{foreign[0]}...", _EXPECTED)
        if not given or any(unicodedata.category(c) in {"Cc", "Cf", "Cs"} for c in given):
            raise InvalidValue("artifacts", given, _EXPECTED)
        return Path(given)
    if scheme != "s3" or any(c in rest for c in "@?#;"):
        # The text is not shown: it may hold keys or a signature.
        raise InvalidValue("artifacts", f"{scheme}://...", _EXPECTED, "Options and credentials are no part of it")
    bucket, _, prefix = rest.removesuffix("/").partition("/")
    if not _BUCKET.fullmatch(bucket) or not _is_prefix(prefix):
        raise InvalidValue("artifacts", given, _EXPECTED)
    return S3Location(bucket, prefix)


def _is_prefix(prefix: str) -> bool:
    if not prefix:
        return True
    if len(prefix.encode(errors="replace")) > _PREFIX_BYTES or "\\" in prefix:
        return False
    if any(unicodedata.category(c).startswith("C") for c in prefix):
        return False
    return not {"", ".", ".."} & set(prefix.split("/"))


def _check_endpoint(text: str) -> None:
    expected = "http://host:port or https://host:port"
    try:
        parts = urlsplit(text)
        plain = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        plain = False
    if (
        not plain
        or any(c in text for c in "@?#;\\")
        or any(c.isspace() for c in text)
        or _is_link_local(parts.hostname)
    ):
        # Not shown: a name and a password may stand before the host.
        raise InvalidValue("S3 endpoint", "...", expected, "Credentials are no part of it")


def _is_link_local(host: str | None) -> bool:
    """Return whether no store can be there: cloud machines ask such an address for their own credentials."""
    try:
        return ipaddress.ip_address(host or "").is_link_local
    except ValueError:
        return False
