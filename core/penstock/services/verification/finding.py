"""What verifying finds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was written: which check found it, on what, and what is wrong."""

    check: str
    subject: str
    problem: str
