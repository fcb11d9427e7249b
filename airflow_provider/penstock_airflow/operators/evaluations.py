"""Measuring a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from penstock_airflow.operators.base import RunOperator

if TYPE_CHECKING:
    from penstock import Client, DataSource
    from penstock.model.evaluations import Evaluation


class EvaluateModelOperator(RunOperator):
    """Measures a model on held-out rows, with `baseline` on the same rows in the same pass. Returns its reference.

    `model` is what the training task returned. `held_out` is a path with its `label` column named, or a `DataSource`.
    The same model on the same data with the same baseline is measured once.
    """

    template_fields: Sequence[str] = ("run", "model", "held_out", "baseline", "slices")

    def __init__(
        self,
        *,
        model: Any,
        held_out: str | DataSource,
        label: str | None = None,
        task: str = "auto",
        baseline: str | None = None,
        slices: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.held_out = held_out
        self.label_column = label
        self.model_task = task
        self.baseline = baseline
        self.slices = slices

    def act(self, client: Client, context: Mapping[str, Any]) -> dict[str, Any]:
        """Measure the model."""
        evaluation = client.evaluate(
            self.model,
            self.held_out,
            label=self.label_column,
            task=self.model_task,
            baseline=self.baseline,
            slices=self.slices,
            **self.within(context),
        )
        self.log.info("Evaluation %s: %s", evaluation.evaluation_id, _summary(evaluation))
        return evaluation.ref


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
