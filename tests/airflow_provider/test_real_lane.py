"""A real Airflow (`tests.real_airflow`) with our provider: killed tasks, a person's answer, watchers, pages, secrets.

One Airflow for the whole module, with a connection whose password and S3 keys are canaries. The tests go in order: the
last one looks for the canaries in everything that the others have left.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

import penstock
from penstock.stores.sql.urls import PostgresUrl, parse_store_url
from tests import tiny
from tests.airflow_provider.leaks import files_holding, objects_of, rows_of, shapes_of
from tests.postgres_server import PostgresServer
from tests.real_airflow import RealAirflow, api_server_with_passwords, parent_of, running_airflow
from tests.s3_servers import BUCKET, KEY, REGION, SECRET, S3Server, new_prefix

# Collected where there is a browser; a lane that promises one sets the variable, and fails if there is none.
BROWSER = os.environ.get("PENSTOCK_TESTS_BROWSER") or shutil.which("chromium")
LANE = Path(__file__).with_name("lane")
ROUNDS = 8


@dataclass(frozen=True)
class Lane:
    """The running Airflow, the store behind its connection, and the canary in it."""

    airflow: RealAirflow
    store_url: str
    artifacts: str
    bucket: S3Server
    canary: str
    signs: Path

    def client(self) -> penstock.Client:
        """A client from outside Airflow, as the command line has it."""
        keys = penstock.S3Options(self.bucket.endpoint, REGION, access_key_id=KEY, secret_access_key=SECRET)
        return penstock.connect(self.store_url, self.artifacts, s3=keys, actor="somebody outside")


@pytest.fixture(scope="module")
def lane(
    postgres_server: PostgresServer,
    postgres_template: str,
    rclone: S3Server,
    held_out: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Lane]:
    store_url = postgres_server.url(postgres_server.new_database(postgres_template))
    parsed = parse_store_url(store_url)
    assert isinstance(parsed, PostgresUrl)
    canary, artifacts = f"S3CR3T/{uuid.uuid4().hex}", f"s3://{BUCKET}/{new_prefix()}"
    connection: dict[str, Any] = {
        "conn_type": "penstock",
        "host": parsed.host,
        "port": parsed.port,
        "schema": parsed.database,
        "login": parsed.user,
        "password": canary,
        "extra": {
            "artifacts": artifacts,
            "s3_access_key_id": KEY,
            "s3_secret_access_key": SECRET,
            "s3_endpoint": rclone.endpoint,
            "s3_region": REGION,
        },
    }
    home, signs = tmp_path_factory.mktemp("real-airflow"), tmp_path_factory.mktemp("signs")
    events = {"type": "file", "log_file_path": str(home / "openlineage.jsonl"), "append": True}
    environment = {
        "PENSTOCK_CACHE": "0",
        "AIRFLOW__PENSTOCK__WATCH_INTERVAL_S": "1",
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(events),
        "AIRFLOW__OPENLINEAGE__SELECTIVE_ENABLE": "True",  # a process more for every task: where a DAG asks for it
    }
    with running_airflow(home, postgres_server, {"penstock_default": connection}, environment) as airflow:
        for name, dag_ids in {
            "retraining": ["retraining"],
            "approving": ["approving", "unanswered"],
            "deploying": ["deploying", "waiting"],
            "dying": ["dying"],
        }.items():
            text = (LANE / f"{name}.py").read_text().replace("@HELD_OUT@", held_out).replace("@FOLDER@", str(signs))
            for dag_id in dag_ids:
                airflow.add_dag(f"{name}.py", text, dag_id)
        yield Lane(airflow, store_url, artifacts, rclone, canary, signs)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_retraining_survives_tasks_killed_at_random(lane: Lane) -> None:
    _retrain_while_killing(lane, ROUNDS, kills_per_run=3)


@pytest.mark.soak
@pytest.mark.timeout(5400)
def test_fifty_retraining_runs_survive_tasks_and_components_killed_at_random(lane: Lane) -> None:
    """Task processes, their supervisors (an orphan lives on beside its retry) and Airflow's own components."""
    kinds = ("task",) * 5 + ("supervisor", "component")
    _retrain_while_killing(lane, 50, kills_per_run=3, kinds=kinds)


