"""What bounds a measured number: the sufficient statistics that an evaluation stores and a gate decides from.

`Evidence` bounds one model's own value, `Paired` compares a candidate with a baseline on the same rows, for any margin.
All are plain frozen values; `to_json` writes them with their `kind`, `evidence_from_json` and `paired_from_json` read
them back. Rows are assumed to be drawn independently from the population one wants to speak about.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

from penstock.errors import InvalidValue

_T = TypeVar("_T")


class _Statistics:
    """A dataclass that is written as JSON with its kind."""

    kind: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {"kind": self.kind, **self.__dict__}


@dataclass(frozen=True)
class Proportion(_Statistics):
    """`successes` among `rows`, every row counting once: accuracy, recall among its positives, precision."""

    kind: ClassVar[str] = "proportion"
    successes: int
    rows: int

    def __post_init__(self) -> None:
        _check_counts(self)
        if self.successes > self.rows:
            raise InvalidValue("successes", self.successes, f"at most the {self.rows} rows")

    @property
    def value(self) -> float | None:
        """The share; None of no rows."""
        return self.successes / self.rows if self.rows else None


@dataclass(frozen=True)
class Auc(_Statistics):
    """An area under the ROC curve with DeLong's standard error; `positives` and `negatives` count rows."""

    kind: ClassVar[str] = "auc"
    value: float
    standard_error: float
    positives: int
    negatives: int

    def __post_init__(self) -> None:
        _check_counts(self)
        _check_finite(self)


@dataclass(frozen=True)
class Mean(_Statistics):
    """The mean of a per-row quantity (log loss, squared error) with its standard error; rows − 1 degrees of freedom.

    `skewness` is that of the rows, None where it is not known: a bound on the side of a long tail depends on it.
    """

    kind: ClassVar[str] = "mean"
    value: float
    standard_error: float
    rows: int
    skewness: float | None = None

    def __post_init__(self) -> None:
        _check_counts(self)
        _check_finite(self)
        _check_skewness(self.skewness)


@dataclass(frozen=True)
class RootMean(Mean):
    """The root of a mean of squares, with its standard error by linearisation; `skewness` is that of the squares.

    It is bounded by the root of the mean's bounds: errors with a long tail make the bootstrap's far too narrow.
    """

    kind: ClassVar[str] = "root_mean"


@dataclass(frozen=True)
class Replicates(_Statistics):
    """Any estimate with the standard deviation of `count` bootstrap replicates as its standard error.

    `degrees_of_freedom`: how well the rows themselves tell that standard error; None: better than `count` - 1.
    `skewness` is that of the estimate, None where it is not known.
    """

    kind: ClassVar[str] = "replicates"
    value: float
    standard_error: float
    count: int
    degrees_of_freedom: float | None = None
    skewness: float | None = None

    def __post_init__(self) -> None:
        _check_counts(self)
        _check_finite(self)
        _check_skewness(self.skewness)
        if self.degrees_of_freedom is not None and not 1 <= self.degrees_of_freedom < self.count:
            raise InvalidValue("degrees_of_freedom", self.degrees_of_freedom, "at least 1 and below the count, or none")


@dataclass(frozen=True)
class PairedProportions(_Statistics):
    """Rows on which both models succeeded, only the candidate, only the baseline, neither. Every row counts once."""

    kind: ClassVar[str] = "paired_proportions"
    both: int
    only_candidate: int
    only_baseline: int
    neither: int

    def __post_init__(self) -> None:
        _check_counts(self)

    @property
    def rows(self) -> int:
        """All rows."""
        return self.both + self.only_candidate + self.only_baseline + self.neither


