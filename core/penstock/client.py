"""The front door: `connect(url)` wires the services to the outer pieces and returns a `Client`. No globals."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from penstock.errors import InvalidValue, MissingExtra
from penstock.model.audit import Actor, AuditEvent, ChainId, experiment_chain, model_chain
from penstock.model.data import DataSource
from penstock.model.decisions import GateDecision
from penstock.model.evaluations import Evaluation
from penstock.model.ids import RunKey
from penstock.model.runs import LEASE_S, Lapsed, Run, RunDetails, RunStatus
from penstock.model.stories import RunStory
from penstock.model.versions import AliasMove, ModelVersion, RegisteredModel
from penstock.ports import ModelFormat, Predictor
from penstock.services import tracking
from penstock.services.active_run import ActiveRun
from penstock.services.references import id_in
from penstock.services.wiring import Wiring

if TYPE_CHECKING:
    from penstock.evaluation.engine import MeasuringEngine
    from penstock.services.verification import Finding
    from penstock.stores.sql.urls import StoreUrl

URL_VARIABLE = "PENSTOCK_URL"
ARTIFACTS_VARIABLE = "PENSTOCK_ARTIFACTS"
ACTOR_VARIABLE = "PENSTOCK_ACTOR"
DEFAULT_URL = "sqlite:///penstock.db"


def connect(
    url: str | None = None,
    artifacts: str | Path | None = None,
    *,
    actor: Actor | str | None = None,
    host: Mapping[str, Any] | None = None,
    lease_s: float = LEASE_S,
) -> Client:
    """Open a store and return a client for it.

    `url` is where records live (`sqlite:///penstock.db` or `postgresql+psycopg://user:password@host:port/database`;
    default `PENSTOCK_URL`), `artifacts` where bytes live (a folder or `s3://bucket/prefix`; default
    `PENSTOCK_ARTIFACTS`, else `artifacts` beside a SQLite file). `actor` is who acts, asserted (default
    `PENSTOCK_ACTOR`, else the user of this process). `host` holds an orchestrator's coordinates of this process.
    `lease_s` is how long what this process works on may be silent (a heartbeat speaks for it) before it counts as dead.
    A new store is created where there is none; `StoreUnavailable` if it cannot be reached.
    """
    from penstock.artifacts.opening import open_artifacts
    from penstock.stores.sql.store import SqlStore
    from penstock.stores.sql.urls import parse_store_url

    parsed = parse_store_url(url or os.environ.get(URL_VARIABLE) or DEFAULT_URL)
    location = artifacts or os.environ.get(ARTIFACTS_VARIABLE) or _beside(parsed)
    wiring = Wiring(
        store=SqlStore(parsed),
        artifacts=open_artifacts(location),
        model_format=_model_format,
        evaluator=_engine,
        reader=_engine,
        actor=_actor(actor),
        host=host or {},
        lease_s=lease_s,
    )
    return Client(wiring)


def join_run(run: object = None, *, step: str = "main", map_index: int = -1) -> ActiveRun:
    """Join an open run from anywhere: the store from `PENSTOCK_URL`, the run by reference or `PENSTOCK_RUN_ID`."""
    return connect().join_run(run, step=step, map_index=map_index)


class Client:
    """Runs, evaluations, gates and the registry of one store. A value to pass around; usable in several threads."""

    def __init__(self, wiring: Wiring) -> None:
        self.wiring = wiring

    def __repr__(self) -> str:
        return f"<penstock client of {self.wiring.store!r}>"

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back connections; the client may be used again afterwards."""
        self.wiring.store.close()

    # ----------------------------------------------------------------------------------------------------- runs

    def open_run(
        self,
        experiment: str,
        key: RunKey | str,
        *,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
        name: str = "",
        logical_date: datetime | None = None,
        parent: object = None,
        deadline_s: float | None = None,
    ) -> ActiveRun:
        """Return the run with this key, creating it if it is not there: a retry finds the same run.

        `key` is a `RunKey`, or a string: the partition (a month, a data interval, a CI commit). As a context manager
        the run is closed at the end of the block. `deadline_s` bounds how long it may stay open while nobody works on
        it.
        """
        return tracking.open_run(
            self.wiring,
            experiment,
            key,
            params=params,
            tags=tags,
            name=name,
            logical_date=logical_date,
            parent=parent,
            deadline_s=deadline_s,
        )

    def join_run(self, run: object = None, *, step: str = "main", map_index: int = -1) -> ActiveRun:
        """Return a handle on an open run, by reference, id or `PENSTOCK_RUN_ID`; what it logs belongs to `step`."""
        return tracking.join_run(self.wiring, run, step=step, map_index=map_index)

    def close_run(self, run: object, status: RunStatus | str = RunStatus.FINISHED, reason: str = "") -> Run:
        """End a run; ending it again with the same status changes nothing."""
        return tracking.close_run(self.wiring, run, status, reason)

    def reap(self) -> Sequence[Lapsed]:
        """End attempts that were silent for longer than their lease, and the runs they leave without anybody.

        A run past its `deadline_s` with nobody working on it is ended too. What was reaped ends KILLED, on record, and
        can be carried on with. Run it from time to time: `penstock runs reap`.
        """
        return tracking.reap(self.wiring)

    def get_run(self, run: object) -> RunDetails:
        """Return a run with its params, metrics, tags, inputs and steps; `NotFound` if there is none."""
        return self.wiring.store.get_run_details(id_in(run, "run_id"))

    def list_runs(self, experiment: str | None = None, limit: int = 100) -> Sequence[Run]:
        """Return runs, newest first."""
        return self.wiring.store.list_runs(experiment, limit)

    def run_stories(self, experiment: str) -> Sequence[RunStory]:
        """Return what became of each run of an experiment, by partition."""
        from penstock.services.stories import run_stories

        return run_stories(self.wiring.store, experiment)

    # -------------------------------------------------------------------------------- evaluations and decisions

    def evaluate(
        self,
        model: object,
        held_out: Any,
        *,
        label: str | None = None,
        task: str = "auto",
        baseline: str | None = None,
        slices: Sequence[str] = (),
        run: object = None,
        accept_from: Sequence[str] = (),
        trusted_types: Sequence[str] | None = None,
        step: str = "evaluate",
        map_index: int = -1,
        progress: Callable[[int], None] | None = None,
    ) -> Evaluation:
        """Measure a model on held-out rows, with `baseline` on the same rows in the same pass.

        `model` is a URI, a logged model or the reference a training step returned. `held_out` is a `DataSource`, or a
        path or DataFrame with its `label` column named. The same model on the same data with the same baseline URI
        returns the stored evaluation. With `run`, the model must belong to that run or to a pipeline in `accept_from`.
        """
        from penstock.services import evaluation

        source = held_out if isinstance(held_out, DataSource) else DataSource(held_out, label=label)
        return evaluation.evaluate(
            self.wiring,
            model,
            source,
            task=task,
            baseline=baseline,
            slices=slices,
            run=run,
            accept_from=accept_from,
            trusted_types=trusted_types,
            step=step,
            map_index=map_index,
            progress=progress,
        )

    def get_evaluation(self, evaluation: object) -> Evaluation:
        """Return an evaluation by reference or id; `NotFound` if there is none."""
        return self.wiring.store.get_evaluation(id_in(evaluation, "evaluation_id"))

    def decide(
        self,
        evaluation: object,
        policy: Any,
        *,
        model: str,
        alias: str = "champion",
        run: object = None,
        accept_from: Sequence[str] = (),
        step: str = "decide",
        map_index: int = -1,
    ) -> GateDecision:
        """Apply a written policy to an evaluation: PASS, FAIL or INCONCLUSIVE, with every reason, on record.

        `policy` is the path of a YAML, TOML or JSON file, or plain data. The decision binds model name, alias, artifact
        and the policy's and data's digests, and the alias's generation; only PASS authorizes a registration and a move.
        """
        from penstock.policies.loading import load_policy
        from penstock.services import gates

        return gates.decide_on(
            self.wiring,
            evaluation,
            load_policy(policy),
            model=model,
            alias=alias,
            run=run,
            accept_from=accept_from,
            step=step,
            map_index=map_index,
        )

    def get_decision(self, decision: object) -> GateDecision:
        """Return a decision by reference or id; `NotFound` if there is none."""
        return self.wiring.store.get_decision(id_in(decision, "decision_id"))

    # ------------------------------------------------------------------------------------------------- registry

    def register(
        self,
        name: str,
        model: object,
        decision: object,
        *,
        run: object = None,
        accept_from: Sequence[str] = (),
        step: str = "register",
        map_index: int = -1,
    ) -> ModelVersion:
        """Register a model under the next version number; needs a passed decision that judged exactly it."""
        from penstock.services import registry

        return registry.register(
            self.wiring, name, model, decision, run=run, accept_from=accept_from, step=step, map_index=map_index
        )

    def promote(
        self,
        name: str,
        alias: str,
        version: object,
        decision: object,
        *,
        run: object = None,
        accept_from: Sequence[str] = (),
        step: str = "promote",
        map_index: int = -1,
    ) -> AliasMove:
        """Point an alias to a version, expecting the generation the decision saw; `Conflict` if another has won."""
        from penstock.services import registry

        return registry.promote(
            self.wiring,
            name,
            alias,
            version,
            decision,
            run=run,
            accept_from=accept_from,
            step=step,
            map_index=map_index,
        )

    def rollback(
        self, name: str, alias: str, *, to: int | None = None, reason: str, key: str | None = None
    ) -> AliasMove:
        """Point an alias back to the version it pointed to before, or to version `to` that held it before; on record.

        Needs the database only. With `key` the rollback happens once: the same key again returns the move it made.
        """
        from penstock.services.rollback import rollback

        return rollback(self.wiring, name, alias, to=to, reason=reason, key=key)

    def get_version(self, name: str, version: int) -> ModelVersion:
        """Return a registered version; `NotFound` if there is none."""
        from penstock.services import registry

        return registry.get_version(self.wiring, version, name)

    def list_models(self) -> Sequence[RegisteredModel]:
        """Return the registered models by name, with where their aliases point."""
        return self.wiring.store.list_models()

    def list_versions(self, name: str) -> Sequence[ModelVersion]:
        """Return a model's versions, newest first."""
        return self.wiring.store.list_versions(name)

    def alias_history(self, name: str) -> Sequence[AliasMove]:
        """Return every move of a model's aliases, oldest first, with what authorized it."""
        return self.wiring.store.list_alias_moves(name)

    def load_model(self, uri: str, *, trusted_types: Sequence[str] | None = None) -> Predictor:
        """Load a model by URI or folder; every checksum is verified first, and code-executing formats are refused."""
        from penstock.services import model_access

        return model_access.load(self.wiring, uri, trusted_types)

    # --------------------------------------------------------------------------------------- ledger and reports

    def read_ledger(self, *, experiment: str | None = None, model: str | None = None) -> Iterator[AuditEvent]:
        """Yield the ledger's entries: of one experiment, of one model, or all."""
        if experiment is not None and model is not None:
            raise InvalidValue("ledger", (experiment, model), "an experiment or a model, not both")
        chain: ChainId | None = None
        if experiment is not None:
            chain = experiment_chain(experiment)
        elif model is not None:
            chain = model_chain(model)
        return self.wiring.store.read_ledger(chain)

    def anchor(self) -> Mapping[str, Any]:
        """Return where every chain of the ledger ends now, as plain JSON: keep it where nobody can change it."""
        from penstock.services import verification

        return verification.anchor(self.wiring)

    def verify(self, anchor: Mapping[str, Any] | None = None, *, read_bytes: bool = True) -> Iterator[Finding]:
        """Yield everything in the store that is not as it was written; nothing if it is sound. Reads only.

        Edits, deletions, insertions and reorderings are found from the database alone, a recomputed chain or a cut tail
        against an `anchor` kept elsewhere. With `read_bytes` every file of every version is read and hashed.
        """
        from penstock.services import verification

        return verification.verify(self.wiring, anchor, read_bytes=read_bytes)

    def write_report(self, experiment: str, path: str | Path, *, title: str = "", metric: str = "roc_auc") -> Path:
        """Write one self-contained HTML page on an experiment's runs: numbers, reasons, plots."""
        with _extra("the HTML report", "eval"):
            from penstock.evaluation.report import write_report

        return write_report(self.run_stories(experiment), Path(path), title=title or experiment, metric=metric)

    @property
    def artifact_location(self) -> str:
        """Where bytes live, as a person may read it."""
        return self.wiring.artifacts.location


def _model_format() -> ModelFormat:
    with _extra("saving and loading models", "eval"):
        from penstock.models.format import MlmodelFormat
    return MlmodelFormat()


@lru_cache(maxsize=1)
def _engine() -> MeasuringEngine:
    with _extra("evaluation", "eval"):
        from penstock.evaluation.engine import MeasuringEngine
    return MeasuringEngine()


@contextmanager
def _extra(feature: str, extra: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("penstock"):
            raise
        raise MissingExtra(feature, extra) from error


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
