"""Measuring a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from penstock_airflow.lineage import Traced, data
from penstock_airflow.links import ReportLink, RunLink
from penstock_airflow.operators.base import RunOperator

if TYPE_CHECKING:
    from penstock import Client, DataSource
    from penstock.model.evaluations import Evaluation
    from penstock.ports.sandbox import Limits


class EvaluateModelOperator(RunOperator):
    """Measures a model on held-out rows, with `baseline` on the same rows in the same pass. Returns its reference.

    `model` is what the training task returned. `held_out` is a path with its `label` column named, or a `DataSource`.
    `anchor`, `slices`, `metrics`, `min_rows`, `bootstrap`, `trusted_types`, `determinism`, `latency`, `plots` and
    `expect_digest` are as in `client.evaluate`. The same model on the same data with the same baseline is measured
    once.

    Models predict in processes of their own: one that hangs, exits, crashes or eats memory fails this task and nothing
    else. `sandbox=Limits(time_s=…, memory_bytes=…)` says how far they may go (by default 600 s for all predictions, and
    three quarters of the memory there is), `sandbox=False` lets them predict in the task's own process.

    With `part=True`, `held_out` is a part of the rows, as in
    `EvaluateModelOperator.partial(..., part=True).expand(held_out=shards)`; `MergeEvaluationsOperator` makes the
    evaluation of all parts.
    """

    template_fields: Sequence[str] = (
        *("run", "model", "held_out", "label_column", "baseline", "slices", "trusted_types", "expect_digest"),
    )
    operator_extra_links = (RunLink(), ReportLink())

    def __init__(
        self,
        *,
        model: Any,
        held_out: str | DataSource,
        label: str | None = None,
        task: str = "auto",
        baseline: str | None = None,
        slices: Sequence[Any] = (),
        metrics: Sequence[Any] = (),
        min_rows: int = 1,
        bootstrap: int = 200,
        trusted_types: Sequence[str] | None = None,
        anchor: str | bool = True,
        sandbox: Limits | bool = True,
        determinism: bool = False,
        latency: bool = False,
        plots: bool = False,
        expect_digest: str | None = None,
        part: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.held_out = held_out
        self.label_column = label
        self.model_task = task
        self.baseline = baseline
        self.slices = slices
        self.metrics = metrics
        self.min_rows = min_rows
        self.bootstrap = bootstrap
        self.trusted_types = trusted_types
        self.anchor = anchor
        self.sandbox = sandbox
        self.determinism = determinism
        self.latency = latency
        self.plots = plots
        self.expect_digest = expect_digest
        self.part = part

    def act(self, client: Client, context: Mapping[str, Any]) -> dict[str, Any]:
        """Measure the model."""
        asked: dict[str, Any] = {
            "label": self.label_column,
            "task": self.model_task,
            "baseline": self.baseline,
            "slices": self.slices,
            "metrics": self.metrics,
            "min_rows": self.min_rows,
            "bootstrap": self.bootstrap,
            "trusted_types": self.trusted_types,
            "anchor": self.anchor,
            "sandbox": self.sandbox,
            "determinism": self.determinism,
            "plots": self.plots,
            **self.within(client, context),
        }
        if self.part:
            reference = dict(client.evaluate_part(self.model, self.held_out, **asked))
            self.log.info("Part %s of an evaluation measured, for %s", reference["path"], _shown_model(self.model))
            return reference
        evaluation = client.evaluate(
            self.model, self.held_out, latency=self.latency, expect_digest=self.expect_digest, **asked
        )
        self.trace(lambda: (_read(client, evaluation), []))
        self.log.info("Evaluation %s: %s", evaluation.evaluation_id, _summary(evaluation))
        return evaluation.ref


class MergeEvaluationsOperator(RunOperator):
    """Makes one evaluation of the parts that mapped `EvaluateModelOperator`s measured. Returns its reference.

    The numbers are those of one pass over all rows. `parts` is their output; one that is missing (a part was skipped)
    is an error, because the rows it should have measured are held-out rows, too.
    """

    template_fields: Sequence[str] = ("run", "parts")
    operator_extra_links = (RunLink(), ReportLink())

    def __init__(self, *, parts: Any, metrics: Sequence[Any] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.parts = parts
        self.metrics = metrics

    def act(self, client: Client, context: Mapping[str, Any]) -> dict[str, Any]:
        """Merge the parts."""
        from penstock.errors import InvalidValue

        if self.parts is None or isinstance(self.parts, str | Mapping):
            raise InvalidValue("parts of an evaluation", self.parts, "what the mapped evaluation tasks returned")
        parts, place = list(self.parts), self.within(client, context)
        evaluation = client.merge_evaluations(
            parts, metrics=self.metrics, **{name: place[name] for name in ("run", "step", "map_index") if name in place}
        )
        self.trace(lambda: (_read(client, evaluation), []))
        self.log.info("Evaluation %s of %d parts: %s", evaluation.evaluation_id, len(parts), _summary(evaluation))
        return evaluation.ref


def _read(client: Client, evaluation: Evaluation) -> list[Traced]:
    """Return the held-out data, and what the model's run has read for training."""
    read = client.get_run(evaluation.run_id).inputs
    return data([evaluation.dataset, *(found for found in read if found.role == "train")])


def _shown_model(model: Any) -> Any:
    return model.get("model") if isinstance(model, Mapping) else model


def _summary(evaluation: Evaluation) -> str:
    numbers = [
        f"{m.metric} {_shown(m.value)}{_against(evaluation, m.metric)}"
        for m in evaluation.measurements
        if m.of == "candidate" and not m.slice
    ]
    return f"{evaluation.dataset.rows} rows of {evaluation.dataset.name}: {', '.join(numbers)}"


def _against(evaluation: Evaluation, metric: str) -> str:
    if evaluation.baseline is None or evaluation.find(metric, "baseline") is None:
        return ""
    return f" (baseline {_shown(evaluation.value(metric, 'baseline'))})"


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4g}"
