"""An Airflow as it is deployed: api-server, scheduler, dag-processor and triggerer as processes of their own.

LocalExecutor on PostgreSQL. What `dag.test()` hides shows here: tasks are processes without a metadata database, they
are killed by signals, and triggers run elsewhere. Slow to start (half a minute): one for a whole test session.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

from tests.postgres_server import PostgresServer

COMPONENTS = {
    "api-server": (),
    "scheduler": ("--skip-serve-logs",),
    "dag-processor": (),
    "triggerer": ("--skip-serve-logs",),
}
_PR_SET_PDEATHSIG = 1


class RealAirflow:
    """A running Airflow with a folder of its own. DAG files go into `dags`; REST calls through `get` and friends."""

    def __init__(
        self,
        home: Path,
        database_url: str,
        connections: Mapping[str, Mapping[str, Any]],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.home, self.dags = home, home / "dags"
        self.dags.mkdir(parents=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("AIRFLOW", "PENSTOCK_"))}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        self.environment = {
            **kept,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": "tests-only-" + "x" * 64,
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database_url,
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(Path(__file__).parents[1]),
            **{f"AIRFLOW_CONN_{name.upper()}": json.dumps(fields) for name, fields in connections.items()},
            **(environment or {}),
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._groups: list[int] = []  # of components that were killed and may have left children
        self.token = ""

    @property
    def url(self) -> str:
        """Where its API and its pages are."""
        return f"http://127.0.0.1:{self.port}"

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run an `airflow` command in this Airflow's environment."""
        program = str(Path(sys.executable).with_name("airflow"))
        command = [program, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=self.environment, cwd=self.home)

    def start(self) -> None:
        """Migrate the metadata database, start every component and wait until they say that they are well."""
        self.command("db", "migrate")
        for name in COMPONENTS:
            self.start_component(name)
        self.wait_for("Airflow to be healthy", self._healthy, 180)
        self.token = str(self._call("GET", "/auth/token", authorized=False)["access_token"])

    def start_component(self, name: str) -> None:
        """Start one component; its log is `<home>/<name>.log`."""
        program = str(Path(sys.executable).with_name("airflow"))
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [program, name, *COMPONENTS[name]],
                env=self.environment,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )

    def kill_component(self, name: str, *, alone: bool) -> None:
        """Send SIGKILL to a component: alone, or with every process that it has started."""
        process = self.processes.pop(name)
        (os.kill if alone else os.killpg)(process.pid, signal.SIGKILL)
        process.wait()
        self._groups.append(process.pid)

    def stop(self) -> None:
        """End every component and whatever it has started."""
        for process in self.processes.values():
            with suppress(ProcessLookupError):
                process.terminate()
        deadline = time.monotonic() + 10
        for process in self.processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=max(0.1, deadline - time.monotonic()))
        for process in self.processes.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for group in self._groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)

    def get(self, path: str) -> Any:
        """GET below `/api/v2`."""
        return self._call("GET", f"/api/v2{path}")

    def post(self, path: str, body: Any) -> Any:
        """POST below `/api/v2`."""
        return self._call("POST", f"/api/v2{path}", body)

    def patch(self, path: str, body: Any) -> Any:
        """PATCH below `/api/v2`."""
        return self._call("PATCH", f"/api/v2{path}", body)

    def add_dag(self, name: str, text: str, dag_id: str, wait_s: float = 90.0) -> None:
        """Write a DAG file and wait until Airflow knows its DAG, which is then unpaused."""
        (self.dags / name).write_text(text)

        def known() -> bool:
            errors = self.get("/importErrors")["import_errors"]
            assert errors == [], errors[0]["stack_trace"]
            with suppress(HTTPError):
                return bool(self.get(f"/dags/{dag_id}")["dag_id"] == dag_id)
            return False

        self.wait_for(f"DAG {dag_id}", known, wait_s)
        self.patch(f"/dags/{dag_id}", {"is_paused": False})

    def trigger(self, dag_id: str, run_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Start a DAG run and return its id."""
        body = {"dag_run_id": run_id, "logical_date": None, "conf": dict(conf or {})}
        return str(self.post(f"/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def state(self, dag_id: str, run_id: str) -> str:
        """The state of a DAG run."""
        return str(self.get(f"/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def tasks(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """The state of each task of a DAG run; mapped ones as `task[3]`."""
        found = self.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances?limit=1000")["task_instances"]
        return {t["task_id"] + (f"[{t['map_index']}]" if t["map_index"] >= 0 else ""): t["state"] for t in found}

    def finished(self, dag_id: str, run_id: str, wait_s: float = 120.0) -> str:
        """Wait until a DAG run has ended and return its state."""
        self.wait_for(f"{dag_id} {run_id}", lambda: self.state(dag_id, run_id) in {"success", "failed"}, wait_s)
        return self.state(dag_id, run_id)

    def wait_for(self, what: str, happened: Callable[[], bool], wait_s: float) -> None:
        """Wait until something has happened; what the components said last if it does not."""
        deadline = time.monotonic() + wait_s
        while not happened():
            dead = [name for name, process in self.processes.items() if process.poll() is not None]
            if dead or time.monotonic() > deadline:
                why = f"{', '.join(dead)} ended" if dead else f"waited {wait_s:g} s"
                raise TimeoutError(f"{what}: {why}\n{self.last_words()}")
            time.sleep(0.3)

    def last_words(self) -> str:
        """The end of each component's log."""
        logs = sorted(self.home.glob("*.log"))
        return "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')[-2000:]}" for log in logs)

    def task_processes(self) -> list[int]:
        """The processes that run tasks just now: children of the scheduler's workers."""
        parents = {pid: parent_of(pid) for pid in _pids()}
        workers = self._workers(parents)
        return [pid for pid, parent in parents.items() if parent in workers]

    def task_supervisors(self) -> list[int]:
        """The scheduler's workers that watch over a task just now."""
        parents = {pid: parent_of(pid) for pid in _pids()}
        return sorted(self._workers(parents) & set(parents.values()))

    def _workers(self, parents: Mapping[int, int]) -> set[int]:
        scheduler = self.processes["scheduler"].pid
        return {pid for pid, parent in parents.items() if parent == scheduler}

    def _healthy(self) -> bool:
        with suppress(URLError, HTTPError, ConnectionError, TimeoutError):
            health = self._call("GET", "/api/v2/monitor/health", authorized=False)
            parts = ("metadatabase", "scheduler", "triggerer", "dag_processor")
            return all(health[part]["status"] == "healthy" for part in parts)
        return False

    def _call(self, method: str, path: str, body: Any = None, *, authorized: bool = True) -> Any:
        headers = {"content-type": "application/json"}
        if authorized:
            headers["authorization"] = f"Bearer {self.token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")