@dataclass(frozen=True)
class PairedEstimates(_Statistics):
    """Two estimates on the same rows with the variances and the covariance *of the estimates* (not of single rows).

    So the variance of candidate − k·baseline is known for every k. `degrees_of_freedom` None: normal (DeLong).
    `third_cumulants` of the estimates, of candidate³, candidate²·baseline, candidate·baseline² and baseline³, give its
    skewness; None where that is not known.
    """

    kind: ClassVar[str] = "paired_estimates"
    method: Literal["mean", "auc", "bootstrap"]
    candidate: float
    baseline: float
    variance_candidate: float
    variance_baseline: float
    covariance: float
    degrees_of_freedom: float | None = None
    third_cumulants: tuple[float, float, float, float] | None = None

    def __post_init__(self) -> None:
        if self.third_cumulants is not None:
            given: Any = self.third_cumulants
            if not isinstance(given, list | tuple) or len(given) != 4 or not all(_is_finite(one) for one in given):
                raise InvalidValue("third_cumulants", given, "four finite numbers, or none")
            object.__setattr__(self, "third_cumulants", tuple(given))
        if self.method not in ("mean", "auc", "bootstrap"):
            raise InvalidValue("method", self.method, "mean, auc or bootstrap")
        if self.degrees_of_freedom is not None and self.degrees_of_freedom < 1:
            raise InvalidValue("degrees_of_freedom", self.degrees_of_freedom, "at least 1, or none")
        _check_finite(self)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        third = self.third_cumulants
        return {**super().to_json(), "third_cumulants": None if third is None else list(third)}

    def variance_of_contrast(self, factor: float) -> float:
        """Return the variance of candidate − factor·baseline; 0 where the terms cancel but for their rounding."""
        terms = self.variance_candidate + factor**2 * self.variance_baseline
        variance = terms - 2 * factor * self.covariance
        return variance if variance > 1e-13 * terms else 0.0

    def of_roots(self) -> PairedEstimates | None:
        """Return those of the two roots, by linearisation; None where an estimate is not above 0, or too near to it."""
        if not min(self.candidate, self.baseline) > 0:
            return None
        new, old = 2 * math.sqrt(self.candidate), 2 * math.sqrt(self.baseline)
        variances = self.variance_candidate / new / new, self.variance_baseline / old / old, self.covariance / new / old
        third = self.third_cumulants
        if third is not None:
            one, two, three, four = third
            third = one / new / new / new, two / new / new / old, three / new / old / old, four / old / old / old
            third = third if all(_is_finite(cumulant) for cumulant in third) else None
        if not all(_is_finite(variance) for variance in variances):
            return None
        return PairedEstimates(self.method, new / 2, old / 2, *variances, self.degrees_of_freedom, third)

    def skewness_of_contrast(self, factor: float) -> float:
        """Return the skewness of candidate − factor·baseline; 0 where it is not known, or lost where terms cancel.

        Between -1 and 1, as |Σu³| ≤ (Σu²)^1.5.
        """
        variance = self.variance_of_contrast(factor)
        if self.third_cumulants is None or not variance > 1e-6 * (self.variance_candidate + self.variance_baseline):
            return 0.0
        one, two, three, four = self.third_cumulants
        third = one - 3 * factor * (two - factor * three) - factor * factor * factor * four
        skewness = third / variance / math.sqrt(variance)
        return min(1.0, max(-1.0, skewness)) if math.isfinite(skewness) else 0.0


Evidence = Proportion | Auc | Mean | Replicates
Paired = PairedProportions | PairedEstimates


class Bounds(NamedTuple):
    """A lower and an upper bound and the method that found them."""

    lower: float
    upper: float
    method: str


@dataclass(frozen=True)
class Undecidable:
    """No bound can be stated, and why: an answer, not an error."""

    cause: str


_EVIDENCE: dict[str, type[Evidence]] = {kind.kind: kind for kind in (Proportion, Auc, Mean, RootMean, Replicates)}
_PAIRED: dict[str, type[Paired]] = {kind.kind: kind for kind in (PairedProportions, PairedEstimates)}


def evidence_from_json(data: Mapping[str, Any]) -> Evidence:
    """Inverse of `to_json`; `InvalidValue` for another kind, other fields, or values that cannot be."""
    return _read(data, _EVIDENCE)


def paired_from_json(data: Mapping[str, Any]) -> Paired:
    """Inverse of `to_json`; `InvalidValue` as `evidence_from_json`."""
    return _read(data, _PAIRED)


def _read(data: Mapping[str, Any], kinds: Mapping[str, type[_T]]) -> _T:
    kind = kinds.get(data.get("kind", ""))
    if kind is None:
        raise InvalidValue("kind of statistics", data.get("kind"), f"one of {', '.join(kinds)}")
    values = dict(data)
    del values["kind"]
    of = _FIELDS[data["kind"]]
    if not of.needed <= values.keys() <= of.known:
        raise InvalidValue(f"statistics of kind {data['kind']!r}", sorted(values), f"the fields {sorted(of.known)}")
    return kind(**values)


class _Fields(NamedTuple):
    """The names of a kind's fields: of all, of those that must be given, of counts, of plain numbers."""

    known: frozenset[str]
    needed: frozenset[str]
    counts: tuple[str, ...]
    numbers: tuple[str, ...]


def _fields_of(kind: type[Evidence | Paired]) -> _Fields:
    all_of_them = fields(kind)
    return _Fields(
        frozenset(field.name for field in all_of_them),
        frozenset(field.name for field in all_of_them if field.default is MISSING),
        tuple(field.name for field in all_of_them if field.type == "int"),
        tuple(field.name for field in all_of_them if field.type == "float"),
    )


# Once per kind: replaying reads statistics by the hundred thousand.
_FIELDS = {name: _fields_of(kind) for name, kind in (_EVIDENCE | _PAIRED).items()}


def _check_counts(statistics: Any) -> None:
    for name in _FIELDS[statistics.kind].counts:
        count = getattr(statistics, name)
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise InvalidValue(name, count, "a count of rows")


def _check_finite(statistics: Any) -> None:
    for name in _FIELDS[statistics.kind].numbers:
        number = getattr(statistics, name)
        if not _is_finite(number):
            raise InvalidValue(name, number, "a finite number")
        if number < 0 and name.startswith(("variance", "standard_error")):
            raise InvalidValue(name, number, "at least 0")


def _check_skewness(skewness: Any) -> None:
    if skewness is not None and not _is_finite(skewness):
        raise InvalidValue("skewness", skewness, "a finite number, or none")


def _is_finite(number: Any) -> bool:
    return isinstance(number, int | float) and math.isfinite(number)
