"""Penstock: experiment tracking, evaluation and a gated model registry that live inside pipelines.

Importing this package loads nothing but itself: names are resolved when they are first used (law L9).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock._version import __version__

if TYPE_CHECKING:
    from penstock.artifacts.urls import S3Options
    from penstock.client import Client, connect, join_run
    from penstock.errors import PenstockError, Terminal, Transient
    from penstock.model.audit import Actor
    from penstock.model.data import DataSource, SqlSource
    from penstock.model.ids import RunKey
    from penstock.model.probation import Probation

_HOMES = {
    "Actor": "penstock.model.audit",
    "Client": "penstock.client",
    "DataSource": "penstock.model.data",
    "PenstockError": "penstock.errors",
    "Probation": "penstock.model.probation",
    "RunKey": "penstock.model.ids",
    "S3Options": "penstock.artifacts.urls",
    "SqlSource": "penstock.model.data",
    "Terminal": "penstock.errors",
    "Transient": "penstock.errors",
    "connect": "penstock.client",
    "join_run": "penstock.client",
}

__all__ = [
    "Actor",
    "Client",
    "DataSource",
    "PenstockError",
    "Probation",
    "RunKey",
    "S3Options",
    "SqlSource",
    "Terminal",
    "Transient",
    "__version__",
    "connect",
    "join_run",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'penstock' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
