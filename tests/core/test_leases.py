"""Leases: who is silent for too long is ended by the reaper, and cannot come back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import penstock
from penstock.errors import Fenced
from penstock.model.runs import AttemptState, RunStatus
from penstock.ports import StepEnd
from penstock.services.active_run import ActiveRun

EXPERIMENT = "team/project/kind"

# A worker that logs, says so, and then goes on in silence; what it logs last shows whether it may still write.
WORKER = """
import sys, time, penstock
client = penstock.connect(sys.argv[1], actor="worker", lease_s=float(sys.argv[2]))
run = client.join_run(sys.argv[3], step="train")
run.log_metric("before", 1)
print("logged", flush=True)
time.sleep(float(sys.argv[4]))
try:
    run.log_metric("after", 1)
    print("wrote", flush=True)
except penstock.Terminal as error:
    print(type(error).__name__, flush=True)
"""


@pytest.fixture
def run(client: penstock.Client) -> ActiveRun:
    return client.open_run(EXPERIMENT, "p")


def _worker(store_url: str, lease_s: float, run_id: str, silent_s: float) -> subprocess.Popen[str]:
    arguments = [store_url, str(lease_s), run_id, str(silent_s)]
    worker = subprocess.Popen([sys.executable, "-c", WORKER, *arguments], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    assert worker.stdout.readline() == "logged\n"
    return worker


def _said(worker: subprocess.Popen[str]) -> str:
    return worker.communicate(timeout=30)[0].strip()


def test_a_killed_process_leaves_a_run_that_the_reaper_ends_on_record(
    client: penstock.Client, store_url: str, run: ActiveRun
) -> None:
    worker = _worker(store_url, 0.5, run.run_id, 60)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    time.sleep(0.6)
    (lapsed,) = client.reap()
    assert (lapsed.step.name, lapsed.attempt, lapsed.run_ended) == ("train", 1, True)
    details = client.get_run(run.ref)
    assert details.run.status is RunStatus.KILLED
    assert "silent for longer than its lease" in details.run.reason
    assert details.steps[0].state is AttemptState.LAPSED
    assert [e.kind for e in client.read_ledger()] == ["run_opened", "run_ended"]
    assert client.reap() == []


def test_a_stopped_process_that_wakes_after_its_lease_can_no_longer_write(
    empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_ARTIFACTS", str(tmp_path / "artifacts"))
    with penstock.connect(empty_url, actor="tester") as client:
        run = client.open_run(EXPERIMENT, "p")
        worker = _worker(empty_url, 0.5, run.run_id, 0.8)
        os.kill(worker.pid, signal.SIGSTOP)
        time.sleep(0.7)
        assert len(client.reap()) == 1
        os.kill(worker.pid, signal.SIGCONT)
        assert _said(worker) == "Fenced"
        assert client.get_run(run.ref).metrics == {"before": 1.0}


def test_a_live_process_may_be_silent_for_longer_than_its_lease(
    client: penstock.Client, store_url: str, run: ActiveRun
) -> None:
    worker = _worker(store_url, 0.8, run.run_id, 2.0)
    time.sleep(1.4)
    assert client.reap() == []
    assert _said(worker) == "wrote"


def test_a_process_that_exits_in_order_leaves_nothing_to_reap(
    client: penstock.Client, store_url: str, run: ActiveRun
) -> None:
    assert _said(_worker(store_url, 0.3, run.run_id, 0)) == "wrote"
    time.sleep(0.4)
    assert client.reap() == []
    details = client.get_run(run.ref)
    assert (details.run.status, details.steps[0].state) == (RunStatus.RUNNING, AttemptState.DONE)


def test_a_joined_run_stays_open_when_its_block_ends_and_only_the_step_ends(client: penstock.Client) -> None:
    run = client.open_run(EXPERIMENT, "p")
    with client.join_run(run.ref, step="train") as joined:
        joined.log_metric("a", 1)
    with pytest.raises(ValueError, match="no data"), client.join_run(run.ref, step="score") as joined:
        joined.log_metric("b", 1)
        raise ValueError("no data")
    details = client.get_run(run.ref)
    assert details.run.status is RunStatus.RUNNING
    assert {s.step.name: s.state.value for s in details.steps} == {"train": "DONE", "score": "FAILED"}


def test_a_live_attempt_keeps_its_run_while_a_dead_one_beside_it_is_ended(
    client: penstock.Client, store_url: str, run: ActiveRun
) -> None:
    client.join_run(run.ref, step="other").log_metric("alive", 1)
    worker = _worker(store_url, 0.3, run.run_id, 60)
    worker.kill()
    worker.wait()
    time.sleep(0.4)
    assert [found.run_ended for found in client.reap()] == [False]
    assert client.get_run(run.ref).run.status is RunStatus.RUNNING


def test_a_run_past_its_deadline_with_nobody_in_it_is_ended(client: penstock.Client) -> None:
    waiting = client.open_run(EXPERIMENT, "waiting", deadline_s=0.05)
    patient = client.open_run(EXPERIMENT, "patient", deadline_s=3600)
    time.sleep(0.1)
    (found,) = client.reap()
    assert (found.step.run_id, found.run_ended) == (waiting.run_id, True)
    assert client.get_run(waiting.ref).run.status is RunStatus.KILLED
    assert client.get_run(patient.ref).run.status is RunStatus.RUNNING


def test_what_was_reaped_is_carried_on_with_by_a_new_attempt(
    client: penstock.Client, store_url: str, run: ActiveRun
) -> None:
    worker = _worker(store_url, 0.3, run.run_id, 60)
    worker.kill()
    worker.wait()
    time.sleep(0.4)
    client.reap()
    with client.open_run(EXPERIMENT, "p") as again:
        client.join_run(again.ref, step="train").log_metric("retried", 1)
    details = client.get_run(run.ref)
    assert details.run.status is RunStatus.FINISHED
    assert details.metrics == {"retried": 1.0}
    kinds = [e.kind for e in client.read_ledger()]
    assert kinds == ["run_opened", "run_ended", "run_reopened", "run_ended"]


def test_an_attempt_that_lapsed_and_was_reaped_is_fenced_in_its_own_process(client: penstock.Client) -> None:
    run = client.join_run(client.open_run(EXPERIMENT, "p").ref, step="train")
    run.log_metric("a", 1)
    assert run._heartbeat is not None
    run._heartbeat.stop()
    store = client.wiring.store
    assert run._attempt is not None
    store.end_attempt(StepEnd(run._attempt, AttemptState.LAPSED))
    with pytest.raises(Fenced):
        run.log_metric("b", 1)
