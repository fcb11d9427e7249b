"""What a function must look like to be tracked, said at decoration, before anything has run."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from penstock.errors import InvalidValue

Function = Callable[..., Any]
_NAMED = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}


def signature_with_run(decorator: str, function: Function) -> inspect.Signature:
    """Return a function's signature; `InvalidValue` unless it is a plain function of `run` and named parameters."""
    kinds = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    if any(is_kind(function) for is_kind in kinds):
        raise InvalidValue(decorator, function.__qualname__, "a plain function, neither async nor a generator")
    try:
        signature = inspect.signature(function, eval_str=True)
    except NameError:  # an annotation that exists for type checkers only
        signature = inspect.signature(function)
    named = all(parameter.kind in _NAMED for parameter in signature.parameters.values())
    if not named or "run" not in signature.parameters:
        raise InvalidValue(decorator, described(function, signature), "a function of 'run' and other named parameters")
    return signature


def described(function: Function, signature: inspect.Signature) -> str:
    """Return a function's name and parameters, without defaults, which may hold anything."""
    return f"{function.__qualname__}({', '.join(signature.parameters)})"


def check_template(field: str, template: str, names: Iterable[str]) -> None:
    """`InvalidValue` unless `template` is a format string over `names`."""
    expected = f"a format string over {', '.join(names) or 'nothing'}"
    try:
        template.format(**{name: _Anything() for name in names})
    except (ValueError, LookupError) as error:
        raise InvalidValue(field, template, expected) from error


class _Anything:
    """Stands for a parameter of any type while a format string is checked."""

    def __format__(self, spec: str) -> str:
        return ""

    def __getattr__(self, name: str) -> _Anything:
        return self

    def __getitem__(self, key: object) -> _Anything:
        return self
