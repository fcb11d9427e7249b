"""Opening a store: `connect(url)` wires the services to the outer pieces. No globals."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.client.client import Client
from penstock.client.extras import extra
from penstock.errors import InvalidValue
from penstock.model.audit import Actor
from penstock.model.runs import LEASE_S
from penstock.ports import ModelFormat
from penstock.ports.model_trial import Trial
from penstock.ports.scorer import Scorer
from penstock.services.active_run import ActiveRun
from penstock.services.tracking import RUN_ID_VARIABLE
from penstock.services.wiring import Wiring

if TYPE_CHECKING:
    from penstock.artifacts.urls import S3Options
    from penstock.evaluation.engine import MeasuringEngine
    from penstock.stores.sql.urls import StoreUrl

URL_VARIABLE = "PENSTOCK_URL"
ARTIFACTS_VARIABLE = "PENSTOCK_ARTIFACTS"
ACTOR_VARIABLE = "PENSTOCK_ACTOR"
DEFAULT_URL = "sqlite:///penstock.db"
ORCHESTRATORS = "penstock.orchestrators"


def connect(
    url: str | None = None,
    artifacts: str | Path | None = None,
    *,
    actor: Actor | str | None = None,
    host: Mapping[str, Any] | None = None,
    lease_s: float = LEASE_S,
    s3: S3Options | None = None,
) -> Client:
    """Open a store and return a client for it.

    `url` is where records live (`sqlite:///penstock.db` or `postgresql+psycopg://user:password@host:port/database`;
    default `PENSTOCK_URL`), `artifacts` where bytes live (a folder or `s3://bucket/prefix`; default
    `PENSTOCK_ARTIFACTS`, else `artifacts` beside a SQLite file). `actor` is who acts, asserted (default
    `PENSTOCK_ACTOR`, else the user of this process). `host` holds an orchestrator's coordinates of this process.
    `lease_s` is how long what this process works on may be silent (a heartbeat speaks for it) before it counts as dead.
    `s3` says how a bucket is reached and with which keys (default: `PENSTOCK_S3_ENDPOINT` and boto3's own sources).
    A new store is created where there is none; `StoreUnavailable` if it cannot be reached.
    """
    from penstock.artifacts.opening import open_artifacts
    from penstock.stores.sql.store import SqlStore
    from penstock.stores.sql.urls import parse_store_url

    parsed = parse_store_url(url or os.environ.get(URL_VARIABLE) or DEFAULT_URL)
    location = artifacts or os.environ.get(ARTIFACTS_VARIABLE) or _beside(parsed)
    wiring = Wiring(
        store=SqlStore(parsed),
        artifacts=open_artifacts(location, s3),
        model_format=_model_format,
        evaluator=_engine,
        reader=_engine,
        scorer=_scorer,
        trial=_try,
        actor=_actor(actor),
        host=host or {},
        lease_s=lease_s,
    )
    return Client(wiring)


def join_run(run: object = None, *, step: str | None = None, map_index: int | None = None) -> ActiveRun:
    """Join an open run from anywhere: the store from `PENSTOCK_URL`, the run by reference or `PENSTOCK_RUN_ID`.

    Without those, an orchestrator that this process is a task of says which run and which store: whatever is installed
    as an entry point of the group `penstock.orchestrators`, a function of these three arguments that returns None
    outside its orchestrator.
    """
    from importlib.metadata import entry_points

    if RUN_ID_VARIABLE not in os.environ and not (run is not None and os.environ.get(URL_VARIABLE)):
        for found in entry_points(group=ORCHESTRATORS):
            joined: ActiveRun | None = found.load()(run, step, map_index)
            if joined is not None:
                return joined
    return connect().join_run(run, step=step, map_index=map_index)


def _model_format() -> ModelFormat:
    with extra("saving and loading models", "eval"):
        from penstock.models.format import MlmodelFormat
    return MlmodelFormat()


@lru_cache(maxsize=1)
def _engine() -> MeasuringEngine:
    with extra("evaluation", "eval"):
        from penstock.evaluation.engine import MeasuringEngine
    return MeasuringEngine()


def _scorer() -> Scorer:
    with extra("batch scoring", "eval"):
        from penstock.evaluation.scoring import BatchScorer
    return BatchScorer()


def _try(folder: Path, uri: str, timeout_s: float) -> Trial:
    from penstock.models import trial

    return trial.in_clean_process(folder, uri, timeout_s)


def _beside(url: StoreUrl) -> Path:
    from penstock.stores.sql.urls import SqliteUrl

    if not isinstance(url, SqliteUrl):
        hint = f"Name one with artifacts= or {ARTIFACTS_VARIABLE}: beside a store URL of a server there is no folder"
        raise InvalidValue("artifacts", None, "a folder that every process of this store can reach", hint)
    return url.path.parent / "artifacts"


def _actor(given: Actor | str | None) -> Actor:
    if isinstance(given, Actor):
        return given
    if given is None:
        given = os.environ.get(ACTOR_VARIABLE) or getpass.getuser()
    return Actor("user", given)
