"""Links from a task in Airflow's UI to what it worked on: pages of our own plugin, behind Airflow's own login.

Airflow asks for a link in the worker as the task ends, and keeps the answer: it holds ids, nothing else.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

from airflow.sdk import BaseOperatorLink

PREFIX = "/penstock"


def root() -> str:
    """Return the path of our pages: below that of Airflow, which may be mounted under one (`[api] base_url`)."""
    return _address().path.rstrip("/") + PREFIX


def page_path(dag_id: str, *parts: str) -> str:
    """Return the path of a page about a DAG; `parts` are what follows, each escaped."""
    return "/".join([root(), "dags", quote(dag_id, safe=""), *(quote(part, safe="") for part in parts)])


class RunLink(BaseOperatorLink):  # type: ignore[misc]
    """To the run that the task worked in."""

    name = "Penstock run"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the page of the run; nothing where the task never got to one."""
        run_id = getattr(operator, "works_in", None)
        return _url(ti_key.dag_id, "runs", run_id) if run_id else ""


class DecisionLink(BaseOperatorLink):  # type: ignore[misc]
    """To the decision that the task made, or acted under."""

    name = "Penstock decision"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the page of the decision; nothing where there is none."""
        decision_id = getattr(operator, "acts_under", None)
        return _url(ti_key.dag_id, "decisions", decision_id) if decision_id else ""


class ReportLink(BaseOperatorLink):  # type: ignore[misc]
    """To the report on the runs of this DAG, with numbers and plots."""

    name = "Penstock report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the page of the report."""
        return _url(ti_key.dag_id, "report") if getattr(operator, "works_in", None) else ""


def _url(dag_id: str, *parts: str) -> str:
    return urlunsplit((*_address()[:2], page_path(dag_id, *parts), "", ""))


def _address() -> SplitResult:
    from airflow.configuration import conf

    return urlsplit(str(conf.get("api", "base_url", fallback=None) or ""))
