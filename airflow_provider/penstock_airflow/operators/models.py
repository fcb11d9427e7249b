"""Registering and promoting models under a passed decision, and taking an alias back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset

from penstock_airflow.assets import MODELS, is_name, model_asset
from penstock_airflow.compat import AirflowSkipException
from penstock_airflow.context import in_backfill, installation, map_index
from penstock_airflow.hooks import DEFAULT_CONN_ID
from penstock_airflow.lineage import Traced, data, model
from penstock_airflow.links import DecisionLink, RunLink
from penstock_airflow.operators.base import PenstockOperator, RunOperator

if TYPE_CHECKING:
    from penstock import Client, Probation
    from penstock.model.versions import AliasMove, ModelVersion


class RegisterModelOperator(RunOperator):
    """Registers a model under the next version number; the decision must have judged exactly this model.

    The same decision again returns the version it registered. Returns the version's reference.
    """

    template_fields: Sequence[str] = ("run", "name", "model", "decision")
    operator_extra_links = (RunLink(), DecisionLink())

    def __init__(self, *, name: str, model: Any, decision: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.model = model
        self.decision = decision

    def act(self, client: Client, context: Mapping[str, Any]) -> dict[str, Any]:
        """Register the model."""
        version = client.register(self.name, self.model, self.decision, **self.within(client, context))
        self.acts_under = version.authorization.decision_id
        self.trace(lambda: (_read(client, version), [model(version.model, version.version)]))
        self.log.info("Registered %s under %s", version.uri, _why(version.authorization))
        return version.ref


class PromoteModelOperator(RunOperator):
    """Points an alias to a version, expecting the alias where the decision saw it; fails if another has won.

    The same decision again returns the move it made. Returns the move's reference.

    A promotion is an event of the asset `model_asset(name, alias)`, whose `extra` says which version, at which
    generation of the alias, under which decision, and whether the alias still points there (`current`: false where the
    task of an older promotion is cleared); DAGs are scheduled on it, and `penstock_airflow.assets.move_in` reads it.
    (Where name or alias is a template, or the task is mapped, say `outlets=[model_asset(...)]` yourself.) A backfill
    never changes what is live: in a backfill run this task is skipped, and so moves no alias and emits no event. With
    `probation` the alias goes back by itself if a later evaluation fails: see `JudgeProbationOperator`.
    """

    template_fields: Sequence[str] = ("run", "name", "alias", "version", "decision")
    operator_extra_links = (RunLink(), DecisionLink())

    def __init__(
        self,
        *,
        name: str,
        alias: str,
        version: Any,
        decision: Any,
        probation: Probation | None = None,
        conn_id: str = DEFAULT_CONN_ID,
        outlets: Any = None,
        **kwargs: Any,
    ) -> None:
        told = list(outlets) if isinstance(outlets, Sequence) else [] if outlets is None else [outlets]
        if is_name(name) and is_name(alias):
            mine = model_asset(name, alias, conn_id=conn_id)
            told = told if any(_same(mine, other) for other in told) else [*told, mine]
        super().__init__(conn_id=conn_id, outlets=told, **kwargs)
        self.name = name
        self.alias = alias
        self.version = version
        self.decision = decision
        self.probation = probation

    def facts(self) -> Mapping[str, Any]:
        """Return which models' assets this task tells of as it succeeds, and in which Airflow: for their watchers."""
        told = [outlet.uri for outlet in self.outlets if str(getattr(outlet, "uri", "")).startswith(MODELS)]
        return {"installation": installation(), "outlets": told}

    def act(self, client: Client, context: Mapping[str, Any]) -> dict[str, Any]:
        """Move the alias."""
        _not_in_backfill(context, f"{self.name}@{self.alias}")
        move = client.promote(
            self.name,
            self.alias,
            self.version,
            self.decision,
            probation=self.probation,
            **self.within(client, context),
        )
        self.acts_under = move.authorization.decision_id
        current = client.alias_history(move.model, alias=move.alias, limit=1)[-1].generation == move.generation
        _tell(self.outlets, context, move, current)
        self.trace(lambda: _moved(move))
        before = "nothing" if move.from_version is None else f"version {move.from_version}"
        self.log.info(
            "Moved %s@%s from %s to version %d under %s",
            self.name,
            self.alias,
            before,
            move.to_version,
            _why(move.authorization),
        )
        return move.ref