def _retrain_while_killing(lane: Lane, rounds: int, kills_per_run: int, kinds: Sequence[str] = ("task",)) -> None:
    """Every run ends, its own way; the store is sound, and nothing happened twice."""
    airflow, rng = lane.airflow, random.Random(7)
    prefix = uuid.uuid4().hex[:6]
    runs = [
        airflow.trigger("retraining", f"{prefix}-{n}", {"strength": 1.0 + n % 3 if n % 4 else 0.001})
        for n in range(rounds)
    ]
    kills: Counter[str] = Counter()
    started = time.monotonic()
    while going := _still_going(airflow, prefix):
        assert time.monotonic() < started + 300 + 60 * rounds, airflow.last_words()
        time.sleep(rng.uniform(0.3, 3.0))
        if kills.total() < kills_per_run * (rounds - going + 1):  # spread over all of them
            kills += _kill(airflow, rng.choice(kinds), rng)
    ended = time.monotonic() - started
    assert kills["task"] >= rounds
    with lane.client() as client:
        client.reap()
        assert list(client.verify()) == []
        found = {run.key.partition: run for run in client.list_runs(tiny.EXPERIMENT) if prefix in run.key.partition}
        assert sorted(found) == sorted(runs)
        versions = client.list_versions(tiny.MODEL)
        moves = client.alias_history(tiny.MODEL)
        for run_id in runs:
            _check_one(lane, client, found[run_id].run_id, airflow.tasks("retraining", run_id), versions)
        assert [move.generation for move in moves] == list(range(1, len(moves) + 1))
        assert len({version.authorization.decision_id for version in versions}) == len(versions)
        # Every promotion is told of once, with its generation; what was refused tells nothing.
        told = [event["extra"].get("generation") for event in _asset_events(airflow)]
        assert sorted(told) == [move.generation for move in moves]
        ends = Counter(found[run_id].status.value for run_id in runs)
    print(f"{rounds} runs in {ended:.0f} s, killed {dict(kills)}: {dict(ends)}", end="; ")
    print(f"{len(versions)} versions, {len(moves)} moves of the alias")


def _kill(airflow: RealAirflow, what: str, rng: random.Random) -> Counter[str]:
    """Send SIGKILL to one such process, and start a component again; return what was killed."""
    if what == "component":
        name = rng.choice(list(airflow.processes))
        # As a machine dies, with everything on it; or a scheduler alone, whose workers live on as orphans.
        airflow.kill_component(name, alone=name == "scheduler" and rng.random() < 0.5)
        airflow.start_component(name)
        return Counter([name])
    victims = airflow.task_processes() if what == "task" else airflow.task_supervisors()
    if not victims:
        return Counter()
    with suppress(ProcessLookupError):
        os.kill(rng.choice(victims), signal.SIGKILL)
        return Counter([what])
    return Counter()


def _still_going(airflow: RealAirflow, prefix: str) -> int:
    """Return how many of the runs have not ended; while the API server is away, that some have not."""
    try:
        runs = airflow.get("/dags/retraining/dagRuns?limit=100&order_by=-run_after")["dag_runs"]
    except OSError:
        return 100
    mine = [run["state"] for run in runs if run["dag_run_id"].startswith(prefix)]
    return sum(state not in {"success", "failed"} for state in mine)


def _check_one(
    lane: Lane, client: penstock.Client, run_id: str, states: Mapping[str, str | None], versions: Any
) -> None:
    """One run per key, one version per accepted run, nothing left running; only a lost race for the alias may fail."""
    details = client.get_run(run_id)
    assert details.run.status.value in {"FINISHED", "FAILED"}, details.run
    assert {step.state.value for step in details.steps} <= {"DONE", "FAILED"}
    (decision,) = client.wiring.store.list_decisions(run_id)
    mine = [version for version in versions if version.run_id == run_id]
    assert len(mine) == (1 if decision.passed else 0)
    failed = {task for task, state in states.items() if state in {"failed", "upstream_failed"}}
    assert failed <= {"promote"}, states
    assert (details.run.status.value == "FAILED") == bool(failed)
    if not decision.passed:
        assert states["gate"] == states["promote"] == "skipped"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_task_that_is_marked_evicted_or_orphaned_leaves_nothing_running_and_clearing_it_carries_on(
    lane: Lane,
) -> None:
    airflow = lane.airflow
    names = ("marked", "evicted", "orphaned")
    for name in names:
        airflow.trigger("dying", name)
    pids = {name: _begun(lane, name, 1) for name in names}
    os.kill(pids["evicted"], signal.SIGTERM)
    os.kill(parent_of(pids["orphaned"]), signal.SIGKILL)
    airflow.patch("/dags/dying/dagRuns/marked/taskInstances/train", {"new_state": "failed"})
    assert airflow.finished("dying", "marked") == "failed"
    with lane.client() as client:
        runs = {run.key.partition: run.run_id for run in client.list_runs("tests/dying")}
        marked = partial(client.get_run, runs["marked"])
        airflow.wait_for("the marked run's end", lambda: marked().run.status.value == "KILLED", 30)
    airflow.wait_for("the marked task's end", partial(_is_gone, pids["marked"]), 30)
    second = {name: _begun(lane, name, 2) for name in ("evicted", "orphaned")}
    assert _is_gone(pids["evicted"])
    assert not _is_gone(pids["orphaned"])  # Two attempts are alive.
    assert second["orphaned"] != pids["orphaned"]
    for name in names:
        (lane.signs / f"{name}.go").touch()
    airflow.post("/dags/dying/clearTaskInstances", {"dag_run_id": "marked", "dry_run": False, "only_failed": False})
    assert [airflow.finished("dying", name) for name in names] == ["success"] * 3
    airflow.wait_for("the orphan's end", partial(_is_gone, pids["orphaned"]), 60)
    with lane.client() as client:
        assert {run.key.partition: run.run_id for run in client.list_runs("tests/dying")} == runs
        for name in names:
            details = client.get_run(runs[name])
            assert (details.run.status.value, details.metrics["gone_on"]) == ("FINISHED", 2.0), name
            assert {step.state.value for step in details.steps} == {"DONE"}
        assert list(client.verify()) == []


