"""An Airflow of the tests' own, real but small: a SQLite file, no examples, an empty DAGs folder, one connection.

Importing this module sets it up in the environment, which must happen before the first `import airflow`. DAGs are run
by `dag.test()`: Airflow's own task runner, XComs, retries and teardowns, in this process.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

HOME = Path(tempfile.mkdtemp(prefix="penstock-airflow-"))
BUNDLE = "dags-folder"
START = datetime(2026, 1, 1, tzinfo=UTC)

os.environ.update(
    AIRFLOW_HOME=str(HOME),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__DAGS_FOLDER=str(HOME / "dags"),
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{HOME}/airflow.db",
)
(HOME / "dags").mkdir()
atexit.register(shutil.rmtree, HOME, ignore_errors=True)


@cache
def prepare() -> None:
    """Create the metadata database, once for this process."""
    from airflow.utils import db

    db.initdb()


def entry_points_of(group: str) -> dict[str, str]:
    """Return what pyproject.toml declares: an editable installation knows the entry points of the day it was made."""
    declared = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    found: dict[str, str] = declared["project"]["entry-points"][group]
    return found


@cache
def plug_in() -> None:
    """Let Airflow's managers of listeners know of our plugin, as it finds it by its entry point in every process."""
    from airflow.listeners import listener

    for value in entry_points_of("airflow.plugins").values():
        module, _, name = value.partition(":")
        plugin = getattr(import_module(module), name)
        for manager in (listener.get_listener_manager(), *_of_tasks()):
            for found in plugin.listeners:
                if not manager.pm.is_registered(found):
                    manager.add_listener(found)


def _of_tasks() -> list[Any]:
    """Return the manager of listeners that tasks have to themselves, from Airflow 3.2 on."""
    try:
        from airflow.sdk.listener import get_listener_manager
    except ImportError:
        return []
    return [get_listener_manager()]


@contextmanager
def connection(conn_id: str = "penstock_default", **fields: Any) -> Iterator[None]:
    """Define a connection for a while: `host=` the store URL, `extra={"artifacts": ...}`."""
    variable = f"AIRFLOW_CONN_{conn_id.upper()}"
    before = os.environ.get(variable)
    os.environ[variable] = json.dumps({"conn_type": "penstock", **fields})
    try:
        yield
    finally:
        if before is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before


def run_dag(dag: Any, logical_date: datetime = START, conf: dict[str, Any] | None = None) -> DagOutcome:
    """Run a DAG for real, wherever it was defined, and return what became of it; again is what clearing it does."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    named = {"bundle_name": BUNDLE}
    try:
        from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
    except ImportError:  # Airflow 3.1
        from airflow.models.dagbag import BundleDagBag, sync_bag_to_db

        named = {}
    prepare()
    plug_in()
    DagBundlesManager().sync_bundles_to_db()
    bag = BundleDagBag(dag_folder=HOME / "dags", bundle_path=HOME / "dags", **named)
    bag.bag_dag(dag)
    sync_bag_to_db(bag, BUNDLE, None)
    return DagOutcome(dag.test(logical_date=logical_date, run_conf=conf))


class DagOutcome:
    """What became of a DAG run: its state, and each task's state, tries and XComs."""

    def __init__(self, dag_run: Any) -> None:
        from airflow.models.taskinstance import TaskInstance
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session

        self.state = str(dag_run.state)
        with create_session() as session:
            of_this = {"dag_id": dag_run.dag_id, "run_id": dag_run.run_id}
            tasks = session.query(TaskInstance).filter_by(**of_this).all()
            self.states = {_shown(t): str(t.state) for t in tasks}
            self.tries = {_shown(t): t.try_number for t in tasks}
            self.xcoms = {(_shown(x), x.key): x.value for x in session.query(XComModel).filter_by(**of_this)}

    def returned(self, task_id: str) -> Any:
        """Return what a task returned."""
        value = self.xcoms[task_id, "return_value"]
        return json.loads(value) if isinstance(value, str) else value


def _shown(row: Any) -> str:
    return str(row.task_id) if row.map_index < 0 else f"{row.task_id}[{row.map_index}]"
