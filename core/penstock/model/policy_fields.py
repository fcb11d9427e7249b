"""Reading one mapping of a policy, key by key, with nothing ignored and every problem said at its place."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence

from penstock.errors import InvalidPolicy, InvalidValue
from penstock.model.ids import check_alias_name, check_metric_name
from penstock.model.metrics import METRICS, GateMetric

TOP = "top level"
_EXACT_INTEGERS = 2**53
_MAX_TEXT = 250


def unknown(what: str, given: object, known: Iterable[str]) -> tuple[str, str]:
    """Return problem and hint for a word that is not among `known`, with the nearest one where there is one."""
    words = [str(word) for word in known]
    choices = f"Known: {', '.join(words)}"
    near = difflib.get_close_matches(given.lower(), words, n=1) if isinstance(given, str) else []
    if near:
        return f"unknown {what} {_shown(given)}; did you mean {near[0]!r}? {choices}", ""
    return f"unknown {what} {_shown(given)}", choices


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


class Body:
    """One mapping of the policy. Made with the keys it may have; any other key is refused at once."""

    def __init__(self, data: object, where: str, known: Sequence[str], what: str = "key") -> None:
        if not isinstance(data, Mapping):
            raise InvalidPolicy(
                where, f"expected a mapping with {' or '.join(known)}, got {_shown(data)}", "Write key: value"
            )
        for key in data:
            if key not in known:
                raise InvalidPolicy(where, *unknown(what, key, known))
        self._data, self._where = data, where

    def __contains__(self, key: str) -> bool:
        return key in self._data

    def only(self) -> tuple[str, object]:
        """Return the one key and its value; a rule is written with exactly one."""
        if len(self._data) != 1:
            found = ", ".join(self._data) or "none"
            raise InvalidPolicy(
                self._where, f"expected exactly one rule, found {found}", "Write each rule as an item of its own"
            )
        return next(iter(self._data.items()))

    def not_empty(self) -> None:
        """Refuse a mapping without keys: it would assert nothing."""
        if not self._data:
            raise InvalidPolicy(self._where, "is empty and would assert nothing", "Say what must hold")

    def at(self, key: str) -> str:
        """Return the place of `key`."""
        return key if self._where == TOP else f"{self._where}.{key}"

    def require(self, key: str) -> object:
        """Return the value of `key`, which must be there."""
        if key not in self._data:
            raise InvalidPolicy(self._where, f"missing key {key!r}", "Every value a gate uses is written down")
        return self._data[key]

    def text(self, key: str) -> str:
        """Return a non-empty line of text."""
        value = self.require(key)
        if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > _MAX_TEXT:
            raise InvalidPolicy(
                self.at(key), f"expected a line of text of at most {_MAX_TEXT} characters, got {_shown(value)}"
            )
        return value

    def choice(self, key: str, allowed: Sequence[str], default: str) -> str:
        """Return one of `allowed`; `default` only where the key is absent (null is not absence)."""
        if key not in self._data:
            return default
        value = self._data[key]
        if not isinstance(value, str) or value not in allowed:
            raise InvalidPolicy(self.at(key), *unknown("value", value, allowed))
        return value

    def alias(self, key: str) -> str:
        """Return the name of an alias."""
        value = self.require(key)
        try:
            return check_alias_name(value)
        except InvalidValue as error:
            raise InvalidPolicy(self.at(key), f"expected the name of an alias, got {error.given}") from error

    def metric(self) -> GateMetric:
        """Return the metric named under `metric`."""
        value = self.require("metric")
        if not isinstance(value, str) or value not in METRICS:
            raise InvalidPolicy(self.at("metric"), *unknown("metric", value, METRICS))
        return METRICS[value]

    def directed_metric(self) -> GateMetric:
        """Return the metric, which must have a better and a worse direction."""
        metric = self.metric()
        if metric.better is None:
            raise InvalidPolicy(
                self.at("metric"),
                f"{metric.name!r} has no better direction, so it cannot be compared with a baseline",
                "Use between",
            )
        return metric

    def number(self, key: str) -> float:
        """Return a finite double: no strings, no booleans, no integer that a double would round."""
        value = self.require(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            hint = "Write it without quotes" if isinstance(value, str) else ""
            raise InvalidPolicy(self.at(key), f"expected a number, got {_shown(value)}", hint)
        if isinstance(value, int) and not _is_exact(value):
            raise InvalidPolicy(self.at(key), "this integer is not exact as a double", "Write fewer digits")
        if not math.isfinite(value):
            raise InvalidPolicy(self.at(key), f"expected a finite number, got {value!r}")
        return float(value) + 0.0  # -0.0 becomes 0.0, so that equal policies have equal digests

    def positive(self, key: str) -> float:
        """Return a number above zero."""
        value = self.number(key)
        if value > 0:
            return value
        raise InvalidPolicy(self.at(key), f"expected a number above 0, got {value!r}")

    def in_range(self, key: str, metric: GateMetric) -> float:
        """Return a threshold that `metric` can take."""
        value = self.number(key)
        if metric.low <= value <= metric.high:
            return value
        hint = f"For {value:g} % write {value / 100:g}" if 1 < value <= 100 else ""
        raise InvalidPolicy(
            self.at(key), f"{value!r} is outside the range of {metric.name!r} {metric.range_text}", hint
        )

    def one_amount(self, key: str, percent: str, metric: GateMetric) -> tuple[float | None, float | None]:
        """Return the absolute and the percent form of a margin, of which exactly one is given."""
        given = [name for name in (key, percent) if name in self._data]
        if len(given) != 1:
            found = "both" if given else "neither"
            raise InvalidPolicy(self._where, f"expected either {key!r} or {percent!r}, found {found}")
        value = self.number(given[0])
        if value < 0:
            raise InvalidPolicy(self.at(given[0]), f"expected 0 or more, got {value!r}", "A margin has no sign")
        if given[0] == percent:
            return None, value
        if value >= metric.high - metric.low:
            raise InvalidPolicy(
                self.at(key),
                f"{value!r} covers the whole range of {metric.name!r} {metric.range_text}",
                f"For percent write {percent}: {value:g}",
            )
        return value, None

    def count(self, key: str) -> int:
        """Return a whole number of at least 1."""
        value = self.require(key)
        if isinstance(value, bool) or not isinstance(value, int):
            raise InvalidPolicy(self.at(key), f"expected a whole number, got {_shown(value)}")
        if 1 <= value <= _EXACT_INTEGERS:
            return value
        raise InvalidPolicy(self.at(key), f"expected a whole number of at least 1, got {_shown(value)}")

    def demanded(self, key: str) -> bool:
        """Return True where `key: true` is written and False where it is absent; nothing else is understood."""
        if key not in self._data:
            return False
        if self._data[key] is not True:
            raise InvalidPolicy(
                self.at(key), f"expected true, got {_shown(self._data[key])}", "Leave the key out to demand nothing"
            )
        return True

    def names(self, key: str) -> tuple[str, ...]:
        """Return a list of distinct tag names."""
        value = self.require(key)
        if not isinstance(value, list | tuple) or not value:
            raise InvalidPolicy(self.at(key), f"expected a list of names, got {_shown(value)}", "Write [owner]")
        try:
            found = tuple(check_metric_name(item) for item in value)
        except InvalidValue as error:
            raise InvalidPolicy(self.at(key), f"expected a tag name, got {error.given}") from error
        if len(set(found)) != len(found):
            raise InvalidPolicy(self.at(key), f"the same name twice in {list(found)}")
        return found


def _is_exact(value: int) -> bool:
    try:
        return int(float(value)) == value
    except OverflowError:
        return False
