"""Names that moved between Airflow 3.1 and 3.3."""

from __future__ import annotations

from typing import Any

try:
    from airflow.sdk.exceptions import (
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSkipException,
        AirflowTaskTimeout,
    )
except ImportError:  # Airflow 3.1
    from airflow.exceptions import (
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSkipException,
        AirflowTaskTimeout,
    )

__all__ = [
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowSkipException",
    "AirflowTaskTimeout",
    "skip_mixin",
]


def skip_mixin() -> Any:
    """Return Airflow's class that skips what a branch does not follow."""
    try:
        from airflow.sdk.bases.skipmixin import SkipMixin
    except ImportError:  # Airflow 3.1
        from airflow.providers.standard.utils.skipmixin import SkipMixin
    return SkipMixin
