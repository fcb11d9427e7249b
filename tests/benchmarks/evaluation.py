"""Evaluation against its floor: predict, then the same scikit-learn metrics on arrays in memory, in one process.

`python -m tests.benchmarks.evaluation [rows …]` prints the table, medians of turns in which floor and engine alternate;
with `--mlflow PYTHON`, an environment's interpreter, also `mlflow.models.evaluate` on the same rows and model, against
the floor there. `--parquet ROWS` measures predictions given in a Parquet file larger than memory: peak memory of a
fresh process, and throughput as a share of only scanning the file; given several times it shows how both grow.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn import metrics as sk
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression

FEATURES = [f"x{i}" for i in range(20)]
SLICES = [f"s{i}" for i in range(10)]


def frame_of(rows: int, sliced: bool = False) -> pd.DataFrame:
    """Return rows with 20 features, a label of two classes `late` and a number `delay`; with 10 columns of 5 to 14
    values each to slice by."""
    random = np.random.default_rng(0)
    features = random.normal(size=(rows, len(FEATURES)))
    frame = pd.DataFrame(features, columns=FEATURES)
    signal = features[:, :5].sum(axis=1)
    if sliced:
        for place, name in enumerate(SLICES):
            values = np.array([f"value {value}" for value in range(5 + place)])
            frame[name] = pd.Categorical(values[random.integers(0, len(values), rows)])
    frame["late"] = (signal + random.normal(size=rows) > 1).astype(np.int64)
    frame["delay"] = signal * 10 + random.normal(size=rows)
    return frame


def classifier_floor(estimator: Any, frame: pd.DataFrame) -> None:
    """Predict and measure with scikit-learn what Penstock measures by default."""
    y, x = frame["late"].to_numpy(), frame[FEATURES]
    said, proba = estimator.predict(x), estimator.predict_proba(x)
    p = proba[:, 1]
    sk.accuracy_score(y, said)
    sk.balanced_accuracy_score(y, said)
    sk.precision_score(y, said)
    sk.recall_score(y, said)
    sk.f1_score(y, said)
    sk.matthews_corrcoef(y, said)
    sk.cohen_kappa_score(y, said)
    sk.roc_auc_score(y, p)
    sk.average_precision_score(y, p)
    sk.log_loss(y, proba)
    sk.brier_score_loss(y, p)
    fpr, tpr, _ = sk.roc_curve(y, p)
    np.max(tpr - fpr)


def regressor_floor(estimator: Any, frame: pd.DataFrame) -> None:
    """Predict and measure with scikit-learn what Penstock measures by default."""
    y, said = frame["delay"].to_numpy(), estimator.predict(frame[FEATURES])
    for metric in (
        sk.mean_absolute_error,
        sk.mean_squared_error,
        sk.root_mean_squared_error,
        sk.mean_absolute_percentage_error,
        sk.r2_score,
        sk.explained_variance_score,
        sk.median_absolute_error,
        sk.max_error,
    ):
        metric(y, said)


class Given:
    """An estimator as a `Predictor`."""

    uri = "models:/benchmark/1"
    columns = tuple(FEATURES)
    predicts_most_probable = False

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator
        classes = getattr(estimator, "classes_", None)
        self.classes = None if classes is None else tuple(classes.tolist())

    def predict(self, batch: pd.DataFrame) -> Any:
        """Predict."""
        return self.estimator.predict(batch[FEATURES])

    def predict_proba(self, batch: pd.DataFrame) -> Any:
        """Predict probabilities, if there are any."""
        return self.estimator.predict_proba(batch[FEATURES]) if self.classes else None


def engine_of(estimator: Any, frame: pd.DataFrame, label: str, task: str, slices: list[str]) -> Any:
    """Measure with the engine: everything an evaluation does but storing it."""
    from penstock.evaluation.engine import MeasuringEngine
    from penstock.model.data import DataSource

    other = "delay" if label == "late" else "late"
    return MeasuringEngine().measure(
        Given(estimator), DataSource(frame, label=label, drop=(other,)), task=task, slices=slices
    )


class Taken(NamedTuple):
    """Seconds on the clock and of the processors: a busy machine makes the former longer, two threads the latter."""

    wall: float
    cpu: float


def in_turn(works: Mapping[str, Callable[[], Any]], turns: int) -> dict[str, Taken]:
    """Return the medians of so many turns, after one to warm up, in each of which every work is done once."""
    taken: dict[str, list[Taken]] = {name: [] for name in works}
    for turn in range(turns + 1):
        for name, work in works.items():
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            if turn:
                taken[name].append(Taken(time.perf_counter() - wall, time.process_time() - cpu))
    return {name: Taken(*map(statistics.median, zip(*times, strict=True))) for name, times in taken.items()}


def models_of(frame: pd.DataFrame) -> list[tuple[str, Callable[[Any, pd.DataFrame], None], Any, str, str]]:
    """Return (name, floor, fitted estimator, label, task) of what is measured."""
    train = frame[:5000]
    classifier = LogisticRegression().fit(train[FEATURES], train["late"])
    regressor = HistGradientBoostingRegressor(max_iter=50).fit(train[FEATURES], train["delay"])
    return [
        ("classifier", classifier_floor, classifier, "late", "binary"),
        ("regressor", regressor_floor, regressor, "delay", "regression"),
    ]


def compare(rows: int, turns: int = 3) -> dict[str, tuple[Taken, Taken]]:
    """Return (floor, ours) by what was done."""
    plain, sliced = frame_of(rows), frame_of(rows, sliced=True)
    found: dict[str, tuple[Taken, Taken]] = {}
    for name, floor, estimator, label, task in models_of(plain):
        works = {
            "floor": partial(floor, estimator, plain),
            name: partial(engine_of, estimator, plain, label, task, []),
            f"{name}, 10 slicing columns": partial(engine_of, estimator, sliced, label, task, SLICES),
        }
        taken = in_turn(works, turns)
        base = taken.pop("floor")
        found |= {what: (base, ours) for what, ours in taken.items()}
    return found


MLFLOW = """
import json, logging, os, sys, tempfile, time
rows, turns = int(sys.argv[1]), int(sys.argv[2])
with tempfile.TemporaryDirectory() as scratch:
    os.chdir(scratch)
    import mlflow
    from tests.benchmarks.evaluation import FEATURES, frame_of, in_turn, models_of
    logging.disable(logging.WARNING)
    mlflow.set_tracking_uri(f"sqlite:///{scratch}/mlflow.db")
    frame, found = frame_of(rows), {}
    for name, floor, estimator, label, task in models_of(frame):
        with mlflow.start_run():
            uri = mlflow.sklearn.log_model(estimator, name=name, serialization_format="cloudpickle").model_uri
        kind, data = ("classifier" if task == "binary" else "regressor"), frame[[*FEATURES, label]]
        plain = {"log_model_explainability": False, "log_explainer": False}
        def evaluate():
            with mlflow.start_run():
                mlflow.models.evaluate(uri, data, targets=label, model_type=kind, evaluator_config=plain)
        works = {"floor": lambda: floor(estimator, frame), "mlflow": evaluate}
        found[name] = in_turn(works, turns)
    print(json.dumps(found))
    os.chdir("/")
