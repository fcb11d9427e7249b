"""Requests to an S3-compatible store: one client per process, passing faults tried again, refusals put into words.

Trying again is done here and not by botocore, so that one deadline bounds everything: connecting, waiting, and the
body of an answer that stops in the middle. What the store has refused (403 and the like) is never tried again.
"""

from __future__ import annotations

import base64
import hashlib
import os
import random
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, TypeVar

from penstock.artifacts.urls import S3Location, S3Options
from penstock.errors import InvalidValue, MissingExtra, NotFound, PenstockError, StoreUnavailable

CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 30
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0

_PASSING = {
    "SlowDown",
    "Throttling",
    "RequestTimeout",
    "RequestLimitExceeded",
    "TooManyRequests",
    "OperationAborted",
    "ConditionalRequestConflict",
    "BadDigest",  # bytes that were changed on their way; the next too
    "XAmzContentSHA256Mismatch",
}
_KEYS_REFUSED = {
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "TokenRefreshRequired",
    "InvalidSecurity",
}
_ELSEWHERE = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301"}
_DENIED = {"AccessDenied", "AllAccessDisabled", "AccountProblem", "UnauthorizedAccess", "403"}

T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """What the store answered: its fields, or the code of an error that the caller has asked to see."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""


class _Session:
    """What one process has: its client, made when first needed, and its locks."""

    def __init__(self) -> None:
        self.client: Any = None
        self.connecting = threading.Lock()
        self.large = threading.Lock()


class S3Client:
    """Requests to one bucket. Usable in several threads, and after a fork."""

    def __init__(self, location: S3Location, options: S3Options) -> None:
        self.location = location
        self.options = options
        self._sessions: dict[int, _Session] = {}

    def call(self, operation: str, seen: Collection[str] = (), **parameters: Any) -> Answer:
        """Make a request, trying again while the fault may pass; error codes in `seen` are answers.

        Raises `StoreUnavailable` after the deadline, `NotFound` for a bucket that is not there, `InvalidValue` for
        everything else that is refused.
        """

        def request(client: Any) -> Mapping[str, Any]:
            answer: Mapping[str, Any] = getattr(client, operation)(Bucket=self.location.bucket, **parameters)
            return answer

        return self._until_answered(request, seen)

    def read(self, key: str, limit: int, start: int = 0) -> Answer:
        """Return at most `limit` bytes of an object from `start` on: `content`, and the object's size as `total`.

        From 0 on it is the plain request for the whole object: a range of an empty object would be refused. The code
        is that of a missing object, or of one that ends before `start`.
        """
        parameters = {"Range": f"bytes={start}-{start + limit - 1}"} if start else {}

        def request(client: Any) -> Mapping[str, Any]:
            from botocore.exceptions import IncompleteReadError

            answer = client.get_object(Bucket=self.location.bucket, Key=key, **parameters)
            length = int(answer["ContentLength"])
            expected = min(limit, length)
            with closing(answer["Body"]) as body:
                content = body.read(expected)
                if len(content) != expected:
                    raise IncompleteReadError(actual_bytes=len(content), expected_bytes=expected)
            return {"content": content, "total": start + length}

        return self._until_answered(request, ("NoSuchKey", "404", "InvalidRange", "416"))

    def size_of(self, key: str) -> int | None:
        """Return an object's size; None where it is missing or the store will not say.

        An answer to HEAD has no body and so no reason: who may not ask learns it from the request that follows.
        """
        answer = self.call("head_object", ("400", "403", "404", "301"), Key=key)
        return None if answer.code else int(answer.fields["ContentLength"])

    def body(self, content: bytes) -> dict[str, Any]:
        """Return the parameters of a request that carries `content`, guarded so that the store sees what was changed.

        Over plain http the signature covers the SHA-256 of the body. Over https bodies go unsigned, and Content-MD5
        is what every store verifies that verifies anything.
        """
        if (self.options.endpoint or "https:").startswith("http:"):
            return {"Body": content}
        md5 = hashlib.md5(content, usedforsecurity=False).digest()
        return {"Body": content, "ContentMD5": base64.b64encode(md5).decode()}

    @property
    def large(self) -> threading.Lock:
        """Held while a large object travels, one at a time: memory stays bounded whatever the number of threads."""
        return self._session().large

    def _session(self) -> _Session:
        # By process: after a fork neither connections nor locks are the child's own. `setdefault` is atomic.
        return self._sessions.get(os.getpid()) or self._sessions.setdefault(os.getpid(), _Session())

    def _connected(self) -> Any:
        session = self._session()
        with session.connecting:
            if session.client is None:
                session.client = self._new_client()
            return session.client

    def _new_client(self) -> Any:
        try:
            from boto3.session import Session
            from botocore.config import Config
        except ModuleNotFoundError as error:
            raise MissingExtra("artifacts on S3", "s3") from error
        from botocore.exceptions import BotoCoreError

        config = Config(
            connect_timeout=min(CONNECT_TIMEOUT_S, self.options.deadline_s),
            read_timeout=min(READ_TIMEOUT_S, self.options.deadline_s),
            retries={"total_max_attempts": 1},
            max_pool_connections=16,
            tcp_keepalive=True,
            s3={"addressing_style": self.options.addressing_style},
            # Checksum trailers are Amazon's own: `body` guards what is sent.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        try:
            session = Session(
                aws_access_key_id=self.options.access_key_id,
                aws_secret_access_key=self.options.secret_access_key,
                aws_session_token=self.options.session_token,
            )
            region = self.options.region or session.region_name or "us-east-1"
            return session.client("s3", region_name=region, endpoint_url=self.options.endpoint, config=config)
        except BotoCoreError as error:
            raise self._refused(error) from None

    def _until_answered(self, request: Callable[[Any], Mapping[str, Any]], seen: Collection[str]) -> Answer:
        client = self._connected()
        from botocore.exceptions import BotoCoreError, ClientError

        started, tries = time.monotonic(), 0
        while True:
            tries += 1
            try:
                return Answer(request(client))
            except (BotoCoreError, ClientError) as error:
                if _code(error) in seen:
                    return Answer(code=_code(error))
                if not _may_pass(error):
                    # Without its cause: an answer to a refused signature quotes what was signed.
                    raise self._refused(error) from None
                cause = _code(error) or type(error).__name__
            longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**tries)
            pause = random.uniform(longest / 2, longest)  # noqa: S311 - only to spread the load
            waited = time.monotonic() - started
            if waited + pause > self.options.deadline_s:
                ended = f"gave up after {waited:.0f} s, {tries} tries (the last: {cause})"
                raise StoreUnavailable(str(self.location), ended)
            time.sleep(pause)

    def _refused(self, error: Exception) -> PenstockError:
        code, where = _code(error), str(self.location)
        if code == "NoSuchBucket":
            return NotFound("bucket", self.location.bucket, "NoSuchBucket: make it, or name another one")
        if not code and _names_credentials(error):
            hint = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run where a role gives them"
            return InvalidValue("S3 credentials", type(error).__name__, f"keys for {where}", hint)
        if code in _KEYS_REFUSED:
            hint = "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or renew the session they belong to"
            return InvalidValue("S3 credentials", code, f"keys that {where} accepts", hint)
        if code == "RequestTimeTooSkewed":
            return InvalidValue("clock", code, f"the time that {where} has, within 15 minutes", "Set this clock right")
        if code in _ELSEWHERE:
            expected = f"the one of bucket {self.location.bucket!r}, {_region(error)}"
            return InvalidValue("S3 region", f"{self.options.region or 'the default'} ({code})", expected)
        if code in _DENIED:
            hint = "Without the right to list the bucket, a missing object is answered like this too"
            expected = f"the right to read and write below {where}"
            return InvalidValue("S3 permission", code, expected, hint)
        return InvalidValue(f"request to {where}", code or type(error).__name__, "one that the store accepts")


def _code(error: Exception) -> str:
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def _may_pass(error: Exception) -> bool:
    from botocore import exceptions

    if isinstance(error, exceptions.ClientError):
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        not_ever = status == 501 or _code(error) == "NotImplemented"
        return _code(error) in _PASSING or ((status >= 500 or status == 429) and not not_ever)
    broken_off = (
        exceptions.HTTPClientError,
        exceptions.ConnectionError,
        exceptions.IncompleteReadError,
        exceptions.ResponseStreamingError,
    )
    return isinstance(error, broken_off)


def _names_credentials(error: Exception) -> bool:
    from botocore import exceptions

    kinds = (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError,
        exceptions.ProfileNotFound,
        exceptions.TokenRetrievalError,
        exceptions.SSOError,
    )
    return isinstance(error, kinds)


def _region(error: Exception) -> str:
    response = getattr(error, "response", {})
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    named = response.get("Error", {}).get("Region") or headers.get("x-amz-bucket-region")
    return f"{named}. Set AWS_REGION={named}" if named else "which the store did not name. Set AWS_REGION"
