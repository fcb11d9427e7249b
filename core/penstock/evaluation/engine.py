"""One pass over the rows: candidate and baseline predict the same batches, and everything is counted from them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import pandas as pd

from penstock.errors import InvalidValue
from penstock.evaluation.counting import Counting, on_several_cores
from penstock.evaluation.describing import RowSummary, SourceReader
from penstock.evaluation.inference.replication import Origins
from penstock.evaluation.inference.weights import LEAST_REPLICATES, MOST_REPLICATES
from penstock.evaluation.partial import ROLE, Partial
from penstock.evaluation.predicting import FunctionPredictor, GivenPredictions, Respondent
from penstock.evaluation.reading import from_files, read_ahead, read_batches, read_on, rows_at_once
from penstock.evaluation.rows.cells import nulls_of
from penstock.evaluation.speed import with_speed
from penstock.evaluation.state.score_rows import EXACT_ROWS
from penstock.evaluation.tasks.choosing import AUTO, TASKS, choose, given_classes, read_task
from penstock.evaluation.tasks.task import Question, Settings
from penstock.model.custom_metrics import CustomMetric, MetricSpec, described
from penstock.model.data import DataSource
from penstock.model.evaluations import ANCHOR, BASELINE, CANDIDATE, Evaluation
from penstock.model.metrics import Cost, find_metric
from penstock.ports import Measured, Predictor, TrainingRows

logger = logging.getLogger("penstock.evaluation")
_SAMPLE = 1000  # rows that are asked about more than once


class MeasuringEngine(SourceReader):
    """Measures models on rows, and reads rows without a model (implements `ports.Evaluator` and `ports.DataReader`)."""

    exact_rows = EXACT_ROWS

    def measure(
        self,
        candidate: Predictor | None,
        held_out: DataSource,
        *,
        task: str,
        baseline: Predictor | None = None,
        anchor: Predictor | None = None,
        slices: Sequence[str] = (),
        metrics: Sequence[MetricSpec] = (),
        min_rows: int = 1,
        bootstrap: int = 0,
        plots: bool = False,
        search_slices: Sequence[str] = (),
        determinism: bool = False,
        latency: bool = False,
        progress: Callable[[int], None] | None = None,
        trained_on: Sequence[TrainingRows] = (),
    ) -> Measured:
        """Read `held_out` once; all models predict each batch, from all columns that have no other role.

        Raises as `Evaluator.measure` says; also `InvalidValue` for null labels, labels that are not the models'
        classes and unusable weights.
        """
        options: dict[str, Any] = {
            "slices": slices,
            "metrics": metrics,
            "min_rows": min_rows,
            "bootstrap": bootstrap,
            "plots": plots,
            "search_slices": search_slices,
            "determinism": determinism,
            "trained_on": trained_on,
        }
        models = {CANDIDATE: candidate, BASELINE: baseline, ANCHOR: anchor}
        found, sample = self._pass(models, held_out, task, progress, options)
        return with_speed(found.result(), models, sample) if latency else found.result()

    def measure_part(
        self,
        candidate: Predictor | None,
        held_out: DataSource,
        *,
        task: str,
        baseline: Predictor | None = None,
        anchor: Predictor | None = None,
        slices: Sequence[str] = (),
        metrics: Sequence[MetricSpec] = (),
        min_rows: int = 1,
        bootstrap: int = 0,
        plots: bool = False,
        search_slices: Sequence[str] = (),
        determinism: bool = False,
        progress: Callable[[int], None] | None = None,
        trained_on: Sequence[TrainingRows] = (),
    ) -> bytes:
        """Read a part of the held-out data as `measure` does and return its state, for `merge_parts`."""
        options: dict[str, Any] = {
            "slices": slices,
            "metrics": metrics,
            "min_rows": min_rows,
            "bootstrap": bootstrap,
            "plots": plots,
            "search_slices": search_slices,
            "determinism": determinism,
            "trained_on": trained_on,
        }
        models = {CANDIDATE: candidate, BASELINE: baseline, ANCHOR: anchor}
        return self._pass(models, held_out, task, progress, options)[0].pack()

    def draw(self, evaluation: Evaluation, *, title: str) -> Mapping[str, str]:
        """Return the evaluation's page and plots as files by name."""
        from penstock.evaluation.evaluation_page import files_of

        return files_of(evaluation, title)

    def merge_parts(
        self,
        parts: Sequence[bytes],
        held_out: DataSource,
        *,
        metrics: Sequence[MetricSpec] = (),
        trained_on: Sequence[TrainingRows] = (),
    ) -> Measured:
        """Return what `measure` would have of all parts' rows. `InvalidValue` for parts that do not belong together."""
        if not parts:
            raise InvalidValue("parts of an evaluation", "none", "at least one part")
        custom = _asked_for(metrics)[2]
        whole = Partial.unpack(parts[0], RowSummary(held_out, trained_on, rows_kept=self._rows_kept), custom)
        for part in parts[1:]:
            whole.merge(Partial.unpack(part, RowSummary(held_out, trained_on, rows_kept=self._rows_kept), custom))
        return whole.result()

    def _pass(
        self,
        models: Mapping[str, Predictor | None],
        data: DataSource,
        task: str,
        progress: Callable[[int], None] | None,
        options: dict[str, Any],
    ) -> tuple[Partial, pd.DataFrame]:
        """Return what was counted, and the first rows as the models see them."""
        candidate = models[CANDIDATE]
        chosen = read_task(task)
        if data.label is None:
            raise InvalidValue(
                "held-out data", "no label column", "a label to measure against", "Pass label='<column>'"
            )
        label = data.label
        known = [getattr(model, "classes", None) for model in models.values()]
        answers = max(0 if classes is None else len(classes) for classes in known)
        rows = self._batch_rows or rows_at_once(data, given=candidate is None, answers=answers)
        batches = read_batches(data, rows)
        first = next(batches, None)
        if first is None or len(first) == 0:
            RowSummary(data).result(ROLE)
            raise InvalidValue("data", f"{ROLE} data has 0 rows", "at least one row")
        _check_labels(first, label, batches)
        if candidate is None:
            candidate = _given(data)
        elif not hasattr(candidate, "predict") and callable(candidate):
            candidate = FunctionPredictor(candidate)
        facts: dict[str, Any] = {}
        if chosen.task == AUTO:
            chosen = choose(candidate, data, label, first)
            facts["task"] = {"asked": AUTO, "inferred": chosen.task, "because": chosen.because}
            logger.info("task: %s, as %s", chosen.task, chosen.because)
        if isinstance(candidate, FunctionPredictor):
            candidate.classes = given_classes(data, label, first, chosen.task)
        if isinstance(candidate, GivenPredictions):
            candidate = GivenPredictions(data, given_classes(data, label, first, chosen.task))
        asked = {CANDIDATE: Respondent(candidate)}
        asked |= {of: Respondent(model) for of, model in models.items() if of != CANDIDATE and model is not None}
        names, cost, custom = _asked_for(options["metrics"])
        settings = Settings(
            task=chosen.task,
            of=tuple(asked),
            weighted=data.weight is not None,
            levels=chosen.levels,
            metrics=names,
            cost=cost,
            exact_rows=self.exact_rows,
            bootstrap=_replicates(options["bootstrap"]),
            clustered=data.group is not None,
            plots=options["plots"],
            search_slices=tuple(dict.fromkeys(options["search_slices"])),
        )
        question = Question(data, label, asked)
        judge = TASKS[chosen.task][0](question, settings)
        sample = question.features(first, 0).head(_SAMPLE)
        if options["determinism"]:
            for respondent in asked.values():
                respondent.check_determinism(sample)
            facts["determinism"] = {"rows": len(sample)}

        summary = RowSummary(data, options["trained_on"], rows_kept=self._rows_kept)
        found = Partial(
            judge.settings, options["slices"], summary, min_rows=options["min_rows"], facts=facts, custom=custom
        )
        read, origins = 0, Origins() if settings.bootstrap and data.id is None else None
        judged, several = on_several_cores(lambda: judge.judge(first, 0))
        if several and not self._batch_rows:
            larger = rows_at_once(data, given=False, answers=answers, several_cores=True)
            batches = read_on(data, len(first), larger) if larger > rows else batches
        following = read_ahead(batches) if from_files(data) else batches
        with Counting(found, at_once=several or bool(custom)) as counting:
            for batch in chain([first], following):
                if read:
                    _check_labels(batch, label, following)
                    judged = judge.judge(batch, read)
                counting.add(batch, judged if origins is None else origins.found(batch, judged))
                read += len(batch)
                if progress is not None:
                    progress(read)
        return found, sample


