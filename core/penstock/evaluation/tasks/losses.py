"""Means of per-row losses of one or two models, exact in any order, with what bounds them and their difference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.evaluation.answers import Floats
from penstock.evaluation.state.groups import GroupCodes
from penstock.evaluation.state.sums import GroupSums
from penstock.model.evaluations import BASELINE, CANDIDATE
from penstock.statistics.evidence import Mean, PairedEstimates

_ROUGH = 2  # words for second moments: their relative error is below 2^-32


class LossMeans:
    """Means of losses by group: of every model in `of`, every loss in `losses`.

    The standard error of a mean m of losses l with weights w is sqrt(n/(n−1) Σ w²(l−m)²) / Σ w, by linearisation:
    without weights s/√n. With a baseline the covariance of the two means is kept, too. Without `moments` only the
    means are known, and the caller has to `give` what else is. `bounded`: losses of 2³¹ and more need no mean.
    `signed` are losses that are those of another one but for their signs, so that they have its squares.
    """

    def __init__(
        self,
        of: Sequence[str],
        losses: Sequence[str],
        weighted: bool,
        moments: bool = True,
        bounded: bool = False,
        signed: Mapping[str, str] | None = None,
    ) -> None:
        self._signed = dict(signed or {})
        self._moments_kept = moments
        self._of, self.losses, self._weighted = tuple(of), tuple(losses), weighted
        pairs = [(model, loss) for model in of for loss in losses]
        # Weights may be of any size.
        self._sums = GroupSums([f"{model} {loss}" for model, loss in pairs], bounded=bounded and not weighted)
        kinds = (("²", "w²") if weighted else ("²", "³")) if moments else ()
        kept = [f"{m} {loss} {kind}" for m, loss in pairs for kind in kinds if kind != "²" or loss not in self._signed]
        if BASELINE in of:
            kept += [f"{loss} ×" for loss in losses]
        self._moments = GroupSums(kept, _ROUGH)
        self._given: dict[tuple[str, str], tuple[Floats, Floats]] = {}
        self._weights = GroupSums(["w", "w²"] if weighted else [])
        self.rows = np.zeros(1, dtype=np.int64)

    def update(self, values: Mapping[str, Mapping[str, Floats]], weights: Floats | None, groups: GroupCodes) -> None:
        """Add a batch: by role and loss, one value per row."""
        sums: dict[str, Floats] = {}
        moments: dict[str, Floats] = {}
        for model in self._of:
            for loss in self.losses:
                value = values[model][loss]
                weighted = value if weights is None else value * weights
                sums[f"{model} {loss}"] = weighted
                if not self._moments_kept:
                    continue
                with np.errstate(over="ignore", invalid="ignore"):
                    squared = self._squared(model, loss)
                    if squared not in moments:
                        moments[squared] = weighted * weighted
                    if weights is None:
                        moments[f"{model} {loss} ³"] = moments[squared] * value
                    else:
                        moments[f"{model} {loss} w²"] = weighted * weights
        if BASELINE in self._of:
            for loss in self.losses:
                with np.errstate(over="ignore", invalid="ignore"):
                    moments[f"{loss} ×"] = sums[f"{CANDIDATE} {loss}"] * sums[f"{BASELINE} {loss}"]
        self._sums.update(sums, groups)
        self._moments.update(moments, groups)
        if weights is not None:
            self._weights.update({"w": weights, "w²": weights * weights}, groups)
        counts = groups.counts()
        self.rows = counts + np.append(self.rows, np.zeros(len(counts) - len(self.rows), dtype=np.int64))

    def _squared(self, model: str, loss: str) -> str:
        return f"{model} {self._signed.get(loss, loss)} ²"

    def merge(self, other: LossMeans, places: NDArray[np.intp], size: int) -> None:
        """Add another's sums; its group g is group `places[g]` of the `size` groups here."""
        self._sums.merge(other._sums, places, size)
        self._moments.merge(other._moments, places, size)
        self._weights.merge(other._weights, places, size)
        self.rows = np.append(self.rows, np.zeros(size - len(self.rows), dtype=np.int64))
        np.add.at(self.rows, places, other.rows)

    def means(self, model: str, loss: str) -> Floats:
        """Return the mean in each group; NaN where a row's loss was not finite or there is no weight."""
        with np.errstate(invalid="ignore", divide="ignore"):
            found: Floats = self._sums.total(f"{model} {loss}") / self._total()
        return found

    def lost(self, model: str, loss: str) -> NDArray[np.int64]:
        """Return how many rows of each group had no finite loss."""
        return self._sums.lost(f"{model} {loss}")

    def _total(self) -> NDArray[Any]:
        return self._weights.total("w") if self._weighted else self.rows

    def variances(self, model: str, loss: str) -> Floats:
        """Return the squared standard error of each group's mean; NaN for fewer than two rows."""
        if not self._moments_kept:
            return self._given[model, loss][0]
        return self._covariance(model, model, loss)

    def give(self, model: str, loss: str, spreads: Mapping[int, tuple[float, float]]) -> None:
        """Take variance (n in the denominator) and skewness of a loss by group, found elsewhere."""
        variances, skewness = np.full(len(self.rows), np.nan), np.full(len(self.rows), np.nan)
        for group, (square, skewed) in spreads.items():
            if self.rows[group] > 1:
                variances[group], skewness[group] = square / (self.rows[group] - 1), skewed
        self._given[model, loss] = variances, skewness

    def _covariance(self, one: str, other: str, loss: str) -> Floats:
        product = self._squared(one, loss) if one == other else f"{loss} ×"
        products = self._moments.total(product)
        mine, theirs, total = self.means(one, loss), self.means(other, loss), self._total()
        rows = self.rows.astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            if self._weighted:
                cross = theirs * self._moments.total(f"{one} {loss} w²") + mine * self._moments.total(
                    f"{other} {loss} w²"
                )
                spread = products - cross + mine * theirs * self._weights.total("w²")
            else:
                spread = products - rows * mine * theirs
            scale = np.abs(products) * 1e-9  # below it there is nothing but rounding
            spread = np.where(np.abs(spread) < scale, 0.0, spread)
            found: Floats = rows / (rows - 1) * spread / total**2
        return found

    def exact(self, model: str, loss: str, group: int) -> Fraction:
        """Return the exact sum of a loss in one group."""
        return self._sums.exact(f"{model} {loss}", group)

    def stats(self, model: str, loss: str) -> list[dict[str, Any]]:
        """Return each group's `evidence`, and for the candidate `paired`, for `Measurement.stats`."""
        found = self.evidence(model, loss)
        if model == CANDIDATE:
            for mine, paired in zip(found, self.paired(loss), strict=True):
                mine.update(paired)
        return found

    def evidence(self, model: str, loss: str) -> list[dict[str, Any]]:
        """Return each group's `evidence` for `Measurement.stats`: empty where none can be stated."""
        columns = [self.means(model, loss), self.variances(model, loss), self._skewness(model, loss)]
        return [
            {"evidence": Mean(mean, math.sqrt(max(variance, 0.0)), rows, _finite(skewness)).to_json()}
            if rows > 1 and math.isfinite(mean) and math.isfinite(variance)
            else {}
            for rows, mean, variance, skewness in zip(
                self.rows.tolist(), *(column.tolist() for column in columns), strict=True
            )
        ]

    def _skewness(self, model: str, loss: str) -> Floats:
        """Return the skewness of each group's losses, m₃ / m₂^1.5; NaN where rows have weights, or all are alike."""
        if not self._moments_kept:
            return self._given[model, loss][1]
        if self._weighted:
            return np.full(len(self.rows), np.nan)
        mean, rows = self.means(model, loss), self.rows.astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            names = self._squared(model, loss), f"{model} {loss} ³"
            squares, cubes = (self._moments.total(name) / rows for name in names)
            spread = squares - mean**2
            spread = np.where(spread > 1e-6 * squares, spread, np.nan)  # less is lost in the rounding of cubes
            found: Floats = (cubes - 3 * mean * squares + 2 * mean**3) / spread**1.5
        return found

    def paired(self, loss: str) -> list[dict[str, Any]]:
        """Return each group's `paired` for the candidate's `Measurement.stats`: empty where none can be stated."""
        if BASELINE not in self._of:
            return [{}] * len(self.rows)
        columns = [
            self.means(CANDIDATE, loss),
            self.means(BASELINE, loss),
            np.maximum(self.variances(CANDIDATE, loss), 0),
            np.maximum(self.variances(BASELINE, loss), 0),
            self._covariance(CANDIDATE, BASELINE, loss),
        ]
        return [
            {"paired": _paired(numbers, int(rows)).to_json()}
            if rows > 1 and all(math.isfinite(number) for number in numbers)
            else {}
            for rows, *numbers in zip(self.rows.tolist(), *(column.tolist() for column in columns), strict=True)
        ]

    def pack(self) -> dict[str, Any]:
        """Return the state as arrays."""
        return {
            "sums": self._sums.pack(),
            "moments": self._moments.pack(),
            "weights": self._weights.pack(),
            "rows": self.rows,
        }

    def unpack(self, packed: Mapping[str, Any]) -> None:
        """Take the state of `pack`."""
        self._sums.unpack(packed["sums"])
        self._moments.unpack(packed["moments"])
        self._weights.unpack(packed["weights"])
        self.rows = packed["rows"]


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _paired(numbers: Sequence[float], rows: int) -> PairedEstimates:
    candidate, baseline, of_candidate, of_baseline, covariance = numbers
    return PairedEstimates("mean", candidate, baseline, of_candidate, of_baseline, covariance, rows - 1)
