"""Waiting for what happens in the store, without holding a worker slot: every sensor defers by default."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from penstock_airflow.errors import failures_mapped
from penstock_airflow.hooks import DEFAULT_CONN_ID, PenstockHook
from penstock_airflow.questions import ask


class PenstockSensor(BaseSensorOperator):  # type: ignore[misc]
    """Asks the store one question until it has an answer, which it returns. Subclasses say what, in `arguments`.

    With `deferrable` (the default) the triggerer asks; otherwise the task pokes, as any sensor does.
    """

    question = ""

    def __init__(
        self,
        *,
        conn_id: str = DEFAULT_CONN_ID,
        deferrable: bool = True,
        poke_interval: timedelta | float = 10.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, **kwargs)
        self.conn_id = conn_id
        self.deferrable = deferrable

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """Return the question's arguments as plain JSON; after templates have been rendered."""

    def execute(self, context: Any) -> Any:
        """Return the answer if it is there; else defer, or poke until it is."""
        with failures_mapped():
            answer = self._ask()
        if answer is not None:
            return self._answered(answer)
        if not self.deferrable:
            return super().execute(context)
        from penstock_airflow.triggers import QuestionTrigger

        trigger = QuestionTrigger(self.conn_id, self.question, self.arguments(), float(self.poke_interval))
        return self.defer(
            trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=float(self.timeout))
        )

    def poke(self, context: Any) -> Any:
        """Ask once."""
        with failures_mapped():
            answer = self._ask()
        return False if answer is None else PokeReturnValue(True, self._answered(answer))

    def execute_complete(self, context: Any, event: Mapping[str, Any]) -> Any:
        """Return the answer that the trigger has got; fail for good where it never will get one."""
        from penstock_airflow.compat import AirflowFailException

        if "error" in event:
            raise AirflowFailException(event["error"])
        return self._answered(event["answer"])

    def _ask(self) -> Mapping[str, Any] | None:
        arguments = self.arguments()
        with PenstockHook(self.conn_id).get_client() as client:
            return ask(client, self.question, arguments)

    def _answered(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        self.log.info("%s: %s", self.question.replace("_", " "), ", ".join(f"{k} {v}" for k, v in answer.items()))
        return dict(answer)


class ModelAliasSensor(PenstockSensor):
    """Waits until an alias has moved since `after_generation` (0: until it points anywhere). Returns where it points.

    Hand on the `generation` that an earlier task has seen, to wait for the next move and no earlier one.
    """

    question = "alias_moved"
    template_fields: Sequence[str] = ("model", "alias", "after_generation")

    def __init__(self, *, model: str, alias: str = "champion", after_generation: Any = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.alias = alias
        self.after_generation = after_generation

    def arguments(self) -> dict[str, Any]:
        """Return the question's arguments."""
        after = _number("after_generation", self.after_generation, "generation")
        return {"model": self.model, "alias": self.alias, "after_generation": after}


class ModelVersionSensor(PenstockSensor):
    """Waits until a version newer than `after_version` is registered. Returns its reference."""

    question = "version_registered"
    template_fields: Sequence[str] = ("model", "after_version")

    def __init__(self, *, model: str, after_version: Any = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.after_version = after_version

    def arguments(self) -> dict[str, Any]:
        """Return the question's arguments."""
        return {"model": self.model, "after_version": _number("after_version", self.after_version, "version")}


class DecisionSensor(PenstockSensor):
    """Waits until a decision has been made on the run: about `model` and with `verdict`, where they are given."""

    question = "decision_made"
    template_fields: Sequence[str] = ("run", "model", "verdict")

    def __init__(self, *, run: Any, model: str | None = None, verdict: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run = run
        self.model = model
        self.verdict = verdict

    def arguments(self) -> dict[str, Any]:
        """Return the question's arguments."""
        return {"run_id": _id("run", self.run, "run_id"), "model": self.model, "verdict": self.verdict}


class ApprovalSensor(PenstockSensor):
    """Waits until a person has answered what a decision asked, or can no longer do so. Returns `{"state": …}`.

    `request` is the decision's reference or the request's id. The answer may come from anywhere: `penstock approvals
    approve`, Airflow's own page, Prefect.
    """

    question = "approval_answered"
    template_fields: Sequence[str] = ("request",)

    def __init__(self, *, request: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.request = request

    def arguments(self) -> dict[str, Any]:
        """Return the question's arguments."""
        from penstock.errors import InvalidValue

        if isinstance(self.request, str) and self.request:
            return {"request": self.request}
        if isinstance(self.request, Mapping):
            names = ("request_id", "decision_id")
            found = {name: self.request[name] for name in names if isinstance(self.request.get(name), str)}
            if found:
                return {"request": found}
        raise InvalidValue("request", self.request, "what the gate's task returned, or an approval request's id")


def _number(name: str, given: Any, field: str) -> int:
    from penstock.errors import InvalidValue

    number = given.get(field) if isinstance(given, Mapping) else given
    if isinstance(number, str) and number.isascii() and number.isdigit() and len(number) < 10:
        number = int(number)
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise InvalidValue(name, given, "a number ≥ 0, or the reference that an earlier task returned")
    return number


def _id(name: str, given: Any, field: str) -> str:
    from penstock.errors import InvalidValue

    found = given.get(field) if isinstance(given, Mapping) else given
    if not isinstance(found, str) or not found:
        raise InvalidValue(name, given, f"a {name}'s id, or the reference that an earlier task returned")
    return found
