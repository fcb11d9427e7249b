"""Working out the next thing while the present one is used."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def one_ahead(items: Iterator[Item], what: str) -> Iterator[Item]:
    """Yield from `items` while a thread works out the next one, all of them in that one thread."""
    with ThreadPoolExecutor(1, f"penstock-{what}") as thread:
        following = thread.submit(next, items, None)
        while (item := following.result()) is not None:
            following = thread.submit(next, items, None)
            yield item
