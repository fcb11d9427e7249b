"""The connection and its hook."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from penstock.errors import InvalidValue
from penstock_airflow.hooks import PenstockHook
from tests import airflow_home


def test_the_connection_names_the_store_and_the_artifact_folder(store_url: str, tmp_path: Path) -> None:
    with airflow_home.connection(host=store_url, extra={"artifacts": str(tmp_path / "bytes")}):
        works, message = PenstockHook().test_connection()
        with PenstockHook().get_conn() as client:
            assert client.artifact_location == str(tmp_path / "bytes")
    assert works
    assert message.endswith(str(tmp_path / "bytes"))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"conn_type": "postgres", "host": "x"}, "type of connection 'penstock_default': expected 'penstock'"),
        ({}, "host of connection 'penstock_default': expected the store URL"),
        ({"host": "postgresql://u:S3CR3T@db/x"}, "store URL"),
        ({"host": "sqlite:///p.db", "extra": {"token": "S3CR3T"}}, "unsupported connection option .* got 'token'"),
    ],
)
def test_a_connection_that_cannot_be_used_says_why_and_shows_no_secret(fields: Any, message: str) -> None:
    with airflow_home.connection(**fields):
        with pytest.raises(InvalidValue, match=message) as raised:
            PenstockHook().get_client()
        works, shown = PenstockHook().test_connection()
    assert not works
    assert "S3CR3T" not in shown + repr(raised.value) + repr(PenstockHook())


def test_a_store_that_cannot_be_reached_fails_the_test_of_its_connection(tmp_path: Path) -> None:
    with airflow_home.connection(host=f"sqlite:///{tmp_path}/missing/p.db"):
        works, message = PenstockHook().test_connection()
    assert not works
    assert "cannot be reached" in message
