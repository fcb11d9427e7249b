"""YAML read strictly, from PyYAML's events: what a policy says is what its author sees.

PyYAML's own construction keeps the last of two equal keys, expands aliases, and reads `010` as 8, `1:30` as 90, `no` as
false and `1e3` as text. Here each of those is an error with its line, or read as written; tags and anchors are refused
before anything is built, and nesting is counted while events arrive, so no recursion can run away.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import yaml

from penstock.errors import InvalidPolicy

MAX_DEPTH = 32

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = {".nan": math.nan, ".inf": math.inf, "+.inf": math.inf, "-.inf": -math.inf}
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TRUTHS = {"true": True, "false": False}
_TRUTH_LIKE = frozenset({"true", "false", "yes", "no", "on", "off"})
_TRAPS = (
    (re.compile(r"[-+]?0[0-9_]+(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?"), "a leading zero, which YAML may read as octal"),
    (re.compile(r"[-+]?0[oxbOXB][0-9a-fA-F_]+"), "a number in another base"),
    (re.compile(r"[-+]?[0-9][0-9_]*(?::[0-9]+)+(?:\.[0-9_]*)?"), "a base-60 number"),
    (re.compile(r"[-+]?(?=.*_)[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?"), "a number with underscores"),
)


def read_yaml(text: str, file: str) -> Any:
    """Return the plain data that `text` says, or None if it says nothing; `InvalidPolicy` names file and line."""
    try:
        return _Reader(text, file).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = "" if mark is None else f" line {mark.line + 1} column {mark.column + 1}"
        problem = ", ".join(part for part in (error.context, error.problem) if part)
        hint = "Indent with spaces" if "\\t" in problem else ""
        raise InvalidPolicy(f"{file}{place}", f"not valid YAML: {problem}", hint) from error
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise InvalidPolicy(file, f"not valid YAML: {problem}") from error


def line_of(text: str, place: str) -> int | None:
    """Return the line of a place in sound YAML, such as `rules[0].at_least.value`, or else of what is around it."""
    reader = _Reader(text, "")
    reader.document()
    while place and place not in reader.lines:
        place = place[: max(place.rfind("."), place.rfind("["), 0)]
    return reader.lines.get(place)


class _Reader:
    """Builds plain data from events; `lines` says on which line each place of it is."""

    def __init__(self, text: str, file: str) -> None:
        self._events: Iterator[Any] = iter(yaml.parse(text, Loader=yaml.SafeLoader))
        self._file = file
        self.lines: dict[str, int] = {}

    def document(self) -> Any:
        value: Any = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._refusal(event, "more than one document", "One file holds one policy")
                if event.tags:
                    raise self._refusal(event, "tags are not allowed", "Remove the %TAG line")
                value = self._node(next(self._events), "", depth=0)
        return value

    def _node(self, event: Any, place: str, depth: int) -> Any:
        self._refuse_indirection(event)
        if isinstance(event, yaml.ScalarEvent):
            return event.value if event.style else self._plain(event)
        if depth >= MAX_DEPTH:
            raise self._refusal(event, f"nested more than {MAX_DEPTH} deep", "A policy is flat")
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(place, depth)
        return self._mapping(place, depth)

    def _sequence(self, place: str, depth: int) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            inside = f"{place}[{len(items)}]"
            self.lines[inside] = _line(event)
            items.append(self._node(event, inside, depth + 1))
        return items

    def _mapping(self, place: str, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        lines: dict[str, int] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            self._refuse_indirection(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise self._refusal(event, "a key must be a word")
            key, line = event.value, _line(event)
            if key in lines:
                raise self._refusal(event, f"duplicate key {key!r} (lines {lines[key]}, {line})", "Keep one of them")
            lines[key] = line
            inside = f"{place}.{key}" if place else str(key)
            self.lines[inside] = line
            values[key] = self._node(next(self._events), inside, depth + 1)
        return values

    def _refuse_indirection(self, event: Any) -> None:
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise self._refusal(event, "aliases and anchors are not allowed", "Write the value out")
        if event.tag is not None:
            raise self._refusal(event, f"tags are not allowed: {event.tag}", "Remove it")

    def _plain(self, event: Any) -> Any:
        word = event.value
        if word in _NULLS:
            return None
        if word in _TRUTHS:
            return _TRUTHS[word]
        if word.lower() in _TRUTH_LIKE:
            raise self._refusal(event, f"{word} is ambiguous", f'Write true or false, or "{word}" for the text')
        if word.lower() in _NOT_FINITE:
            return _NOT_FINITE[word.lower()]
        for pattern, trap in _TRAPS:
            if pattern.fullmatch(word):
                raise self._refusal(event, f"{word} is {trap}", "Write a plain decimal number, or quote it for text")
        if _INTEGER.fullmatch(word):
            try:
                return int(word)
            except ValueError as error:  # Python refuses to read thousands of digits
                raise self._refusal(event, "this number has too many digits") from error
        return float(word) if _DECIMAL.fullmatch(word) else word

    def _refusal(self, event: Any, problem: str, hint: str = "") -> InvalidPolicy:
        return InvalidPolicy(f"{self._file} line {_line(event)} column {event.start_mark.column + 1}", problem, hint)


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1