"""


def of_mlflow(python: str, rows: int, turns: int = 3) -> dict[str, tuple[Taken, Taken]]:
    """Return (floor, MLflow) by model: both in one process of an environment that has it, on the same rows."""
    command = [python, "-W", "ignore", "-c", MLFLOW, str(rows), str(turns)]
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    found = json.loads(done.stdout.splitlines()[-1])
    return {name: (Taken(*taken["floor"]), Taken(*taken["mlflow"])) for name, taken in found.items()}


def write_parquet(path: Path, rows: int) -> None:
    """Write rows of a label, a prediction and its score."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(0)
    schema = pa.schema([("late", pa.int8()), ("said", pa.int8()), ("p", pa.float64())])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, 2**20):
            p = random.beta(1, 4, min(2**20, rows - start))
            late = random.uniform(size=len(p)) < p
            table = pa.table({"late": late.astype(np.int8), "said": (p > 0.5).astype(np.int8), "p": p}, schema=schema)
            writer.write_table(table)


def scan(path: Path) -> int:
    """Only read the file with pyarrow, in batches."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        return sum(batch.num_rows for batch in file.iter_batches(batch_size=65_536))


def measure_parquet(path: Path, digest: bool) -> Any:
    """Measure the predictions in the file, with or without the digest and profile of its rows."""
    from penstock.evaluation.describing import RowSummary
    from penstock.evaluation.engine import MeasuringEngine
    from penstock.model.data import DataSource

    if not digest:
        update = RowSummary.update
        RowSummary.update = lambda self, batch: update(self, batch) if not self.rows else None  # type: ignore[method-assign]
    data = DataSource(path, label="late", prediction="said", scores="p")
    return MeasuringEngine().measure(None, data, task="binary")


class Process(NamedTuple):
    """What a fresh process took to scan or to measure a file, its imports aside; and its peak memory, all in all."""

    taken: Taken
    mebibytes: float


def in_a_process(path: Path, what: str) -> Process:
    """Scan or measure the file in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.evaluation", "--only", what, str(path)],
        check=True,
        capture_output=True,
        text=True,
    )
    wall, cpu, mebibytes = map(float, done.stdout.split())
    return Process(Taken(wall, cpu), mebibytes)


