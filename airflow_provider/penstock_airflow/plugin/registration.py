"""The plugin by which Airflow's processes know of the listener and the page. All of them load it: it imports little.

Airflow finds it by its entry point: one that the provider's metadata names is not loaded by default.
"""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from penstock_airflow import listeners as backstop
from penstock_airflow.links import PREFIX, root


class LazyPage:
    """The page as an ASGI application that is built, and imported, by the first request for it."""

    def __init__(self) -> None:
        self._app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        if self._app is None:
            from penstock_airflow.plugin.page import build

            self._app = build()
        await self._app(scope, receive, send)


def _view(name: str, destination: str, href: str, url_route: str) -> dict[str, str]:
    return {"name": name, "destination": destination, "href": f"{root()}{href}", "url_route": url_route}


class PenstockPlugin(AirflowPlugin):  # type: ignore[misc]
    """The listener that ends what dead tasks have left open, and the page that shows what a DAG's runs came to."""

    name = "penstock"
    listeners: ClassVar[list[Any]] = [backstop]
    fastapi_apps: ClassVar[list[dict[str, Any]]] = [{"app": LazyPage(), "url_prefix": PREFIX, "name": "penstock"}]
    external_views: ClassVar[list[dict[str, str]]] = [
        _view("Penstock", "nav", "/", "penstock"),
        _view("Penstock", "dag", "/dags/{DAG_ID}", "penstock_dag"),
        _view("Penstock report", "dag", "/dags/{DAG_ID}/report", "penstock_report"),
        _view("Penstock", "dag_run", "/dags/{DAG_ID}/dag-runs/{RUN_ID}", "penstock_dag_run"),
        _view("Penstock", "task_instance", "/dags/{DAG_ID}/dag-runs/{RUN_ID}", "penstock_task"),
    ]