class RollbackModelOperator(PenstockOperator):
    """Points an alias back to the version it pointed to before, or to version `to` that held it before; on record.

    Needs the database only. It happens once for each DAG run and task: a retry or a clear returns the move it made.
    Returns the move's reference. DAGs scheduled on the alias hear of it by the watcher that every `model_asset` has, so
    it needs no outlet. In a backfill run it is skipped.
    """

    template_fields: Sequence[str] = ("name", "alias", "to", "reason")

    def __init__(self, *, name: str, alias: str, reason: str, to: Any = None, **kwargs: Any) -> None:
        if any(str(getattr(outlet, "uri", "")).startswith(MODELS) for outlet in kwargs.get("outlets") or ()):
            raise ValueError("outlets: the watcher of a model's asset tells of a rollback; an outlet would tell twice")
        super().__init__(**kwargs)
        self.name = name
        self.alias = alias
        self.reason = reason
        self.to = to

    def act(self, client: Client, context: Mapping[str, Any]) -> dict[str, Any]:
        """Move the alias back."""
        _not_in_backfill(context, f"{self.name}@{self.alias}")
        ti = context["ti"]
        key = f"{ti.dag_id}/{ti.run_id}/{ti.task_id}/{map_index(context)}"
        move = client.rollback(self.name, self.alias, to=_version(self.to), reason=self.reason, key=key)
        self.trace(lambda: _moved(move))
        self.log.info(
            "Took %s@%s back from version %s to version %d: %s",
            self.name,
            self.alias,
            move.from_version,
            move.to_version,
            self.reason,
        )
        return move.ref


def _not_in_backfill(context: Mapping[str, Any], alias: str) -> None:
    """Skip the task in a backfill run: replaying the past changes nothing that is live."""
    if in_backfill(context):
        raise AirflowSkipException(
            f"{alias} stays where it is: a backfill never changes what is live. To change it, run the DAG by hand"
        )


def _same(asset: Any, other: Any) -> bool:
    return isinstance(other, Asset) and other.uri == asset.uri


def _tell(outlets: Sequence[Any], context: Mapping[str, Any], move: AliasMove, current: bool) -> None:
    """Say in the asset event what has moved, from where to where, and under which authorization."""
    authorization = move.authorization
    said = {"why": authorization.kind.value, "decision_id": authorization.decision_id, "current": current}
    for outlet in outlets:
        if isinstance(outlet, Asset):
            context["outlet_events"][outlet].extra.update({**move.ref, **said})


def _read(client: Client, version: ModelVersion) -> list[Traced]:
    """Return what a version was trained and measured on."""
    led = client.lineage(version)
    held_out = [] if led.evaluation is None else [led.evaluation.dataset]
    return data([*(found for found in led.run.inputs if found.role == "train"), *held_out])


def _moved(move: AliasMove) -> tuple[list[Traced], list[Traced]]:
    version = model(move.model, move.to_version)
    return [version], [Traced(f"{version.name}@{move.alias}", version.version)]


def _version(given: Any) -> int | None:
    """Return the number of a version: as it is, as a template renders it, or in a version's reference."""
    from penstock.errors import InvalidValue

    number = given.get("version") if isinstance(given, Mapping) else given
    if isinstance(number, str) and number.isascii() and number.isdigit() and len(number) < 10:
        number = int(number)
    if number is not None and (isinstance(number, bool) or not isinstance(number, int)):
        raise InvalidValue("version to go back to", given, "a version number")
    return number


def _why(authorization: Any) -> str:
    return f"{authorization.kind.value} {authorization.decision_id or authorization.authorization_id}"
