"""Store URLs: what is accepted, what is refused, and that no password is ever shown."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

import penstock
from penstock.errors import InvalidValue
from penstock.stores.sql.urls import PostgresUrl, SqliteUrl, parse_store_url

SECRET = "S3CR3T"


@pytest.mark.parametrize(("text", "path"), [("sqlite:///p.db", "p.db"), ("sqlite:////srv/p.db", "/srv/p.db")])
def test_a_sqlite_url_names_a_relative_or_an_absolute_file(text: str, path: str) -> None:
    url = parse_store_url(text)
    assert (url, str(url), url.dialect) == (SqliteUrl(Path(path)), text, "sqlite")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql+psycopg://me:pw@db:5433/p", PostgresUrl("db", 5433, "p", "me", "pw")),
        ("postgresql://me@db.example.org/p", PostgresUrl("db.example.org", 5432, "p", "me")),
        ("postgresql://db/p", PostgresUrl("db", 5432, "p")),
        ("postgresql://me:p%40s%2Fs%3A@[::1]:6000/a%20b", PostgresUrl("::1", 6000, "a b", "me", "p@s/s:")),
        (
            "postgresql://db/p?sslmode=verify-full&application_name=nightly&connect_timeout=5",
            PostgresUrl(
                "db",
                5432,
                "p",
                options={"sslmode": "verify-full", "application_name": "nightly", "connect_timeout": "5"},
            ),
        ),
    ],
)
def test_a_postgresql_url_is_read_with_or_without_its_driver(text: str, expected: PostgresUrl) -> None:
    url = parse_store_url(text)
    assert url == expected
    assert isinstance(url, PostgresUrl)
    assert url.password == expected.password


def test_a_password_is_shown_by_nothing_that_prints_a_url() -> None:
    url = parse_store_url(f"postgresql://me:{SECRET}@db:5433/p?sslmode=require")
    assert str(url) == "postgresql+psycopg://me:***@db:5433/p?sslmode=require"
    assert SECRET not in repr(url) + str(url) + f"{url}"
    assert pickle.loads(pickle.dumps(url)) == url


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"postgresql+psycopg2://me:{SECRET}@db/p", r"store URL: .*got 'postgresql\+psycopg2://\.\.\.'"),
        (f"POSTGRESQL://me:{SECRET}@db/p", "store URL: expected sqlite:///"),
        (f"mysql://me:{SECRET}@db/p", "got 'mysql://...'"),
        (f"postgresql:me:{SECRET}@db/p", "no scheme"),
        (f"postgresql://me:{SECRET}@/p", "host"),
        (f"postgresql://me:{SECRET}@db", "database"),
        (f"postgresql://me:{SECRET}@db/", "database"),
        (f"postgresql://me:{SECRET}@db/p/q", "database"),
        (f"postgresql://me:{SECRET}@db/p#fragment", "database"),
        (f"postgresql://me:{SECRET}@one,two/p", "host"),
        (f"postgresql://me:{SECRET}@db:99999/p", "host and port"),
        (f"postgresql://me:{SECRET}@db:port/p", "host and port"),
        (f"postgresql://me:{SECRET}@[::1/p", "host and port"),
        (f"postgresql://me:/{SECRET}@db/p", "host"),
        (f"postgresql://me:/{SECRET}@db", "host"),
        (f"postgresql://me:#{SECRET}@db/p", "host"),
        (f"postgresql://me:{SECRET}@db /p", "white space"),
        (f"postgresql://me:{SECRET}@db/p\n", "control character"),
        (f"postgresql://me:{SECRET}%00@db/p", "NUL"),
        (f"postgresql://db/p?password={SECRET}", "option: expected one of sslmode.*got 'password'"),
        (f"postgresql://db/p?{SECRET}", "option"),
        (f"postgresql://db/p?options=-csearch_path%3D{SECRET}", "got 'options'"),
        ("postgresql://db/p?host=/tmp", "got 'host'"),
        ("postgresql://db/p?sslmode=off", "option sslmode: expected disable"),
        ("postgresql://db/p?sslmode=require&sslmode=disable", "given twice"),
        ("postgresql://db/p?connect_timeout=0", "option connect_timeout"),
        ("sqlite:///p.db?mode=ro", "Options after"),
        ("sqlite://p.db", "sqlite:///relative"),
    ],
)
def test_a_url_outside_the_allowed_forms_is_refused_without_its_password(text: str, message: str) -> None:
    with pytest.raises(InvalidValue, match=message) as caught:
        parse_store_url(text)
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in str(error) + repr(error.__dict__)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_a_store_on_a_server_needs_its_artifacts_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PENSTOCK_ARTIFACTS", raising=False)
    with pytest.raises(InvalidValue, match=r"artifacts: .*PENSTOCK_ARTIFACTS") as caught:
        penstock.connect(f"postgresql://me:{SECRET}@127.0.0.1:9/p")
    assert SECRET not in str(caught.value)