def _replicates(bootstrap: int) -> int:
    if bootstrap == 0 or LEAST_REPLICATES <= bootstrap <= MOST_REPLICATES:
        return bootstrap
    expected = f"0, or {LEAST_REPLICATES} to {MOST_REPLICATES} replicates"
    raise InvalidValue("bootstrap", bootstrap, expected, "200 estimate a standard error to about 5 %")


def _given(data: DataSource) -> GivenPredictions:
    if data.prediction is None and data.scores is None:
        hint = "Name the columns: DataSource(..., prediction='<column>', scores='<column>')"
        raise InvalidValue("model", "none", "a model, or data with predictions made already", hint)
    return GivenPredictions(data)


def _check_labels(batch: pd.DataFrame, label: str, following: Iterator[pd.DataFrame]) -> None:
    """Raise `InvalidValue` with the number of null labels in this and all `following` batches, if this has any."""
    found = nulls_of(batch[label])
    if found is not None:
        nulls = int(found.sum()) + sum(int(later[label].isna().sum()) for later in following)
        raise InvalidValue(f"label column {label!r}", f"{nulls} nulls", "a label in every row")


def _asked_for(metrics: Sequence[MetricSpec]) -> tuple[tuple[str, ...], Any, tuple[CustomMetric, ...]]:
    """Return the names, the cost matrix and the metrics of one's own among `metrics`."""
    names: list[str] = []
    costs: list[Any] = []
    custom: dict[str, CustomMetric] = {}
    for metric in metrics:
        if isinstance(metric, Cost):
            costs.append(metric.matrix)
        elif isinstance(metric, CustomMetric):
            if custom.setdefault(described(metric).name, metric) is not metric:
                raise InvalidValue("metrics", metric.name, "every name once")
        elif isinstance(metric, str) and find_metric(metric) is not None:
            names.append(metric)
        else:
            hint = "penstock.model.metrics says how metrics are written"
            raise InvalidValue("metrics", metric, "a known metric's name, a Cost or a metric of one's own", hint)
    if len(costs) > 1:
        raise InvalidValue("metrics", f"{len(costs)} costs", "one Cost")
    return tuple(dict.fromkeys(names)), costs[0] if costs else None, tuple(custom.values())
