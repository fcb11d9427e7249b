"""What an S3 store refuses is told in one line, at once, without a secret; what may pass is tried again, bounded."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import time
import traceback
from pathlib import Path

import pytest

from penstock.artifacts.s3 import S3Artifacts
from penstock.artifacts.urls import S3Location
from penstock.errors import InvalidValue, MissingExtra, NotFound, StoreUnavailable, Terminal
from tests.artifacts.scripted_s3 import scripted_s3
from tests.contracts.artifact_store import LARGE_BYTES, written
from tests.cutting_proxy import cutting_proxy
from tests.s3_servers import BUCKET, DEADLINE_S, KEY, SECRET, S3Server

UNKNOWN = "0" * 64


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path / "file.bin", b"content")


def _told(error: BaseException) -> str:
    """All that anybody may get to see of an error."""
    shown = "".join(traceback.format_exception(error)) + repr(vars(error)) + repr(pickle.loads(pickle.dumps(error)))
    assert SECRET not in shown
    assert "Signature=" not in shown
    assert len(str(error).splitlines()) == 1
    return str(error)


@pytest.mark.parametrize(
    ("variable", "code"),
    [("AWS_SECRET_ACCESS_KEY", "SignatureDoesNotMatch"), ("AWS_ACCESS_KEY_ID", "InvalidAccessKeyId")],
)
def test_wrong_keys_are_told_apart_at_once(
    rclone: S3Server, s3_credentials: None, monkeypatch: pytest.MonkeyPatch, file: Path, variable: str, code: str
) -> None:
    monkeypatch.setenv(variable, "another-key-that-is-wrong")
    store = rclone.artifacts()
    started = time.monotonic()
    for call in (lambda: store.put_file(file), lambda: store.fetch(UNKNOWN, file.with_name("back"))):
        with pytest.raises(InvalidValue) as caught:
            call()
        told = _told(caught.value)
        assert told.startswith(f"S3 credentials: expected keys that {store.location} accepts, got '{code}'. Check AWS_")
        assert "another-key" not in told
    assert time.monotonic() - started < 5 < DEADLINE_S


def test_no_keys_at_all_are_told_with_where_they_come_from(
    moto: S3Server, s3_credentials: None, monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(InvalidValue) as caught:
        moto.artifacts().put_file(file)
    assert "got 'NoCredentialsError'. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in _told(caught.value)
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(InvalidValue) as caught:
        moto.artifacts().put_file(file)
    assert "got 'ProfileNotFound'. Set AWS_ACCESS_KEY_ID" in _told(caught.value)


def test_a_bucket_that_is_not_there_is_named(s3_server: S3Server, file: Path) -> None:
    store = S3Artifacts(S3Location("no-such-bucket", "p"), s3_server.artifacts()._client.options)
    large = written(file.with_name("large"), bytes(LARGE_BYTES))
    calls = (
        lambda: store.put_file(file),
        lambda: store.put_file(large),
        lambda: store.fetch(UNKNOWN, file.with_name("back")),
        lambda: store.sweep_incoming(0),
    )
    for call in calls:
        with pytest.raises(NotFound) as caught:
            call()
        assert _told(caught.value).startswith("bucket 'no-such-bucket' does not exist. NoSuchBucket")


def test_what_a_policy_forbids_is_told_as_a_permission(moto: S3Server, s3_credentials: None, file: Path) -> None:
    client, bucket = moto.client(), "penstock-forbidden"
    client.create_bucket(Bucket=bucket)
    store = S3Artifacts(S3Location(bucket), moto.artifacts()._client.options)
    sha256, _ = store.put_file(file)
    denied = {"Effect": "Deny", "Principal": "*", "Action": ["s3:GetObject", "s3:PutObject"]}
    denied["Resource"] = f"arn:aws:s3:::{bucket}/*"
    client.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [denied]}))
    other = written(file.with_name("other"), b"other")
    for call in (lambda: store.fetch(sha256, file.with_name("back")), lambda: store.put_file(other)):
        with pytest.raises(InvalidValue) as caught:
            call()
        # moto gives no reason, as HEAD does: the status stands for it.
        expected = f"S3 permission: expected the right to read and write below s3://{bucket}, got '403'"
        assert _told(caught.value).startswith(expected)


@pytest.mark.parametrize(
    ("status", "code", "puts", "told"),
    [
        (403, "AccessDenied", 1, "S3 permission: expected the right to read and write below s3://"),
        (400, "ExpiredToken", 1, "renew the session they belong to"),
        (403, "RequestTimeTooSkewed", 1, "clock: expected the time that s3://"),
        # boto3 follows a bucket to another region by itself, once.
        (301, "PermanentRedirect", 2, f"S3 region: expected the one of bucket '{BUCKET}', us-east-1. Set AWS_REGION="),
        (400, "AuthorizationHeaderMalformed", 2, f"S3 region: expected the one of bucket '{BUCKET}', eu-central-1."),
        (400, "SomethingNew", 1, "request to s3://"),
        (501, "SomethingNew", 1, "request to s3://"),
    ],
)
def test_a_refusal_is_terminal_and_is_not_asked_for_twice(
    s3_credentials: None, file: Path, status: int, code: str, puts: int, told: str
) -> None:
    with scripted_s3((status, code)) as server, pytest.raises(Terminal) as caught:
        S3Server(server.server_port).artifacts().put_file(file)
    assert told in _told(caught.value)
    assert server.puts == puts


def test_a_store_that_is_overloaded_for_a_while_is_asked_again(s3_credentials: None, file: Path) -> None:
    first_probe = [(503, "SlowDown"), (500, "InternalError"), (200, "")]
    second_probe = [(429, "TooManyRequests"), (409, "ConditionalRequestConflict"), (200, "")]
    with scripted_s3(*first_probe, *second_probe, (503, "Throttling"), (200, "")) as server:
        S3Server(server.server_port).artifacts().put_file(file)
    assert server.puts == 8


def test_a_store_that_stays_overloaded_is_given_up_in_time(s3_credentials: None, file: Path) -> None:
    started = time.monotonic()
    with scripted_s3((503, "SlowDown")) as server, pytest.raises(StoreUnavailable) as caught:
        S3Server(server.server_port).artifacts(deadline_s=1.5).put_file(file)
    assert time.monotonic() - started < 3
    assert f"gave up after 1 s, {server.puts} tries (the last: SlowDown)" in _told(caught.value)
    assert 3 <= server.puts <= 5


def test_a_store_that_falls_silent_or_is_gone_is_given_up_in_time(
    rclone: S3Server, s3_credentials: None, file: Path
) -> None:
    started = time.monotonic()
    with cutting_proxy(rclone.port) as proxy:
        store = rclone.artifacts(deadline_s=1, port=proxy.port)
        store.put_file(file)
        proxy.silent = True
        with pytest.raises(StoreUnavailable, match="ReadTimeoutError"):
            store.fetch(UNKNOWN, file.with_name("back"))
        proxy.silent = False
    with pytest.raises(StoreUnavailable, match=r"gave up after \d s, \d tries \(the last: EndpointConnectionError\)"):
        rclone.artifacts(deadline_s=1, port=proxy.port).put_file(file)
    assert time.monotonic() - started < 8


def test_boto3_is_loaded_on_use_and_what_installs_it_is_said(file: Path) -> None:
    code = (
        "import sys; sys.modules['boto3'] = sys.modules['botocore'] = None\n"
        "from pathlib import Path; import penstock\n"
        "client = penstock.connect('sqlite:///' + sys.argv[1] + '.db', 's3://bucket/prefix')\n"
        "for call in (lambda: client.wiring.artifacts.put_file(Path(sys.argv[1])),\n"
        "             lambda: client.wiring.artifacts.fetch('0' * 64, Path(sys.argv[1] + '-back'))):\n"
        "    try: call()\n"
        "    except penstock.errors.MissingExtra as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True)
    assert done.stdout == f"{MissingExtra('artifacts on S3', 's3')}\n" * 2


def test_a_store_shows_where_it_is_and_no_key(rclone: S3Server, s3_credentials: None, file: Path) -> None:
    store = rclone.artifacts("models")
    store.put_file(file)
    assert repr(store) == f"S3Artifacts('s3://{BUCKET}/models')"
    assert KEY not in repr(vars(store)) + repr(vars(store._client))
