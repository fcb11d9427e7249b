"""What is missing is said with the command that installs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from penstock.errors import MissingExtra


@contextmanager
def extra(feature: str, name: str) -> Iterator[None]:
    """Turn a library that is not installed into `MissingExtra`."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("penstock"):
            raise
        raise MissingExtra(feature, name) from error
