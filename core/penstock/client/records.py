"""The ledger, its verification, and reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.client.base import OnWiring
from penstock.client.extras import extra
from penstock.errors import InvalidValue
from penstock.model.audit import AuditEvent, ChainId, experiment_chain, model_chain
from penstock.services.references import id_in

if TYPE_CHECKING:
    from penstock.services.verification import Finding


class Records(OnWiring):
    """The ledger, its verification, and reports."""

    def read_ledger(self, *, experiment: str | None = None, model: str | None = None) -> Iterator[AuditEvent]:
        """Yield the ledger's entries: of one experiment, of one model, or all."""
        if experiment is not None and model is not None:
            raise InvalidValue("ledger", (experiment, model), "an experiment or a model, not both")
        chain: ChainId | None = None
        if experiment is not None:
            chain = experiment_chain(experiment)
        elif model is not None:
            chain = model_chain(model)
        return self.wiring.store.read_ledger(chain)

    def anchor(self) -> Mapping[str, Any]:
        """Return where every chain of the ledger ends now, as plain JSON: keep it where nobody can change it."""
        from penstock.services import verification

        return verification.anchor(self.wiring)

    def verify(self, anchor: Mapping[str, Any] | None = None, *, read_bytes: bool = True) -> Iterator[Finding]:
        """Yield everything in the store that is not as it was written; nothing if it is sound. Reads only.

        Edits, deletions, insertions and reorderings are found from the database alone, a recomputed chain or a cut tail
        against an `anchor` kept elsewhere. With `read_bytes` every file that a record refers to is read and hashed.
        """
        from penstock.services import verification

        return verification.verify(self.wiring, anchor, read_bytes=read_bytes)

    def write_report(self, experiment: str, path: str | Path, *, title: str = "", metric: str = "roc_auc") -> Path:
        """Write one self-contained HTML page on an experiment's runs: numbers, reasons, plots."""
        from penstock.services.stories import run_stories

        with extra("the HTML report", "eval"):
            from penstock.evaluation.report import write_report

        stories = run_stories(self.wiring.store, experiment)
        return write_report(stories, Path(path), title=title or experiment, metric=metric)

    def write_evaluation_report(
        self, evaluation: object, path: str | Path, *, title: str = "", metric: str | None = None
    ) -> Path:
        """Write one evaluation as a self-contained HTML page: numbers with intervals, then plots; return its path.

        With `client.evaluate(..., plots=True)` there is more to plot. Slices are shown by `metric`, by default the
        task's first one.
        """
        with extra("the HTML report", "eval"):
            from penstock.evaluation.report import write_evaluation_report
        found = self.wiring.store.get_evaluation(id_in(evaluation, "evaluation_id"))
        named = title or f"Evaluation {found.evaluation_id[:8]} on {found.dataset.name}"
        return write_evaluation_report(found, Path(path), title=named, metric=metric)
