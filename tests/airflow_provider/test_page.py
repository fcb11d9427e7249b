"""The page inside Airflow's UI: who may see it, what it shows, that nothing in it is markup, what it costs unopened."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

import penstock
from penstock_airflow.plugin.registration import LazyPage, PenstockPlugin
from tests import airflow_home, tiny, tiny_pipeline

EVIL = '<script>alert(1)</script>"onload=x'
TOKENS = {"reader": {"mine", "empty"}, "stranger": set()}


class Managed:
    """An auth manager that knows two people: one may read two DAGs, the other none."""

    async def get_user_from_token(self, token: str) -> Any:
        from jwt import InvalidTokenError

        if token not in TOKENS:
            raise InvalidTokenError
        return SimpleNamespace(name=token)

    def is_authorized_dag(self, *, method: str, access_entity: Any, details: Any, user: Any) -> bool:
        return method == "GET" and details.id in TOKENS[user.name]

    def get_authorized_dag_ids(self, *, user: Any, method: str) -> set[str]:
        return TOKENS[user.name]


@pytest.fixture
def told(store: str, held_out: str) -> dict[str, Any]:
    """Two runs of DAG `mine`, one promoted, one refused, and one of DAG `theirs`; names that want to be markup."""
    strict = {"name": EVIL, "rules": [{"at_least": {"metric": "roc_auc", "value": 1.0}}]}
    made: dict[str, Any] = {}
    for dag_id, key, policy in (("mine", "first", tiny.POLICY), ("mine", EVIL, strict), ("theirs", "secret", strict)):
        host = {"orchestrator": "airflow", "dag_id": dag_id, "run_id": f"manual__{len(key)}"}
        with penstock.connect(store, host=host, actor=EVIL) as client:
            decision = tiny_pipeline.retrain(client, key, held_out, policy=policy)
            client.settle_run(decision.run_id, "FINISHED")
            made[key] = decision
    return made


@pytest.fixture
def browse(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of an application that has the page mounted as Airflow mounts it."""
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    airflow_home.prepare()
    for module in ("airflow.api_fastapi.core_api.security", "penstock_airflow.plugin.page"):
        monkeypatch.setattr(f"{module}.get_auth_manager", Managed)

    def get(path: str, token: str | None = "reader", under: str = "", **headers: str) -> Any:
        app = FastAPI(root_path=under)  # as Airflow's own is made
        app.mount("/penstock", LazyPage())
        web = TestClient(app, raise_server_exceptions=False)
        signed = {} if token is None else {"authorization": f"Bearer {token}"}
        return web.get(f"{under}/penstock{path}", headers=signed | headers)

    return get


def paths(told: dict[str, Any], dag_id: str = "mine", key: str = "first") -> list[str]:
    decision = told[key]
    parts = ("", "/report", f"/runs/{decision.run_id}", f"/decisions/{decision.decision_id}", "/dag-runs/manual__5")
    return [f"/dags/{dag_id}{part}" for part in parts]


def test_nobody_sees_anything_without_airflows_login_and_its_leave(told: dict[str, Any], browse: Any) -> None:
    for path in ["/", *paths(told)]:
        assert browse(path, None).status_code == 401
        assert browse(path, "forged").status_code == 403
        assert browse(path).status_code == 200, path
    for path in paths(told):
        assert browse(path, "stranger").status_code == 403
    assert "None of the DAGs" in browse("/", "stranger").text
    for path in paths(told, "theirs", "secret"):
        assert browse(path).status_code == 403
    # A run of another DAG is not shown under the name of one that may be read.
    for path in paths(told, "mine", "secret")[2:4]:
        assert browse(path).status_code == 404
    for path in ("/docs", "/openapi.json", "/dags", "/dags/mine/../../x", "/dags/mine/runs"):
        assert browse(path).status_code == 404
    assert browse("/dags/mine/runs/../../etc/passwd").status_code == 404
    assert browse("/dags/mine/runs/not-an-id").status_code == 404