def peak_mebibytes() -> float:
    """Return this process's own peak of resident memory: `getrusage` would begin with its parent's."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def parquet(rows: int) -> dict[str, Process]:
    """Return what scanning a Parquet file of so many rows takes, and measuring what is in it."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "rows.parquet"
        write_parquet(path, rows)
        scan(path)  # the file is in the system's cache for all
        return {what: in_a_process(path, what) for what in ("scan", "measure", "measure with digest")}


def _print(rows: int, found: Mapping[str, tuple[Taken, Taken]]) -> None:
    for what, (floor, taken) in found.items():
        ratios = f"{taken.wall / floor.wall:9.2f}{taken.cpu / floor.cpu:9.2f}"
        print(f"{f'{rows:,} rows, {what}':42}{floor.wall:9.3f}{taken.wall:9.3f}{ratios}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=int, nargs="*", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--parquet", type=int, action="append", default=[])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--mlflow", help="the python of an environment with MLflow")
    parser.add_argument("--only", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        what, path = arguments.only
        import penstock.evaluation.engine  # noqa: F401

        start, cpu = time.perf_counter(), time.process_time()
        scan(Path(path)) if what == "scan" else measure_parquet(Path(path), what != "measure")
        print(time.perf_counter() - start, time.process_time() - cpu, peak_mebibytes())
        return
    if not arguments.parquet:
        print(f"{'':42}{'floor s':>9}{'s':>9}{'x floor':>9}{'CPU':>9}")
    for rows in arguments.rows if not arguments.parquet else []:
        _print(rows, compare(rows, arguments.turns))
        if arguments.mlflow:
            theirs = of_mlflow(arguments.mlflow, rows, arguments.turns)
            _print(rows, {f"{name}, MLflow": taken for name, taken in theirs.items()})
    for rows in arguments.parquet:
        found = parquet(rows)
        floor = found["scan"].taken
        for what, (taken, mebibytes) in found.items():
            shares = f"{floor.wall / taken.wall:7.0%} of scan{floor.cpu / taken.cpu:7.0%} of its CPU"
            each = taken.wall / rows * 1e9
            figures = f"{taken.wall:9.2f} s{each:8.0f} ns a row{mebibytes:7.0f} MiB{shares}"
            print(f"{f'{rows:,} rows of Parquet, {what}':52}{figures}", flush=True)


if __name__ == "__main__":
    main()