@contextmanager
def running_airflow(
    home: Path,
    server: PostgresServer,
    connections: Mapping[str, Mapping[str, Any]],
    environment: Mapping[str, str] | None = None,
) -> Iterator[RealAirflow]:
    """Run an Airflow on a new database of `server`; `environment` is added to that of its processes."""
    database = server.new_database()
    # A killed scheduler's workers live on with its connection, forked into them: the server would never learn that
    # nobody will end its transaction, and the tasks it has locked would be passed over for ever.
    server.execute(f"ALTER DATABASE \"{database}\" SET idle_in_transaction_session_timeout = '30s'")
    airflow = RealAirflow(home, server.url(database), connections, environment)
    try:
        airflow.start()
        yield airflow
    finally:
        airflow.stop()


@contextmanager
def api_server_with_passwords(airflow: RealAirflow) -> Iterator[str]:
    """Run a second API server, which knows people by their passwords (ada, "ada's own"); yield where it is."""
    passwords = airflow.home / "passwords.json"
    passwords.write_text(json.dumps({"ada": "ada's own"}))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = {
        **airflow.environment,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "ada:viewer",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
    }
    program = str(Path(sys.executable).with_name("airflow"))
    url = f"http://127.0.0.1:{port}"
    with (airflow.home / "api-server-with-passwords.log").open("wb") as log:
        server = subprocess.Popen(
            [program, "api-server"], env=environment, cwd=airflow.home, stdout=log, stderr=log, start_new_session=True
        )
        try:
            airflow.wait_for("an API server with passwords", lambda: _answers(f"{url}/api/v2/version"), 120)
            yield url
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _answers(url: str) -> bool:
    try:
        return bool(urllib.request.urlopen(url, timeout=5).status == 200)
    except OSError:
        return False


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def parent_of(pid: int) -> int:
    """Return a process's parent; 0 where there is no such process."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0
