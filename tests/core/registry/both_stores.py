"""The reference store and another behind one face: every call goes to both, and both must answer the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

from penstock.ports import MetadataStore
from penstock.stores.memory.store import MemoryStore
from tests.contracts.comparing import outcome, shown


class BothStores:
    """A store whose every call is made on the reference and on `other`; what the reference says is returned."""

    def __init__(self, other: MetadataStore) -> None:
        self.reference, self.other = MemoryStore(), other
        self.calls = 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def both(*given: Any, **named: Any) -> Any:
            answers: list[Any] = []

            def of_the_reference() -> Any:
                answer = getattr(self.reference, name)(*given, **named)
                answers.append(list(answer) if isinstance(answer, Iterator) else answer)
                return answers[0]

            def of_the_other() -> Any:
                answer = getattr(self.other, name)(*given, **named)
                return list(answer) if isinstance(answer, Iterator) else answer

            expected, found = outcome(of_the_reference), outcome(of_the_other)
            assert found == expected, f"{name}: {found} is not {expected}"
            self.calls += 1
            if not answers:
                getattr(self.reference, name)(*given, **named)  # raises again what it raised
            return answers[0]

        return both

    @property
    def store(self) -> MetadataStore:
        """The two, as the caller takes them."""
        return cast(MetadataStore, self)

    def check_equal(self) -> None:
        """Everything there is to see is the same in both."""
        assert shown(self.other) == shown(self.reference)