def test_the_pages_say_what_became_of_each_run_and_why(told: dict[str, Any], browse: Any) -> None:
    runs = browse("/dags/mine").text
    assert "must be at least 1" in runs
    assert "none → version 1" in runs
    assert "benign@champion, newest first" in runs
    assert "secret" not in runs
    assert "secret" not in browse("/").text
    one = browse(paths(told)[2]).text
    assert "train_rows" in one
    assert "FINISHED" in one
    assert told["first"].policy_digest in browse(paths(told)[3]).text
    assert "No run is tracked here" in browse("/dags/empty").text
    assert browse("/dags/mine/dag-runs/manual__5").text.count("<summary>first") == 1
    assert "<svg" in browse("/dags/mine/report").text


def test_nothing_from_data_is_markup_and_nothing_is_fetched(told: dict[str, Any], browse: Any) -> None:
    for path in ["/", *paths(told), *paths(told, key=EVIL)]:
        answer = browse(path)
        assert "<script" not in answer.text
        assert EVIL not in answer.text
        assert not re.search(r'(src|action)=|href="(?!/penstock/)|@import|url\(', answer.text), path
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "script-src" not in policy
        assert answer.text.count("<style>") == 1
        assert answer.headers["cache-control"] == "no-store"


def test_in_airflows_frame_there_are_no_links_that_would_arrive_without_the_login(
    told: dict[str, Any], browse: Any
) -> None:
    assert "<a href" in browse("/dags/mine").text
    for path in ["/", *paths(told)]:
        assert "<a " not in browse(path, **{"sec-fetch-dest": "iframe"}).text


def test_a_store_that_is_away_is_said_without_naming_hosts(browse: Any, caplog: pytest.LogCaptureFixture) -> None:
    with airflow_home.connection(
        host="127.0.0.1", port=9, schema="internal", login="nobody", extra={"connect_timeout": "1"}
    ):
        answer = browse("/dags/mine")
    assert answer.status_code == 503
    assert "127.0.0.1" not in answer.text
    assert "internal" not in answer.text
    # The connection is gone.
    assert browse("/dags/mine").status_code == 503


def test_where_airflow_is_mounted_under_a_path_so_are_its_tabs_and_the_pages_links(
    told: dict[str, Any], browse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "https://host.example/airflow/"
    code = (
        "from penstock_airflow.plugin.registration import PenstockPlugin as p\n"
        "from penstock_airflow.links import _url\n"
        "print(*(view['href'] for view in p.external_views), _url('mine', 'report'), p.fastapi_apps[0]['url_prefix'])"
    )
    environment = {**os.environ, "AIRFLOW__API__BASE_URL": address}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    *hrefs, link, mounted = found.stdout.split("\n")[0].split()
    assert {"/airflow/penstock/", "/airflow/penstock/dags/{DAG_ID}"} <= set(hrefs)
    assert all(href.startswith("/airflow/penstock/") for href in hrefs)
    assert (link, mounted) == (f"{address}penstock/dags/mine/report", "/penstock")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", address)
    for path in ["/", *paths(told)]:
        links = re.findall('<a href="([^"]*)"', browse(path).text)
        assert all(href.startswith("/airflow/penstock/") for href in links), links
    assert browse("/dags/mine", under="/airflow").status_code == 200


def test_airflow_hears_of_the_page_and_pays_nothing_for_it_until_it_is_opened() -> None:
    views = {(view["destination"], view["href"]) for view in PenstockPlugin.external_views}
    assert {d for d, _ in views} == {"nav", "dag", "dag_run", "task_instance"}
    assert all(href.startswith("/penstock/") for _, href in views)
    assert len({view["url_route"] for view in PenstockPlugin.external_views}) == len(PenstockPlugin.external_views)
    code = (
        "import sys, airflow.plugins_manager, airflow.listeners; before = set(sys.modules)\n"
        "import penstock_airflow.plugin.registration\n"
        "new = {name for name in set(sys.modules) - before}\n"
        "print(sorted(n for n in new if not n.startswith(('penstock_airflow', 'penstock.')) and '.' not in n))\n"
        "print(sorted(n for n in new if n.startswith('penstock.') or n.endswith(('.page', '.drawing'))))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split("\n")[1] == "[]", found.stdout
