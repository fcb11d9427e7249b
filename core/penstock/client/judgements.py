"""Evaluations and decisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from penstock.client.base import OnWiring
from penstock.model.custom_metrics import MetricSpec
from penstock.model.data import DataSource
from penstock.model.decisions import GateDecision
from penstock.model.evaluations import Evaluation
from penstock.model.slices import SliceSpec
from penstock.ports.sandbox import Limits
from penstock.services.references import id_in


class Judgements(OnWiring):
    """Evaluations and decisions."""

    def evaluate(
        self,
        model: object,
        held_out: Any,
        *,
        label: str | None = None,
        task: str = "auto",
        baseline: str | None = None,
        anchor: str | bool = True,
        slices: Sequence[SliceSpec] = (),
        metrics: Sequence[MetricSpec] = (),
        min_rows: int = 1,
        bootstrap: int = 200,
        expect_digest: str | None = None,
        sandbox: Limits | bool = False,
        determinism: bool = False,
        latency: bool = False,
        plots: bool = False,
        search_slices: Sequence[str] = (),
        run: object = None,
        accept_from: Sequence[str] = (),
        trusted_types: Sequence[str] | None = None,
        step: str = "evaluate",
        map_index: int = -1,
        progress: Callable[[int], None] | None = None,
    ) -> Evaluation:
        """Measure a model on held-out rows, with `baseline` on the same rows in the same pass.

        `model` is a URI, a logged model or the reference a training step returned; with `run`, also the path of an
        MLmodel folder, a function of a DataFrame, or None for predictions in the data (`DataSource.prediction` and
        `scores`): these three are on record, but can never be registered. `held_out` is a `DataSource`, or a
        path or DataFrame with its `label` column named. `task` is binary, multiclass, multilabel, regression,
        quantile (`quantile[0.1,0.5,0.9]`), ranking, or auto: the evaluation says what it inferred, and from what.

        `slices` are columns (`"carrier"`), crosses (`("carrier", "origin")`) and numbers cut at edges
        (`"distance:500,1000"`); those with fewer than `min_rows` rows are listed as too small. `metrics` are measured
        beside the default ones: names (`"fbeta_0.5"`, `"best_threshold_f1"`), a `Cost`, or metrics of one's own
        (`penstock.model.custom_metrics`). `bootstrap` replicates bound metrics that no formula does (F1, R², average
        precision, one's own), and all where the data has a `group`; 0 saves their time, and leaves such metrics without
        bounds.
        `search_slices` are columns: every value of each and of every pair (numbers in five ranges) is searched for the
        slices on which the model does worst, and `model_facts["slice_search"]` names those that were harmed (Holm).

        `anchor` is measured on the same rows, too: a URI, or with True the version that `set_anchor` made the anchor of
        the baseline's model, if there is one. `expect_digest` is the digest the held-out rows must have.

        With `sandbox` each model predicts in a process of its own: one that hangs, exits, crashes or eats memory is a
        `PredictionFailed` here, within `Limits(time_s=600, memory_bytes=...)`, and `requires: load_test` is answered.
        Functions cannot go there. `determinism` asks each model twice about the first 1,000 rows, and refuses one whose
        answers differ. `latency` (in processes of their own, too) measures `load_ms`, `latency_p50_ms`, `_p95_ms` and
        `_p99_ms` of single rows, `batch_latency_…_ms` of up to 1,000 rows, and `peak_memory_bytes`. `plots` puts a
        page (`report.html`) and every plot (SVG) of the evaluation among the run's files.

        The same model on the same data with the same baseline URI returns the stored evaluation. With `run`, the model
        must belong to that run or to a pipeline in `accept_from`.
        """
        from penstock.services import evaluation

        asked = evaluation.Asked(
            task=task,
            baseline=baseline,
            anchor=anchor,
            slices=slices,
            metrics=metrics,
            min_rows=min_rows,
            trusted_types=trusted_types,
            progress=progress,
            bootstrap=bootstrap,
            expect_digest=expect_digest,
            sandbox=sandbox,
            determinism=determinism,
            latency=latency,
            plots=plots,
            search_slices=search_slices,
        )
        return evaluation.evaluate(
            self.wiring,
            model,
            _data_source(held_out, label),
            asked,
            run=run,
            accept_from=accept_from,
            step=step,
            map_index=map_index,
        )

    def evaluate_part(
        self,
        model: object,
        held_out: Any,
        *,
        label: str | None = None,
        task: str = "auto",
        baseline: str | None = None,
        anchor: str | bool = True,
        slices: Sequence[SliceSpec] = (),
        metrics: Sequence[MetricSpec] = (),
        min_rows: int = 1,
        bootstrap: int = 200,
        sandbox: Limits | bool = False,
        determinism: bool = False,
        plots: bool = False,
        search_slices: Sequence[str] = (),
        run: object = None,
        accept_from: Sequence[str] = (),
        trusted_types: Sequence[str] | None = None,
        step: str = "evaluate-part",
        map_index: int = -1,
        progress: Callable[[int], None] | None = None,
    ) -> Mapping[str, Any]:
        """Measure a part of the held-out rows, as a mapped task does, and return a small reference to what was found.

        All as in `evaluate`; what was found is a file of the run, and `merge_evaluations` makes the evaluation of all
        parts. Parts of one run need a `map_index` each.
        """
        from penstock.services import evaluation, evaluation_parts

        asked = evaluation.Asked(
            task=task,
            baseline=baseline,
            anchor=anchor,
            slices=slices,
            metrics=metrics,
            min_rows=min_rows,
            trusted_types=trusted_types,
            progress=progress,
            bootstrap=bootstrap,
            sandbox=sandbox,
            determinism=determinism,
            plots=plots,
            search_slices=search_slices,
        )
        return evaluation_parts.evaluate_part(
            self.wiring,
            model,
            _data_source(held_out, label),
            asked,
            run=run,
            accept_from=accept_from,
            step=step,
            map_index=map_index,
        )

    def merge_evaluations(
        self,
        parts: Sequence[object],
        *,
        metrics: Sequence[MetricSpec] = (),
        expect_digest: str | None = None,
        run: object = None,
        step: str = "evaluate",
        map_index: int = -1,
    ) -> Evaluation:
        """Make one evaluation of the parts that `evaluate_part` measured: the same numbers as one pass over all rows.

        The bootstrap's replicates, too, are the same where rows have an id or a group; else their rows are drawn anew.

        The same parts in any order return the stored evaluation. Metrics of one's own are needed again in `metrics`.
        """
        from penstock.services import evaluation, evaluation_parts

        asked = evaluation.Asked(metrics=metrics, expect_digest=expect_digest)
        return evaluation_parts.merge_evaluations(self.wiring, parts, asked, run=run, step=step, map_index=map_index)

    def get_evaluation(self, evaluation: object) -> Evaluation:
        """Return an evaluation by reference or id; `NotFound` if there is none."""
        return self.wiring.store.get_evaluation(id_in(evaluation, "evaluation_id"))

    def decide(
        self,
        evaluation: object,
        policy: Any,
        *,
        model: str,
        alias: str = "champion",
        run: object = None,
        accept_from: Sequence[str] = (),
        step: str = "decide",
        map_index: int = -1,
    ) -> GateDecision:
        """Apply a written policy to an evaluation: PASS, FAIL or INCONCLUSIVE, with every reason, on record.

        `policy` is the path of a YAML, TOML or JSON file, or plain data. The decision binds model name, alias, artifact
        and the policy's and data's digests, and the alias's generation; only PASS authorizes a registration and a move.
        """
        from penstock.policies.loading import load_policy
        from penstock.services import gates

        return gates.decide_on(
            self.wiring,
            evaluation,
            load_policy(policy),
            model=model,
            alias=alias,
            run=run,
            accept_from=accept_from,
            step=step,
            map_index=map_index,
        )

    def find_decisions(self, decision_ids: Sequence[str]) -> Mapping[str, GateDecision]:
        """Return these decisions by id, at most 10,000 at once; those that are not on record are left out."""
        return self.wiring.store.find_decisions(decision_ids)

    def get_decision(self, decision: object) -> GateDecision:
        """Return a decision by reference or id; `NotFound` if there is none."""
        return self.wiring.store.get_decision(id_in(decision, "decision_id"))


def _data_source(held_out: Any, label: str | None) -> DataSource:
    return held_out if isinstance(held_out, DataSource) else DataSource(held_out, label=label)
