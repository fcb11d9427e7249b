"""What OpenLineage is told, where Airflow has its provider: data with digests in, model versions out.

Names are Penstock's own (namespace `penstock`): `data/<name>` whose version is the digest over every row, and
`models/<name>` whose version is the number. Nothing here can fail a task, and nothing is read for it where nobody asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from penstock.model.data import Dataset

NAMESPACE = "penstock"


class Traced(NamedTuple):
    """Something that a task has read or made, in a version."""

    name: str
    version: str


def data(datasets: Iterable[Dataset]) -> list[Traced]:
    """Return datasets as they are told, each once."""
    return list(dict.fromkeys(Traced(f"data/{found.name}", found.digest) for found in datasets))


def model(name: str, version: int) -> Traced:
    """Return a model version as it is told."""
    return Traced(f"models/{name}", str(version))


class Lineage:
    """Mixed into operators: remembers what `execute` has read and made, until OpenLineage asks."""

    log: Any
    traced: tuple[list[Traced], list[Traced]] = ([], [])

    def trace(self, found: Callable[[], tuple[list[Traced], list[Traced]]]) -> None:
        """Remember inputs and outputs, if OpenLineage's provider is there to ask for them."""
        try:
            if _is_installed():
                self.traced = found()
        except Exception:
            self.log.info("No lineage of this task", exc_info=True)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Return the lineage in OpenLineage's classes: its provider calls this when the task has succeeded."""
        try:
            from airflow.providers.openlineage.extractors import OperatorLineage

            inputs, outputs = self.traced
            return OperatorLineage(
                inputs=[_dataset(traced) for traced in inputs], outputs=[_dataset(traced) for traced in outputs]
            )
        except Exception:
            self.log.info("No lineage of this task", exc_info=True)
            return None


def _is_installed() -> bool:
    return find_spec("airflow.providers") is not None and find_spec("airflow.providers.openlineage") is not None


def _dataset(traced: Traced) -> Any:
    from airflow.providers.common.compat.openlineage.facet import Dataset
    from openlineage.client.generated.dataset_version_dataset import DatasetVersionDatasetFacet

    version = DatasetVersionDatasetFacet(datasetVersion=traced.version)
    return Dataset(namespace=NAMESPACE, name=traced.name, facets={"version": version})
