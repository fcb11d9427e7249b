"""Means of per-row losses of one or two models, exact in any order, with what bounds them and their difference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.evaluation.answers import Floats
from penstock.evaluation.state.groups import GroupCodes
from penstock.evaluation.state.sums import GroupSums
from penstock.model.evaluations import BASELINE, CANDIDATE
from penstock.statistics.evidence import Mean, PairedEstimates

_ROUGH = 2  # words for moments: their relative error is below 2^-32
_ROUNDING, _SKEWNESS_KNOWN_TO = 2.0**-32, 1e-3
_BETWEEN = {"²×": (CANDIDATE, CANDIDATE, BASELINE), "×²": (CANDIDATE, BASELINE, BASELINE)}  # third moments of both


class LossMeans:
    """Means of losses by group: of every model in `of`, every loss in `losses`.

    The standard error of a mean m of losses l with weights w is sqrt(n/(n−1) Σ w²(l−m)²) / Σ w, by linearisation:
    without weights s/√n. Likewise its skewness is Σ w³(l−m)³ / (Σ w²(l−m)²)^1.5. With a baseline the covariance and the
    third cumulants of the two means are kept, too. Without `moments` only the means are known, and the caller has to
    `give` what else is. `bounded`: losses of 2³¹ and more need no mean. `signed` are losses that are those of another
    one but for their signs, so that they have its squares.
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
        kinds = ("²", "³", *(("w²", "w³", "w³²") if weighted else ())) if moments else ()
        kept = [f"{m} {loss} {kind}" for m, loss in pairs for kind in kinds if kind != "²" or loss not in self._signed]
        if BASELINE in of:
            kept += [f"{loss} {kind}" for loss in losses for kind in ("×", *_BETWEEN, *(["w³×"] if weighted else []))]
        self._moments = GroupSums(kept, _ROUGH)
        self._given: dict[tuple[str, str], tuple[Floats, Floats]] = {}
        self._weights = GroupSums(["w", "w²", "w³"] if weighted else [])
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
                    squared, name = self._squared(model, loss), f"{model} {loss}"
                    if squared not in moments:
                        moments[squared] = weighted * weighted
                    moments[f"{name} ³"] = moments[squared] * weighted
                    if weights is not None:
                        moments[f"{name} w²"] = weighted * weights
                        moments[f"{name} w³"] = weighted * (weights * weights)
                        moments[f"{name} w³²"] = moments[squared] * weights
        for loss in self.losses if BASELINE in self._of else ():
            with np.errstate(over="ignore", invalid="ignore"):
                new, old = sums[f"{CANDIDATE} {loss}"], sums[f"{BASELINE} {loss}"]
                both = moments[f"{loss} ×"] = new * old
                moments |= {f"{loss} ²×": both * new, f"{loss} ×²": both * old}
                if weights is not None:
                    moments[f"{loss} w³×"] = both * weights
        self._sums.update(sums, groups)
        self._moments.update(moments, groups)
        if weights is not None:
            with np.errstate(over="ignore"):
                powers = {"w": weights, "w²": weights * weights, "w³": weights * weights * weights}
            self._weights.update(powers, groups)
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
        rows = self.rows.astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            found: Floats = rows / (rows - 1) * self._second(one, other, loss) / self._total() ** 2
        return found

    def _second(self, one: str, other: str, loss: str) -> Floats:
        """Return Σ w²(l − m)(l′ − m′) in each group; 0 where nothing but rounding is left."""
        products = self._moments.total(self._squared(one, loss) if one == other else f"{loss} ×")
        mine, theirs = self.means(one, loss), self.means(other, loss)
        with np.errstate(invalid="ignore", over="ignore"):
            if self._weighted:
                cross = theirs * self._moments.total(f"{one} {loss} w²") + mine * self._moments.total(
                    f"{other} {loss} w²"
                )
                spread = products - cross + mine * theirs * self._weights.total("w²")
            else:
                spread = products - self.rows * mine * theirs
            found: Floats = np.where(np.abs(spread) < 1e-9 * np.abs(products), 0.0, spread)
        return found

    def _thirds(self, kinds: Sequence[tuple[str, str, str]], loss: str) -> list[Floats]:
        """Return Σ w³(l − m)(l′ − m′)(l″ − m″) in each group, for each three models whose losses these are.

        NaN where little but rounding would be left.
        """
        mean = {model: self.means(model, loss) for model in {model for models in kinds for model in models}}
        cubes = cache(lambda *models: self._cubes(loss, models))
        found: list[Floats] = []
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            spread = {model: np.sqrt(self._second(model, model, loss)) for model in mean}
            # Σw³ ≥ (Σw²)^1.5 / √rows; of tiny weights the cubes are lost.
            least = self._weights.total("w²") ** 1.5 / np.sqrt(self.rows) if self._weighted else np.zeros(1)
            for one, two, three in kinds:
                a, b, c = mean[one], mean[two], mean[three]
                terms = (
                    *(cubes(one, two, three), -a * cubes(two, three), -b * cubes(one, three), -c * cubes(one, two)),
                    *(b * c * cubes(one), a * c * cubes(two), a * b * cubes(three), -a * b * c * cubes()),
                )
                rounding = sum(np.abs(term) for term in terms) * _ROUNDING
                known = rounding < _SKEWNESS_KNOWN_TO * spread[one] * spread[two] * spread[three]
                found.append(np.where(known & (cubes() > least / 2), sum(terms), np.nan))
        return found

    def _cubes(self, loss: str, models: tuple[str, ...]) -> NDArray[Any]:
        """Return Σ w³ times the losses of the models, of up to three, in each group."""
        if not models:
            return self._weights.total("w³") if self._weighted else self.rows
        alike, name = len(set(models)) == 1, f"{models[0]} {loss}"
        if len(models) == 3:
            between = next((kind for kind, both in _BETWEEN.items() if both == models), "")
            return self._moments.total(f"{name} ³" if alike else f"{loss} {between}")
        if self._weighted:
            kinds = f"{name} w³", f"{name} w³²" if alike else f"{loss} w³×"
            return self._moments.total(kinds[len(models) - 1])
        if len(models) == 1:
            return self._sums.total(name)
        return self._moments.total(self._squared(models[0], loss) if alike else f"{loss} ×")

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
        """Return the skewness of each group's mean times √rows: without weights that of its losses; NaN: not known."""
        if not self._moments_kept:
            return self._given[model, loss][1]
        spread = self._second(model, model, loss)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            found: Floats = np.sqrt(self.rows) * self._thirds([(model, model, model)], loss)[0] / spread**1.5
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
        third = self._third_cumulants(loss)
        return [
            {"paired": _paired(numbers, int(rows), cumulants).to_json()}
            if rows > 1 and all(math.isfinite(number) for number in numbers)
            else {}
            for rows, cumulants, *numbers in zip(
                self.rows.tolist(), third, *(column.tolist() for column in columns), strict=True
            )
        ]

    def _third_cumulants(self, loss: str) -> list[list[float]]:
        """Return those of the two means in each group, as `PairedEstimates` has them."""
        kinds = [(CANDIDATE, CANDIDATE, CANDIDATE), *_BETWEEN.values(), (BASELINE, BASELINE, BASELINE)]
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            found = np.stack(self._thirds(kinds, loss), axis=1) / self._total()[:, None] ** 3
        cumulants: list[list[float]] = found.tolist()
        return cumulants

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


def _paired(numbers: Sequence[float], rows: int, third: Sequence[float]) -> PairedEstimates:
    candidate, baseline, of_candidate, of_baseline, covariance = numbers
    one, two, three, four = third
    known = (one, two, three, four) if all(math.isfinite(cumulant) for cumulant in third) else None
    return PairedEstimates("mean", candidate, baseline, of_candidate, of_baseline, covariance, rows - 1, known)
