"""The front door: `connect(url)` returns a `Client`."""

from penstock.client.client import Client
from penstock.client.connecting import ACTOR_VARIABLE, ARTIFACTS_VARIABLE, DEFAULT_URL, URL_VARIABLE, connect, join_run

__all__ = ["ACTOR_VARIABLE", "ARTIFACTS_VARIABLE", "DEFAULT_URL", "URL_VARIABLE", "Client", "connect", "join_run"]
