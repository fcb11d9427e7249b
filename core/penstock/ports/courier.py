"""Carrying an event to its receiver."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from penstock.model.webhooks import Answer, Target


class Courier(Protocol):
    """Sends one request to a webhook's target."""

    def send(self, target: Target, headers: Mapping[str, str], body: bytes) -> Answer:
        """POST `body` and return what came back; what goes wrong on the way is an `Answer` too, never raised.

        Redirects are not followed and the answer's body is not kept. The address is checked at the moment of
        connecting, so that a name cannot mean one address when it is judged and another when it is used.
        """
        ...
