"""Trying a model once, where nothing that trained it is at hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Trial:
    """How a try went: `error` is one sentence, empty if all went well; `facts` is plain JSON about where and on what.

    `missing_extra` names what is not installed here, which says nothing about the model.
    """

    error: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    missing_extra: str = ""


class ModelTrial(Protocol):
    """Loads a folder whose bytes have been verified, and predicts with it once, in a process of its own."""

    def __call__(self, folder: Path, uri: str, timeout_s: float) -> Trial:
        """Try the model in `folder`, called `uri` in messages.

        Whatever it does there, crash or hang, is an answer within `timeout_s`.
        """
        ...