def _is_gone(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


def _begun(lane: Lane, name: str, number: int) -> int:
    """Wait until a try of the training has begun; return its process."""
    sign = lane.signs / f"{name}-{number}"
    lane.airflow.wait_for(f"try {number} of {name}", sign.exists, 120)
    return int(sign.read_text())


ASKED = {"yes": "approving", "no": "approving", "nobody": "unanswered"}


@pytest.fixture(scope="module")
def answered(lane: Lane) -> Lane:
    """Three DAG runs that asked a person: approved, rejected, and left until time ran out."""
    airflow = lane.airflow
    for run_id, dag_id in ASKED.items():
        airflow.trigger(dag_id, run_id)
    for run_id in ("yes", "no"):
        airflow.wait_for(f"{run_id} to wait", partial(_waits, airflow, run_id), 240)
    detail = airflow.get("/dags/approving/dagRuns/yes/taskInstances/approve/-1/hitlDetails")
    assert "roc\\_auc" in detail["body"]
    assert "release-manager" in detail["subject"]
    for run_id, option in (("yes", "Approve"), ("no", "Reject")):
        airflow.wait_for(f"{option} to be taken", partial(_taken, airflow, run_id, option), 240)
    ends = {run_id: airflow.finished(dag_id, run_id, 240) for run_id, dag_id in ASKED.items()}
    assert ends == dict.fromkeys(ASKED, "success")
    return lane


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_person_approves_rejects_or_lets_time_run_out(answered: Lane) -> None:
    lane, airflow = answered, answered.airflow
    ends = {run_id: airflow.tasks(dag_id, run_id) for run_id, dag_id in ASKED.items()}
    assert {run_id: (tasks["approve"], tasks["register"]) for run_id, tasks in ends.items()} == {
        "yes": ("success", "success"),
        "no": ("skipped", "skipped"),
        "nobody": ("skipped", "skipped"),
    }
    with lane.client() as client:
        answers = {
            found.request.request_id: (found.state.value, found.answer.reason, found.answer.actor["subject"])
            for found in client.list_approvals(model="approved")
            if found.answer is not None
        }
        told = [e for e in client.read_ledger(model="approved") if e.kind == "approval_answered"]
        runs = {run.key.partition: run.status.value for run in client.list_runs("tests/approving")}
        assert [version.version for version in client.list_versions("approved")] == [1]
        assert list(client.verify()) == []
    assert sorted(answers.values()) == [
        ("approved", "because Approve", "Anonymous"),
        ("rejected", "because Reject", "Anonymous"),
        ("rejected", "nobody answered in time", "airflow"),
    ]
    assert sorted(event.why for event in told) == sorted(reason for _, reason, _ in answers.values())
    assert runs == dict.fromkeys(ASKED, "FINISHED")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_openlineage_is_told_what_went_in_and_which_version_came_out(answered: Lane) -> None:
    """By Airflow's own OpenLineage provider, from the processes that run the tasks."""
    told: dict[str, dict[str, set[tuple[str, str]]]] = {}
    for line in (answered.airflow.home / "openlineage.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event["eventType"] == "COMPLETE":
            of_task = told.setdefault(event["job"]["name"], {"inputs": set(), "outputs": set()})
            for way, found in of_task.items():
                found |= {(d["name"], d["facets"]["version"]["datasetVersion"]) for d in event[way]}
    with answered.client() as client:
        (version,) = client.list_versions("approved")
        (trained_on,) = {(data.name, data.digest) for data in client.get_run(version.run_id).inputs}
    trained = (f"data/{trained_on[0]}", trained_on[1])
    assert trained in told["approving.evaluate"]["inputs"]
    assert {name for name, _ in told["approving.evaluate"]["inputs"]} == {"data/held_out", trained[0]}
    assert trained in told["approving.register"]["inputs"]
    assert told["approving.register"]["outputs"] == {("models/approved", "1")}


def _waits(airflow: RealAirflow, run_id: str) -> bool:
    # Before Airflow 3.3 what waits for a person is deferred like everything else that waits.
    return airflow.tasks("approving", run_id)["approve"] in {"awaiting_input", "deferred"}


def _taken(airflow: RealAirflow, run_id: str, option: str) -> bool:
    """Answer, and say whether the task has gone on.

    Airflow 3.3 loses an answer that comes within seconds of the question: the task is tried again, and asks again.
    """
    if _waits(airflow, run_id):
        time.sleep(4)
        body = {"chosen_options": [option], "params_input": {"reason": f"because {option}"}}
        with suppress(HTTPError):  # Answered a moment ago.
            airflow.patch(f"/dags/approving/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails", body)
    return airflow.tasks("approving", run_id)["approve"] in {"success", "skipped", "failed"}


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_promotion_made_elsewhere_runs_the_dag_that_is_scheduled_on_the_champion(lane: Lane) -> None:
    airflow = lane.airflow
    airflow.trigger("waiting", "for-ever")
    before = {run["dag_run_id"] for run in airflow.get("/dags/deploying/dagRuns")["dag_runs"]}
    with lane.client() as client:
        moves = client.alias_history(tiny.MODEL)
        held = {version.version for version in client.list_versions(tiny.MODEL)} - {moves[-1].to_version}
        past = next(move.to_version for move in reversed(moves) if move.to_version in held)
        client.rollback(tiny.MODEL, "champion", to=past, reason="seen from the command line")

    def deployed() -> list[str]:
        runs = airflow.get("/dags/deploying/dagRuns")["dag_runs"]
        return [r["dag_run_id"] for r in runs if r["dag_run_id"] not in before and r["state"] == "success"]

    airflow.wait_for("the deployment", lambda: bool(deployed()), 120)
    told = airflow.get(f"/dags/deploying/dagRuns/{deployed()[0]}/taskInstances/deploy/xcomEntries/return_value")
    assert str(past) in str(told["value"])
    assert "seen from the command line" in str(told["value"])


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_backfill_changes_nothing_that_is_live(lane: Lane) -> None:
    airflow = lane.airflow
    with lane.client() as client:
        before = client.alias_history(tiny.MODEL)
    events = len(_asset_events(airflow))
    body = {
        "dag_id": "retraining",
        "from_date": "2026-02-01T00:00:00Z",
        "to_date": "2026-02-01T00:00:00Z",
        "dag_run_conf": {"strength": 50.0},
        "reprocess_behavior": "none",
        "max_active_runs": 1,
    }
    airflow.post("/backfills", body)
    airflow.wait_for("the backfill", lambda: bool(_backfilled(airflow)), 120)
    (run_id,) = _backfilled(airflow)
    airflow.finished("retraining", run_id, 240)
    assert airflow.tasks("retraining", run_id)["promote"] == "skipped"
    with lane.client() as client:
        assert client.alias_history(tiny.MODEL) == before
    assert len(_asset_events(airflow)) == events


def _backfilled(airflow: RealAirflow) -> list[str]:
    runs = airflow.get("/dags/retraining/dagRuns")["dag_runs"]
    return [run["dag_run_id"] for run in runs if run["run_type"] == "backfill"]


def _asset_events(airflow: RealAirflow) -> list[Any]:
    found: list[Any] = airflow.get("/assets/events")["asset_events"]
    return found


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_page_is_behind_airflows_login(lane: Lane) -> None:
    """At an API server that knows people by their passwords: the module's own lets everybody in as an administrator."""
    run_id = next(run.run_id for run in _runs(lane))
    with api_server_with_passwords(lane.airflow) as url:
        body = json.dumps({"username": "ada", "password": "ada's own"}).encode()
        asked = Request(f"{url}/auth/token", body, {"content-type": "application/json"})
        token = json.loads(urlopen(asked, timeout=30).read())["access_token"]
        for path in ("/", "/dags/retraining", f"/dags/retraining/runs/{run_id}", "/dags/retraining/report"):
            address = f"{url}/penstock{path}"
            for headers, status in (({}, 401), ({"authorization": "Bearer forged"}, 403)):
                with pytest.raises(HTTPError) as refused:
                    urlopen(Request(address, headers=headers), timeout=30)
                assert refused.value.code == status
                assert "champion" not in refused.value.read().decode()
            signed = Request(address, headers={"authorization": f"Bearer {token}"})
            assert urlopen(signed, timeout=60).status == 200


@pytest.mark.slow
def test_the_page_shows_what_became_of_each_run_and_why(lane: Lane) -> None:
    shown = _page(lane, "/dags/retraining")
    assert "benign@champion, newest first" in shown
    assert "all 2 rules hold" in shown
    assert "FINISHED" in shown
    assert _page(lane, "/").count("retraining") == 2
    assert "roc_auc" in _page(lane, "/dags/retraining/report")
    links = lane.airflow.get(f"/dags/retraining/dagRuns/{_finished(lane)}/taskInstances/gate/links")["extra_links"]
    with urlopen(_signed(lane, links["Penstock decision"]), timeout=30) as answer:
        assert "policy" in answer.read().decode()
    assert links["Penstock run"].startswith(f"{lane.airflow.url}/penstock/dags/retraining/runs/")


def _runs(lane: Lane) -> Any:
    with lane.client() as client:
        return client.list_runs(tiny.EXPERIMENT)


def _finished(lane: Lane) -> str:
    runs = lane.airflow.get("/dags/retraining/dagRuns")["dag_runs"]
    return next(str(run["dag_run_id"]) for run in runs if run["state"] == "success")


def _page(lane: Lane, path: str) -> str:
    with urlopen(_signed(lane, f"{lane.airflow.url}/penstock{path}"), timeout=30) as answer:
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        return str(answer.read().decode())


def _signed(lane: Lane, url: str) -> Request:
    return Request(url, headers={"authorization": f"Bearer {lane.airflow.token}"})


if BROWSER is not None:

    @pytest.mark.slow
    def test_the_page_is_drawn_by_a_real_browser(lane: Lane, tmp_path: Path) -> None:
        """A wide window and a phone's; nothing is blocked by the page's own policy, or fetched from anywhere."""
        for name, size in (("wide", "1280,1400"), ("phone", "390,1400")):
            shot, address = tmp_path / f"{name}.png", "/auth/token/login?next=/penstock/dags/retraining"
            drawn = _browse(lane, address, tmp_path / name, f"--window-size={size}", f"--screenshot={shot}")
            assert shot.stat().st_size > 20_000
            assert not [line for line in drawn.stderr.splitlines() if "CONSOLE" in line], drawn.stderr
        dom = _browse(lane, "/auth/token/login?next=/penstock/dags/retraining", tmp_path / "dom", "--dump-dom").stdout
        assert "benign@champion, newest first" in dom


def _browse(lane: Lane, address: str, profile: Path, *options: str) -> subprocess.CompletedProcess[str]:
    quiet = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic")
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", *quiet]
    command += ["--enable-logging=stderr", "--hide-scrollbars", f"--user-data-dir={profile}", *options]
    return subprocess.run(
        [*command, lane.airflow.url + address], capture_output=True, text=True, check=True, timeout=60
    )


@pytest.mark.slow
def test_no_secret_is_found_in_what_airflow_and_the_store_have_kept(lane: Lane) -> None:
    airflow = lane.airflow
    shapes = [shape for secret in (lane.canary, SECRET) for shape in shapes_of(secret)]
    kept = [*rows_of(airflow.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]), *rows_of(lane.store_url)]
    tables = {table for table, _ in kept}
    assert {"xcom", "rendered_task_instance_fields", "trigger", "asset_event", "hitl_detail"} <= tables
    assert [table for table, text in kept for shape in shapes if shape in text] == []
    assert any("penstock" in path.read_text(errors="replace") for path in (airflow.home / "logs").rglob("*.log"))
    assert files_holding([airflow.home], shapes) == []
    assert [key for key, text in objects_of(lane.bucket) for shape in shapes if shape in text] == []
