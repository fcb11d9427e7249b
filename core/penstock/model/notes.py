"""What people write beside models and versions: descriptions and tags. They may change; who wrote them last is kept."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from penstock.errors import InvalidValue

DESCRIPTION = ""
"""The name under which a description is kept among the tags."""

_MAX_TEXT = 100_000


@dataclass(frozen=True)
class Note:
    """A tag, or the description, of a model (`version` None) or of one of its versions. `text` None: it is removed."""

    model: str
    version: int | None
    name: str
    text: str | None
    actor: Mapping[str, Any] = field(default_factory=dict)
    written_at: datetime | None = None


@dataclass(frozen=True)
class Notes:
    """A description and tags, as they stand."""

    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, notes: Sequence[Note]) -> Notes:
        """Return what notes say together."""
        texts = {note.name: note.text for note in notes if note.text is not None}
        return cls(texts.pop(DESCRIPTION, ""), dict(sorted(texts.items())))


def check_text(field_name: str, value: object) -> str:
    """Return `value` if it is text to write beside a model: no control characters but line ends and tabs."""
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        raise InvalidValue(field_name, value, f"text of at most {_MAX_TEXT:,} characters")
    if any(unicodedata.category(c) in {"Cc", "Cs"} and c not in "\n\t" for c in value):
        raise InvalidValue(field_name, ascii(value), "text without control characters")
    return value
