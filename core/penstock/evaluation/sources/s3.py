"""Data on S3 and S3-compatible stores, by the settings that the artifact store has, too.

`PENSTOCK_S3_ENDPOINT` (else the AWS variables for an endpoint) names a store that is not Amazon's; its buckets are
addressed in the path. Region and credentials come from the AWS variables, profile or role.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlsplit

import pyarrow.fs

from penstock.errors import InvalidValue, NotFound, StoreUnavailable

SCHEME = "s3://"

_ENDPOINTS = ("PENSTOCK_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
_TRIES = 5
_CONNECT_TIMEOUT_S, _REQUEST_TIMEOUT_S = 5, 30

# As pyarrow words the answers of a store: what is refused will be refused again, what did not arrive may yet.
_REFUSED = ("ACCESS_DENIED", "INVALID_ACCESS_KEY", "SIGNATURE_DOES_NOT_MATCH", "INVALID_SIGNATURE", "EXPIRED_TOKEN")
_PASSING = ("NETWORK_CONNECTION", "SLOW_DOWN", "SERVICE_UNAVAILABLE", "THROTTLING", "INTERNAL_FAILURE", "TIMEOUT")


def filesystem(bucket: str, environ: Mapping[str, str] = os.environ) -> pyarrow.fs.FileSystem:
    """Return the store as a filesystem whose paths begin with the bucket. `InvalidValue` for an unusable endpoint."""
    endpoint = next((environ[name] for name in _ENDPOINTS if environ.get(name)), "")
    region = next((environ[name] for name in _REGIONS if environ.get(name)), "")
    parts = urlsplit(endpoint)
    if endpoint and (parts.scheme not in {"http", "https"} or not parts.hostname or "@" in endpoint):
        expected = "http://host:port or https://host:port"
        raise InvalidValue("S3 endpoint", "...", expected, "Credentials are no part of it")  # which may be in it
    if not endpoint and not region:
        region = _region_of(bucket)
    return _connected(parts.scheme or "https", parts.netloc, region or "us-east-1", os.getpid())


@lru_cache(maxsize=8)
def _connected(scheme: str, endpoint: str, region: str, process: int) -> pyarrow.fs.FileSystem:
    """By process: connections do not survive a fork."""
    return pyarrow.fs.S3FileSystem(
        scheme=scheme,
        endpoint_override=endpoint or None,
        region=region,
        connect_timeout=_CONNECT_TIMEOUT_S,
        request_timeout=_REQUEST_TIMEOUT_S,
        retry_strategy=pyarrow.fs.AwsStandardS3RetryStrategy(max_attempts=_TRIES),
    )


def _region_of(bucket: str) -> str:
    try:
        return str(pyarrow.fs.resolve_s3_region(bucket))
    except OSError as error:
        refuse(error, f"{SCHEME}{bucket}")
        return ""


def refuse(error: Exception, shown: str) -> None:
    """Raise what a store's answer means for data at `shown`, where it is the store's and not the data's fault."""
    text = str(error)
    if isinstance(error, FileNotFoundError) or "NO_SUCH_BUCKET" in text or "NO_SUCH_KEY" in text:
        raise NotFound("data", shown) from None
    if any(code in text for code in _REFUSED):
        hint = "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or AWS_PROFILE, and that they may list and read it"
        code = next(code for code in _REFUSED if code in text)
        raise InvalidValue("S3 permission", code, f"the right to read {shown}", hint) from None
    if any(code in text for code in _PASSING):
        raise StoreUnavailable(shown, next(code for code in _PASSING if code in text)) from None
