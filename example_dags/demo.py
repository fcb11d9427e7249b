"""`make demo`: months of real flights through Airflow, then through Prefect, on one store.

Every month is trained, evaluated against the champion on the month that follows, and let in or refused. Each
orchestrator runs in a process of its own and keeps its own home below `.demo`; its log goes to `.demo/logs`. Run it
again: what was done answers from the store, and nothing changes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import penstock
from example_dags import flights

HOME = Path(".demo").absolute()
URL = f"sqlite:///{HOME / 'penstock.db'}"
AIRFLOW_MONTHS = ("2013-02", "2013-03", "2013-04", "2013-05", "2013-06")
PREFECT_MONTHS = ("2013-07", "2013-08")


def main() -> None:
    """Run the demo, or, named on the command line by the demo itself, one orchestrator's part of it."""
    if sys.argv[1:] == ["airflow"]:
        _through_airflow()
    elif sys.argv[1:] == ["prefect"]:
        _through_prefect()
    else:
        _demo()


def _demo() -> None:
    started = time.monotonic()
    HOME.mkdir(exist_ok=True)
    print("Penstock demo: will this flight from New York arrive more than 15 minutes late?")
    print("Each month a model is trained on the months so far and held out on the next one.\n")
    print("Preparing 327,346 real flights of 2013 ...", flush=True)
    os.environ.update(_environment())
    flights.DATA = Path(os.environ["FLIGHTS_DATA"])
    flights.month_file("2013-01")
    before = _ledger_length()
    for name, months in (("Airflow", AIRFLOW_MONTHS), ("Prefect", PREFECT_MONTHS)):
        print(f"\n{name}: {len(months)} months (its log: .demo/logs/{name.lower()}.log)", flush=True)
        subprocess.run([sys.executable, "-m", "example_dags.demo", name.lower()], check=True)
    _show(before, time.monotonic() - started)


def _show(before: int, seconds: float) -> None:
    from penstock.cli.stories import print_stories

    with penstock.connect(URL) as client:
        stories = client.run_stories(flights.EXPERIMENT)
        print()
        print_stories(stories)
        report = client.write_report(flights.EXPERIMENT, HOME / "report.html", title="On time: flights from New York")
    refused = ", ".join(sorted(flights.WEAK_MONTHS))
    print(f"\n{refused} was trained with a deliberately weaker configuration (example_dags/flights.py): it is refused.")
    if before and before == _ledger_length():
        print("Everything had been done before: every step returned its stored result, and nothing changed.")
    print(f"\nReport with plots: {report}")
    print(f"Done in {seconds:.0f} s. Try next:\n")
    for command in ("models history on-time", "models show on-time", f"runs list {flights.EXPERIMENT}", "ledger"):
        print(f"  .venv/bin/penstock --url sqlite:///.demo/penstock.db {command}")
    print("  make demo                # again: changes nothing that was done")
    print("  rm -r .demo              # start over")


def _environment() -> dict[str, str]:
    return {
        "PENSTOCK_URL": URL,
        "PENSTOCK_ARTIFACTS": str(HOME / "artifacts"),
        "FLIGHTS_DATA": str(HOME / "flights"),
        # One thread: gradient boosting on a busy machine of few cores spends its time waiting for its own threads.
        "OMP_NUM_THREADS": "1",
    }


def _ledger_length() -> int:
    if not (HOME / "penstock.db").exists():
        return 0
    with penstock.connect(URL) as client:
        return sum(1 for _ in client.read_ledger())


@contextmanager
def _logged_apart(name: str) -> Iterator[Callable[[str], None]]:
    """Send everything this process prints to a log file, and yield a way to say something to the person."""
    (HOME / "logs").mkdir(exist_ok=True)
    person = os.fdopen(os.dup(1), "w")
    log = os.open(HOME / "logs" / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)

    def say(text: str) -> None:
        person.write(text)
        person.flush()

    try:
        yield say
    except BaseException as error:
        say(f"\n  failed: {error}\n  see {HOME / 'logs' / f'{name}.log'}\n")
        raise


def _month_by_month(months: tuple[str, ...], retrain: Callable[[str], None], say: Callable[[str], None]) -> None:
    for month in months:
        say(f"  {month} ... ")
        started, before = time.monotonic(), _ledger_length()
        retrain(month)
        seconds = time.monotonic() - started
        with penstock.connect(URL) as client:
            story = next(s for s in client.run_stories(flights.EXPERIMENT) if s.run.key.partition == month)
        verdict = story.decision.verdict.value if story.decision else story.run.status.value
        done = "done before, nothing changed" if before == _ledger_length() else "trained, evaluated, decided"
        let_in = f"version {story.version.version} is champion" if story.moves and story.version else "champion stays"
        say(f"{verdict}: {let_in} ({done}, {seconds:.0f} s)\n")


def _through_airflow() -> None:
    home = HOME / "airflow"
    (home / "dags").mkdir(parents=True, exist_ok=True)
    os.environ.update(
        AIRFLOW_HOME=str(home),
        AIRFLOW__CORE__DAGS_FOLDER=str(Path(__file__).parent),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{home / 'airflow.db'}",
        AIRFLOW_CONN_PENSTOCK_DEFAULT=(
            f'{{"conn_type": "penstock", "host": "{URL}", "extra": {{"artifacts": "{HOME / "artifacts"}"}}}}'
        ),
    )
    with _logged_apart("airflow") as say:
        say("  setting up Airflow's own database ...\n")
        from airflow.utils import db

        db.initdb()
        from example_dags.on_time_airflow import retraining

        def retrain(month: str) -> None:
            run = retraining.test(logical_date=flights.run_date(month))
            if str(run.state) != "success":
                raise RuntimeError(f"the DAG run of {month} ended {run.state}")

        _month_by_month(AIRFLOW_MONTHS, retrain, say)


def _through_prefect() -> None:
    os.environ.update(PREFECT_HOME=str(HOME / "prefect"), PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS="120")
    with _logged_apart("prefect") as say:
        say("  starting a Prefect server for the flow ...\n")
        from example_dags.on_time_prefect import on_time

        def retrain(month: str) -> None:
            on_time(month)

        _month_by_month(PREFECT_MONTHS, retrain, say)


if __name__ == "__main__":
    main()
