"""Reading one mapping of a policy, key by key, with nothing ignored and every problem said at its place."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence

from penstock.errors import InvalidPolicy, InvalidValue
from penstock.model.ids import check_alias_name, check_metric_name
from penstock.model.metrics import METRICS, Direction, GateMetric, find_metric
from penstock.model.policy_rules import FixedVersion

TOP = "top level"
_EXACT_INTEGERS = 2**53
_MAX_TEXT = 250
_FEW = 16


def unknown(what: str, given: object, known: Iterable[str]) -> tuple[str, str]:
    """Return problem and hint for a word that is not among `known`, with the nearest one where there is one."""
    words = [str(word) for word in known]
    choices = f"Known: {', '.join(words)}"
    problem = f"unknown {what} {_shown(given)}"
    if not isinstance(given, str):
        return problem, choices
    before, colon, after = given.partition(":")
    if colon and after and before in words:
        return f"{problem}; did you mean '{before}: {after}', with a space?", ""
    if given.isdecimal():
        return problem, "A decimal number has a point: 0.9"
    near = difflib.get_close_matches(given.lower(), words, n=1)
    if near:
        # Where there are dozens, the nearest says more than all of them.
        return f"{problem}; did you mean {near[0]!r}?" + (f" {choices}" if len(words) <= _FEW else ""), ""
    return problem, choices


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


class Body:
    """One mapping of the policy. Made with the keys it may have; any other key is refused at once."""

    def __init__(
        self,
        data: object,
        where: str,
        known: Sequence[str],
        what: str = "key",
        metrics: Mapping[str, GateMetric] | None = None,
    ) -> None:
        if not isinstance(data, Mapping):
            raise InvalidPolicy(
                where, f"expected a mapping with {' or '.join(known)}, got {_shown(data)}", "Write key: value"
            )
        for key in data:
            if key not in known:
                raise InvalidPolicy(where, *unknown(what, key, known))
        self._data, self.where = data, where
        self._metrics = metrics or {}  # of one's own, which the policy declares

    def __contains__(self, key: str) -> bool:
        return key in self._data

    def only(self) -> tuple[str, object]:
        """Return the one key and its value; a rule is written with exactly one."""
        if len(self._data) != 1:
            found = ", ".join(self._data) or "none"
            raise InvalidPolicy(
                self.where, f"expected exactly one rule, found {found}", "Write each rule as an item of its own"
            )
        return next(iter(self._data.items()))

    def not_empty(self) -> None:
        """Refuse a mapping without keys: it would assert nothing."""
        if not self._data:
            raise InvalidPolicy(self.where, "is empty and would assert nothing", "Say what must hold")

    def at(self, key: str) -> str:
        """Return the place of `key`."""
        return key if self.where == TOP else f"{self.where}.{key}"

    def require(self, key: str) -> object:
        """Return the value of `key`, which must be there."""
        if key not in self._data:
            raise InvalidPolicy(self.where, f"missing key {key!r}", "Every value a gate uses is written down")
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

    def baseline(self) -> str | FixedVersion:
        """Return what is written under `baseline`: the name of an alias, or `{version: 3}`."""
        value = self.require("baseline")
        if isinstance(value, Mapping):
            return self.fixed_version("baseline")
        try:
            return check_alias_name(value)
        except InvalidValue as error:
            hint = "A fixed version is written {version: 3}"
            raise InvalidPolicy(
                self.at("baseline"), f"expected the name of an alias, got {error.given}", hint
            ) from error

    def fixed_version(self, key: str) -> FixedVersion:
        """Return a version written as `{version: 3}`."""
        return FixedVersion(Body(self.require(key), self.at(key), ("version",)).count("version"))

    def anchor(self) -> bool | FixedVersion:
        """Return True where `anchor: true` is written, the version of `{version: 3}`, and False without the key."""
        if isinstance(self._data.get("anchor"), Mapping):
            return self.fixed_version("anchor")
        return self.demanded("anchor", "Or name a version: {version: 3}")

    def metric(self) -> GateMetric:
        """Return the metric named under `metric`: one that every evaluation knows, or one the policy declares."""
        value = self.require("metric")
        known = self._metrics.get(value) or find_metric(value) if isinstance(value, str) else None
        if known is None:
            problem, hint = unknown("metric", value, [*self._metrics, *METRICS])
            # Where one is near it is a slip; otherwise it may be a metric of one's own.
            declare = "A metric of your own is declared under metrics: {name: {better: higher}}"
            raise InvalidPolicy(self.at("metric"), problem, f"{hint}. {declare}" if hint else "")
        return known

    def declared_metrics(self, key: str) -> tuple[GateMetric, ...]:
        """Return the metrics of one's own under `key`: by name, the better direction and the range they can take."""
        names = self._data.get(key)
        if not isinstance(names, Mapping) or not names:
            raise InvalidPolicy(self.at(key), f"expected names, got {_shown(names)}", "Write revenue: {better: higher}")
        found = []
        for name, shape in names.items():
            where = f"{self.at(key)}.{name}"
            try:
                check_metric_name(name)
            except InvalidValue as error:
                raise InvalidPolicy(where, f"expected a metric's name, got {error.given}") from error
            if find_metric(name) is not None:
                raise InvalidPolicy(where, "every evaluation has a metric of this name", "Give yours another")
            body = Body(shape, where, ("better", "min", "max"))
            low = body.number("min") if "min" in body else -math.inf
            high = body.number("max") if "max" in body else math.inf
            if low > high:
                raise InvalidPolicy(where, f"min {low!r} is above max {high!r}", "Swap them")
            better = body.choice("better", [way.value for way in Direction], "")
            found.append(GateMetric(name, low, high, Direction(better) if better else None))
        return tuple(found)

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
            hint = _as_number(value) if isinstance(value, str) else ""
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

    def confidence(self) -> float | None:
        """Return a one-sided confidence in [0.5, 1), or None where the key is absent."""
        if "confidence" not in self._data:
            return None
        value = self.number("confidence")
        if not 0 < value < 1:
            hint = f"For {value:g} % write {value / 100:g}" if 1 < value < 100 else ""
            raise InvalidPolicy(self.at("confidence"), f"{_plain(value)} is outside (0, 1)", hint)
        if value < 0.5:
            problem = f"{value!r} is below 0.5: the bound would lie on the wrong side of the estimate"
            raise InvalidPolicy(self.at("confidence"), problem, f"Wrongly passing 1 in {1 / value:g} is {1 - value:g}")
        return value

    def tolerance(self, confidence: float | None) -> float | None:
        """Return how far from the bound is still a tie, or None; there are no ties between intervals."""
        if "tolerance" not in self._data:
            return None
        if confidence is not None:
            raise InvalidPolicy(self.at("tolerance"), "with confidence the interval decides, and nothing ties")
        return self.positive("tolerance")

    def in_range(self, key: str, metric: GateMetric) -> float:
        """Return a threshold that `metric` can take."""
        value = self.number(key)
        if metric.low <= value <= metric.high:
            return value
        hint = f"For {value:g} % write {value / 100:g}" if 1 < value <= 100 else ""
        raise InvalidPolicy(
            self.at(key), f"{_plain(value)} is outside the range of {metric.name!r} {metric.range_text}", hint
        )

    def one_amount(self, key: str, percent: str, metric: GateMetric) -> tuple[float | None, float | None]:
        """Return the absolute and the percent form of a margin, of which exactly one is given."""
        given = [name for name in (key, percent) if name in self._data]
        if len(given) != 1:
            found = "both" if given else "neither"
            raise InvalidPolicy(self.where, f"expected either {key!r} or {percent!r}, found {found}")
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

    def demanded(self, key: str, hint: str = "Leave the key out to demand nothing") -> bool:
        """Return True where `key: true` is written and False where it is absent; nothing else is understood."""
        if key not in self._data:
            return False
        if self._data[key] is not True:
            raise InvalidPolicy(self.at(key), f"expected true, got {_shown(self._data[key])}", hint)
        return True

    def share(self, key: str) -> float:
        """Return a number in [0, 1)."""
        value = self.number(key)
        if 0 <= value < 1:
            return value
        hint = f"For {value:g} % write {value / 100:g}" if 1 <= value < 100 else ""
        raise InvalidPolicy(self.at(key), f"expected a share of at least 0 and below 1, got {value!r}", hint)

    def columns(self, key: str) -> str | tuple[str, ...]:
        """Return the name of a column, or those of a cross of two columns or more."""
        value = self.require(key)
        if not isinstance(value, list | tuple):
            return self.text(key)
        found = tuple(Body({key: item}, self.where, (key,)).text(key) for item in value)
        if len(found) < 2 or len(set(found)) != len(found):
            raise InvalidPolicy(self.at(key), f"expected two different columns or more, got {_shown(value)}")
        return found

    def pattern(self, key: str) -> str:
        """Return a pattern for a model's name, which must say something about it."""
        value = self.text(key)
        if set(value) <= {"*", "?"}:
            raise InvalidPolicy(self.at(key), f"{value!r} fits every name and would assert nothing", 'Write "team-*"')
        return value

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


def _plain(value: float) -> str:
    return repr(value).removesuffix(".0")


def _as_number(text: str) -> str:
    """Return how to write a text that looks like a number."""
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?\s*%", text.strip()):
        return f"For {text.strip()} write {float(text.strip().rstrip('%')) / 100:g}"
    if re.fullmatch(r"[0-9]+,[0-9]+", text.strip()):
        return f"Write {text.strip().replace(',', '.')}"
    return "Write it without quotes"


def _is_exact(value: int) -> bool:
    try:
        return int(float(value)) == value
    except OverflowError:
        return False
