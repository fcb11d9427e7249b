"""What the parts of a client share: the services' wiring."""

from __future__ import annotations

from penstock.services.wiring import Wiring


class OnWiring:
    """A part of a client, over one store."""

    def __init__(self, wiring: Wiring) -> None:
        self.wiring = wiring
