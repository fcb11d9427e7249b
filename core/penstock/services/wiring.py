"""What the services run on. The heavy pieces are made when they are first needed."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.model.audit import Actor
from penstock.model.runs import LEASE_S
from penstock.ports import ArtifactStore, DataReader, Evaluator, MetadataStore, ModelFormat
from penstock.ports.model_trial import ModelTrial
from penstock.ports.scorer import Scorer


@dataclass(frozen=True)
class Wiring:
    """The ports, wired by the client, and in whose name the services act."""

    store: MetadataStore
    artifacts: ArtifactStore
    model_format: Callable[[], ModelFormat]
    evaluator: Callable[[], Evaluator]
    reader: Callable[[], DataReader]
    scorer: Callable[[], Scorer]
    trial: ModelTrial
    actor: Actor
    host: Mapping[str, Any] = field(default_factory=dict)
    lease_s: float = LEASE_S

    def where(self) -> Mapping[str, Any]:
        """Where this process runs, for the record of an attempt, with its orchestrator's own coordinates."""
        return {"host": socket.gethostname(), "pid": os.getpid(), **self.host}
