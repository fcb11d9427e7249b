"""Which of many slices were harmed, with the chance of naming any slice wrongly held below alpha."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from penstock.statistics.bounds import NO_ROWS, ZERO_VARIANCE, degrees_of_freedom
from penstock.statistics.distributions import binomial_cdf, normal_cdf, student_cdf
from penstock.statistics.evidence import Evidence, Paired, Proportion, Undecidable
from penstock.statistics.paired import p_value_worse

_Slice = TypeVar("_Slice", bound=Hashable)


class Harm(NamedTuple):
    """A slice's p-value of "not worse than the baseline", Holm's adjusted one, and whether it is named as harmed."""

    p_value: float
    adjusted: float
    harmed: bool


def harmed_slices(
    slices: Mapping[_Slice, Paired | None], *, greater_is_better: bool, alpha: float = 0.05
) -> dict[_Slice, Harm]:
    """Test every slice for harm; P(any slice that was not harmed is named) ≤ `alpha`.

    `slices` must be all that were looked at, a search's included. One without a comparison (None), or whose variance
    is 0, counts with p-value 1. This is *not* the test of a gate "every slice must pass": that is an
    intersection–union test at full alpha in each slice (Berger, Technometrics 24, 1982).
    """
    p_values = []
    for paired in slices.values():
        found = 1.0 if paired is None else p_value_worse(paired, greater_is_better=greater_is_better)
        p_values.append(1.0 if isinstance(found, Undecidable) else found)
    return {
        where: Harm(p, adjusted, adjusted <= alpha)
        for where, p, adjusted in zip(slices, p_values, holm(p_values), strict=True)
    }


def p_value_worse_than(evidence: Evidence, reference: float, *, greater_is_better: bool = True) -> float | Undecidable:
    """Return the one-sided p-value of "the true value is not worse than `reference`", a known number.

    Proportions: the binomial test, exact. Otherwise (value − reference) / standard error by Student's t, or the normal
    distribution for an AUC.
    """
    if isinstance(evidence, Proportion):
        if not evidence.rows:
            return Undecidable(NO_ROWS)
        if greater_is_better:
            return binomial_cdf(evidence.successes, evidence.rows, reference)
        return binomial_cdf(evidence.rows - evidence.successes, evidence.rows, 1 - reference)
    degrees = degrees_of_freedom(evidence)
    if not evidence.standard_error > 0 or degrees == 0:
        return Undecidable(ZERO_VARIANCE)
    score = (evidence.value - reference) / evidence.standard_error
    score = score if greater_is_better else -score
    return normal_cdf(score) if degrees is None else student_cdf(score, degrees)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return adjusted p-values: those ≤ alpha are rejected with a family-wise error ≤ alpha, however they depend.

    Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6 (1979).
    """
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted
