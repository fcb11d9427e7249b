"""The front door: everything a program does with one store."""

from __future__ import annotations

from types import TracebackType

from penstock.client.events import Events
from penstock.client.gating import Gating
from penstock.client.judgements import Judgements
from penstock.client.model_care import ModelCare
from penstock.client.records import Records
from penstock.client.registry import Registry
from penstock.client.retention import Retention
from penstock.client.runs import Runs
from penstock.client.scores import Scoring


class Client(Runs, Judgements, Gating, Registry, ModelCare, Scoring, Records, Events, Retention):
    """Runs, evaluations, gates and the registry of one store. A value to pass around; usable in several threads."""

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

    @property
    def artifact_location(self) -> str:
        """Where bytes live, as a person may read it."""
        return self.wiring.artifacts.location
