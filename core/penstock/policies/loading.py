"""A policy from whatever a caller gives: a path, plain data, or a policy that was read before."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from penstock.errors import InvalidPolicy, InvalidValue, NotFound
from penstock.model.policies import GatePolicy
from penstock.policies.strict_yaml import MAX_DEPTH, line_of, read_yaml

MAX_BYTES = 256 * 1024


def load_policy(given: object) -> GatePolicy:
    """Return the policy `given` stands for: a str or path is always a file, a mapping is the policy's data.

    `InvalidPolicy` names the place of the first problem; `NotFound` a file that is not there.
    """
    if isinstance(given, GatePolicy):
        return given
    if isinstance(given, Mapping):
        return GatePolicy.from_data(given)
    if isinstance(given, str | os.PathLike):
        return _load_file(Path(given))
    raise InvalidValue("policy", given, "the path of a policy file, a mapping or a GatePolicy")


def _load_file(path: Path) -> GatePolicy:
    file = str(path)
    parse = _PARSERS.get(path.suffix.lower())
    text = _read_text(path)
    if parse is None:
        raise InvalidPolicy(file, f"unknown kind of file {path.suffix!r}", f"Use one of {', '.join(_PARSERS)}")
    try:
        data = parse(text, file) if text.strip() else None
    except RecursionError as error:
        raise InvalidPolicy(file, f"nested more than {MAX_DEPTH} deep", "A policy is flat") from error
    if _deeper_than(data, MAX_DEPTH):
        raise InvalidPolicy(file, f"nested more than {MAX_DEPTH} deep", "A policy is flat")
    try:
        return GatePolicy.from_data(data, text)
    except InvalidPolicy as error:
        line = line_of(text, error.field) if parse is read_yaml else None
        place = f"{file}, {error.field}" if line is None else f"{file} line {line}, {error.field}"
        raise InvalidPolicy(place, error.expected, error.hint) from error


def _read_text(path: Path) -> str:
    file = str(path)
    try:
        if not path.exists():
            raise NotFound("policy file", file, "Give the path of a .yaml, .json or .toml file, or a mapping as data")
        if not path.is_file():
            raise InvalidPolicy(file, "is a folder or a device, not a file", "Name one policy file")
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise InvalidPolicy(file, f"cannot be read: {error.strerror or error}", "A string is always a path") from error
    if len(content) > MAX_BYTES:
        raise InvalidPolicy(file, f"is larger than {MAX_BYTES // 1024} KB", "A policy is short")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidPolicy(file, f"is not UTF-8 text (byte {error.start})", "Save it as UTF-8") from error


def _read_json(text: str, file: str) -> Any:
    def without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise InvalidPolicy(file, f"duplicate key {key!r}", "Keep one of them")
            found[key] = value
        return found

    def no_constant(word: str) -> Any:
        raise InvalidPolicy(file, f"{word} is not a number a gate can use", "Write a finite number")

    try:
        return json.loads(text, object_pairs_hook=without_duplicates, parse_constant=no_constant)
    except json.JSONDecodeError as error:
        raise InvalidPolicy(
            f"{file} line {error.lineno} column {error.colno}", f"not valid JSON: {error.msg}"
        ) from error
    except InvalidPolicy:
        raise
    except ValueError as error:  # Python refuses to read thousands of digits
        raise InvalidPolicy(file, f"not valid JSON: {error}") from error


def _read_toml(text: str, file: str) -> Any:
    try:
        return tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError names line and column
        raise InvalidPolicy(file, f"not valid TOML: {error}") from error


_PARSERS: Mapping[str, Callable[[str, str], Any]] = {
    ".yaml": read_yaml,
    ".yml": read_yaml,
    ".json": _read_json,
    ".toml": _read_toml,
}


def _deeper_than(data: Any, limit: int) -> bool:
    level = [data]
    for _ in range(limit):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
    return any(isinstance(item, dict | list) for item in level)
