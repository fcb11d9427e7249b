"""Registering and promoting models, under a passed decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from penstock_airflow.operators.base import RunOperator

if TYPE_CHECKING:
    from penstock import Client


class RegisterModelOperator(RunOperator):
    """Registers a model under the next version number; the decision must have judged exactly this model.

    The same decision again returns the version it registered. Returns the version's reference.
    """

    template_fields: Sequence[str] = ("run", "name", "model", "decision")

    def __init__(self, *, name: str, model: Any, decision: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.model = model
        self.decision = decision

    def act(self, client: Client, context: Mapping[str, Any]) -> dict[str, Any]:
        """Register the model."""
        version = client.register(self.name, self.model, self.decision, **self.within(context))
        self.log.info("Registered %s under %s", version.uri, _why(version.authorization))
        return version.ref


class PromoteModelOperator(RunOperator):
    """Points an alias to a version, expecting the alias where the decision saw it; fails if another has won.

    The same decision again returns the move it made. Returns the move's reference.
    """

    template_fields: Sequence[str] = ("run", "name", "alias", "version", "decision")

    def __init__(self, *, name: str, alias: str, version: Any, decision: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.alias = alias
        self.version = version
        self.decision = decision

    def act(self, client: Client, context: Mapping[str, Any]) -> dict[str, Any]:
        """Move the alias."""
        move = client.promote(self.name, self.alias, self.version, self.decision, **self.within(context))
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


def _why(authorization: Any) -> str:
    return f"{authorization.kind.value} {authorization.decision_id or authorization.authorization_id}"
