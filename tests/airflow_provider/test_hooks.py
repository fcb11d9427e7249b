"""The connection and its hook."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Connection

from penstock.errors import InvalidValue, StoreUnavailable
from penstock.stores.sql.urls import PostgresUrl, parse_store_url
from penstock_airflow.connections import StoreFields
from penstock_airflow.databases import engine_of
from penstock_airflow.hooks import TESTS_PER_MINUTE, PenstockHook
from tests import airflow_home
from tests.s3_servers import BUCKET, KEY, REGION, SECRET, S3Server, new_prefix


@pytest.fixture(autouse=True)
def _tested_never_before() -> None:
    PenstockHook._tested.clear()


def test_the_connection_names_the_store_and_the_artifact_folder(store_url: str, tmp_path: Path) -> None:
    with airflow_home.connection(host=store_url, extra={"artifacts": str(tmp_path / "bytes")}):
        works, message = PenstockHook().test_connection()
        with PenstockHook().get_conn() as client:
            assert client.artifact_location == str(tmp_path / "bytes")
    assert works
    assert message.endswith(str(tmp_path / "bytes"))


def test_a_database_server_has_a_field_for_each_part(postgres_url: str) -> None:
    parsed = parse_store_url(postgres_url)
    assert isinstance(parsed, PostgresUrl)
    fields: dict[str, Any] = {
        "host": parsed.host,
        "port": parsed.port,
        "schema": parsed.database,
        "login": parsed.user,
        "password": parsed.password,
    }
    with airflow_home.connection(**fields, extra={"artifacts": "/srv/bytes", "connect_timeout": 5, "s3_region": ""}):
        assert PenstockHook().test_connection() == (True, "the store answers: 0 registered models, bytes in /srv/bytes")
    in_host = f"postgresql+psycopg://{parsed.host}:{parsed.port}/{parsed.database}"
    with airflow_home.connection(
        host=in_host, login=parsed.user, password=parsed.password, extra={"artifacts": "/srv/bytes"}
    ):
        assert PenstockHook().test_connection()[0]


@pytest.mark.parametrize("password", ["p@ss/w:rd?#", "100%", "ünï çødé", "a+b&c=d"])
def test_a_password_is_a_password_whatever_is_in_it(password: str) -> None:
    fields: dict[str, Any] = {"host": "db", "schema": "x", "login": "u@corp", "password": password}
    for given in (fields, {**fields, "host": "postgresql://db/x", "schema": None}):
        found = StoreFields.of("connection", Connection(conn_id="x", conn_type="penstock", **given))
        parsed = parse_store_url(found.url)
        assert isinstance(parsed, PostgresUrl)
        assert (parsed.host, parsed.port, parsed.database, parsed.user) == ("db", 5432, "x", "u@corp")
        assert parsed.password == password
        assert password not in repr(found) + found.public_url
        public = parse_store_url(found.public_url)
        assert isinstance(public, PostgresUrl)
        assert (public.user, public.password) == ("u@corp", "")


SERVER: dict[str, Any] = {"host": "db", "schema": "x", "login": "u", "password": "S3CR3T"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"conn_type": "postgres", "host": "x"}, "type of connection 'penstock_default': expected 'penstock'"),
        ({}, "host of connection 'penstock_default': expected the store URL"),
        ({"host": "postgresql://u:S3CR3T@db/x"}, "expected a URL without user and password, .* into password; Airflow"),
        ({"host": "postgresql://u:S3CR3T/@db/x"}, "expected a URL without user and password"),
        ({"host": "mysql://u:S3CR3T@[db/x"}, "expected a URL without user and password"),
        ({"host": "sqlite:///p.db", "extra": {"token": "S3CR3T"}}, "unsupported connection option .* got 'token'"),
        ({**SERVER, "extra": {"options": "-c S3CR3T"}}, "unsupported connection option .* got 'options'"),
        ({**SERVER, "extra": {"sslrootcert": "/etc/passwd"}}, "unsupported connection option .* 'sslrootcert'"),
        ({**SERVER, "extra": {"extra__penstock__code": "S3CR3T"}}, "unsupported connection option"),
        ({**SERVER, "extra": {"sslmode": "off&host=evil"}}, "store URL, option sslmode"),
        ({**SERVER, "extra": {"s3_endpoint": {"a": "S3CR3T"}}}, "extra 's3_endpoint' .* expected a text, got 'dict'"),
        ({**SERVER, "extra": {"s3_endpoint": "http://169.254.169.254"}}, "S3 endpoint: expected"),
        ({**SERVER, "extra": {"s3_endpoint": "http://S3CR3T@minio"}}, "S3 endpoint: expected"),
        ({**SERVER, "extra": {"s3_secret_access_key": "S3CR3T"}}, "S3 access key: .* got 'the secret alone'"),
        ({**SERVER, "extra": {"scheme": "sqlite"}}, "extra 'scheme' .* SQLite: host is the URL"),
        ({**SERVER, "extra": {"scheme": "postgresql://evil/"}}, "store URL"),
        ({**SERVER, "host": "db/evil"}, "store URL, host"),
        ({**SERVER, "host": "db?host=/tmp/evil"}, "store URL, host"),
        ({**SERVER, "host": "evil#db"}, "store URL, host"),
        ({**SERVER, "host": "me@evil"}, "store URL, host"),
        ({**SERVER, "schema": "x/../y"}, "store URL, database"),
        ({**SERVER, "schema": None}, "schema of connection 'penstock_default': expected the name of the database"),
        ({**SERVER, "host": "postgresql://db/x"}, "fields of connection .* got 'schema'"),
        ({"host": "https://tracking.example.org"}, "store URL: expected"),
    ],
)
def test_a_connection_that_cannot_be_used_says_why_and_shows_no_secret(fields: Any, message: str) -> None:
    with airflow_home.connection(**fields):
        with pytest.raises(InvalidValue, match=message) as raised:
            PenstockHook().get_client()
        works, shown = PenstockHook().test_connection()
    assert not works
    assert "S3CR3T" not in shown + repr(raised.value) + repr(PenstockHook())


def test_a_server_that_does_not_answer_is_not_described_to_who_tests_connections() -> None:
    with airflow_home.connection(**SERVER | {"host": "127.0.0.1", "port": 9}, extra={"artifacts": "/srv/bytes"}):
        assert PenstockHook().test_connection() == (
            False,
            "the store cannot be reached from here; the log of this process says why",
        )
        with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1"):
            PenstockHook().get_client().list_models()


def test_connections_are_not_tested_without_end(store_url: str) -> None:
    with airflow_home.connection(host=store_url):
        answers = [PenstockHook().test_connection() for _ in range(TESTS_PER_MINUTE + 1)]
    assert [works for works, _ in answers] == [True] * TESTS_PER_MINUTE + [False]
    assert "try again later" in answers[-1][1]


def test_keys_of_a_bucket_reach_it_from_the_connection_and_no_environment(
    store_url: str, rclone: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "PENSTOCK_S3"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PENSTOCK_CACHE", "0")
    keys = {
        "artifacts": f"s3://{BUCKET}/{new_prefix()}",
        "s3_endpoint": rclone.endpoint,
        "s3_region": REGION,
        "s3_access_key_id": KEY,
        "s3_secret_access_key": SECRET,
    }
    (tmp_path / "note.txt").write_text("bytes")
    before = dict(os.environ)
    with airflow_home.connection(host=store_url, extra=keys), PenstockHook().get_conn() as client:
        assert client.open_run("tests/s3", "p").log_artifact(tmp_path / "note.txt").size_bytes == 5
    assert dict(os.environ) == before
    (tmp_path / "note.txt").write_text("other bytes")
    refused = {**keys, "s3_secret_access_key": "x"}
    with airflow_home.connection(host=store_url, extra=refused):
        run = PenstockHook().get_conn().open_run("tests/s3", "q")
        with pytest.raises(InvalidValue, match="keys that s3://"):
            run.log_artifact(tmp_path / "note.txt")


def test_a_database_of_rows_is_reached_with_every_option_of_its_connection_or_not_at_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def engine(**extra: Any) -> Any:
        fields = {"conn_type": "postgres", "host": "db", "login": "me", "password": "S3CR3T", "schema": "rows"}
        monkeypatch.setenv("AIRFLOW_CONN_ROWS", json.dumps({**fields, "extra": extra}))
        return engine_of("rows")

    options = {"sslmode": "verify-full", "sslrootcert": "/etc/ca.pem", "target_session_attrs": "read-write"}
    url = engine(**options, connect_timeout=5, cursor="dictcursor", sslkey="").url
    assert dict(url.query) == {**options, "connect_timeout": "5"}
    assert engine().url.query == {}
    with pytest.raises(InvalidValue, match=r"connection 'rows'.*'iam'") as refused:
        engine(iam="S3CR3T")
    assert "S3CR3T" not in str(refused.value)
