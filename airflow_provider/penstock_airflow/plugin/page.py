"""The page's routes: read-only, each behind Airflow's own authentication and its authorization for the DAG.

A plugin's application is mounted as it is, so every route names its own guard; a request that fits no route is refused
before anything is looked at.
"""

from __future__ import annotations

import logging
import re
import tempfile
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import get_user, requires_access_dag
from airflow.configuration import conf
from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse

from penstock.errors import NotFound, PenstockError, Transient
from penstock_airflow.compat import AirflowNotFoundException
from penstock_airflow.hooks import DEFAULT_CONN_ID, PenstockHook
from penstock_airflow.plugin import drawing, records

if TYPE_CHECKING:
    from penstock import Client

_log = logging.getLogger(__name__)
_MAY_READ = [Depends(requires_access_dag("GET", DagAccessEntity.RUN))]


_HEADERS = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "cache-control": "no-store"}


def build() -> FastAPI:
    """Return the application."""
    app = FastAPI(title="Penstock", openapi_url=None, docs_url=None, redoc_url=None)
    app.add_exception_handler(PenstockError, _wrong)
    app.add_exception_handler(AirflowNotFoundException, _wrong)
    app.get("/")(_overview)
    for path, draw in _PAGES.items():
        app.get(path, dependencies=_MAY_READ)(draw)
    return app


def _overview(request: Request, user: Any = Depends(get_user)) -> HTMLResponse:  # noqa: B008 - FastAPI's way
    readable = get_auth_manager().get_authorized_dag_ids(user=user, method="GET")
    with _store() as client:
        return _html(drawing.overview(records.newest_by_dag(client, readable), _linked(request)))


def _dag(request: Request, dag_id: str) -> HTMLResponse:
    return _runs(request, dag_id, None, f"Runs of {dag_id}")


def _dag_run(request: Request, dag_id: str, dag_run_id: str) -> HTMLResponse:
    return _runs(request, dag_id, dag_run_id, f"{dag_id}, {dag_run_id}")


def _runs(request: Request, dag_id: str, dag_run_id: str | None, title: str) -> HTMLResponse:
    with _store() as client:
        stories = records.stories_of(client, records.runs_of(client, dag_id, dag_run_id))
        histories = records.alias_histories(client, stories)
        return _html(drawing.runs_page(title, dag_id, stories, histories, _linked(request)))


def _run(request: Request, dag_id: str, run_id: str) -> HTMLResponse:
    with _store() as client:
        details = records.run_of(client, dag_id, run_id)
        (story,) = records.stories_of(client, [details.run])
        return _html(drawing.run_page(dag_id, details, story, _linked(request)))


def _decision(request: Request, dag_id: str, decision_id: str) -> HTMLResponse:
    with _store() as client:
        decision, approval = records.decision_of(client, dag_id, decision_id)
        return _html(drawing.decision_page(dag_id, decision, approval, _linked(request)))


def _report(dag_id: str) -> HTMLResponse:
    from penstock.evaluation.report import write_report

    with _store() as client, tempfile.TemporaryDirectory(prefix="penstock-") as scratch:
        stories = records.stories_of(client, records.runs_of(client, dag_id))
        path = write_report(stories, Path(scratch) / "report.html", title=f"Runs of {dag_id}")
        return _html(path.read_text(encoding="utf-8"))


_PAGES: dict[str, Callable[..., HTMLResponse]] = {
    "/dags/{dag_id}": _dag,
    "/dags/{dag_id}/dag-runs/{dag_run_id}": _dag_run,
    "/dags/{dag_id}/runs/{run_id}": _run,
    "/dags/{dag_id}/decisions/{decision_id}": _decision,
    "/dags/{dag_id}/report": _report,
}


@contextmanager
def _store() -> Iterator[Client]:
    conn_id = conf.get("penstock", "page_conn_id", fallback=DEFAULT_CONN_ID)
    with PenstockHook(conn_id).get_client({"orchestrator": "airflow", "page": True}) as client:
        yield client


def _linked(request: Request) -> bool:
    return request.headers.get("sec-fetch-dest") != "iframe"


def _html(content: str, status: int = 200) -> HTMLResponse:
    """Answer with a page that may run and fetch nothing, and be styled only by the style sheet that stands in it."""
    sheets = re.findall(r"<style>(.*?)</style>", content, re.DOTALL)
    allowed = [f"'sha256-{b64encode(sha256(sheet.encode()).digest()).decode()}'" for sheet in sheets]
    policy = {
        "default-src": "'none'",
        "style-src": " ".join(allowed),
        "style-src-attr": "'unsafe-inline'",  # The bars of the report; with nothing to fetch, a style is only a look.
        "frame-ancestors": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    said = "; ".join(f"{name} {value}" for name, value in policy.items())
    return HTMLResponse(content, status, headers={**_HEADERS, "content-security-policy": said})


async def _wrong(request: Request, error: Exception) -> HTMLResponse:
    """Say what is wrong, without what only the log may hold (hosts, for example)."""
    if isinstance(error, NotFound):
        return _html(
            drawing.problem("Not found", "There is no such thing in the store, or this DAG has no part in it."), 404
        )
    _log.warning("%s: %s", request.url.path, error)
    if isinstance(error, AirflowNotFoundException):
        return _html(drawing.problem("No store", str(error)), 503)
    said = f"The store cannot be {'reached from here just now' if isinstance(error, Transient) else 'read'}"
    return _html(drawing.problem("No answer", f"{said}; the log of Airflow's API server says why."), 503)
