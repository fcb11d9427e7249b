"""Artifacts and logged models, in a SQL database, each method one transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from penstock.model.runs import Attempt
from penstock.model.versions import FileEntry, LoggedModel
from penstock.stores.sql import models, steps
from penstock.stores.sql.database import retried
from penstock.stores.sql.records.base import OnDatabase

_PAGE = 1000


class SqlModelRecords(OnDatabase):
    """Implements `penstock.ports.ModelRecords`, where its methods are documented."""

    @retried
    def put_artifacts(self, attempt: Attempt, files: Sequence[FileEntry], sweeps: Collection[str] = ()) -> None:
        with self._database.writing() as connection:
            steps.check_may_write(connection, attempt)
            models.put_artifacts(connection, attempt, files, sweeps)

    def list_artifacts(self, run_id: str) -> Sequence[FileEntry]:
        with self._database.reading() as connection:
            return models.artifacts(connection, run_id)

    def list_blobs(self, after: str, limit: int) -> Sequence[str]:
        with self._database.reading() as connection:
            return models.referred(connection, after, limit)

    def find_referrer(self, sha256: str) -> str:
        with self._database.reading() as connection:
            return models.referrer(connection, sha256)

    @retried
    def add_model(self, attempt: Attempt, model: LoggedModel, sweeps: Collection[str] = ()) -> LoggedModel:
        with self._database.writing() as connection:
            steps.check_may_write(connection, attempt)
            return models.add(connection, attempt, model, sweeps)

    def read_model_stages(self) -> Iterator[tuple[str, str, str]]:
        after = ""
        while True:
            with self._database.reading() as connection:
                rows = models.stages(connection, after, _PAGE)
            yield from rows
            if len(rows) < _PAGE:
                return
            after = rows[-1][0]

    def get_model(self, model_id: str) -> LoggedModel:
        with self._database.reading(one_statement=True) as connection:
            return models.get(connection, model_id)

    def find_model(self, run_id: str, name: str) -> LoggedModel | None:
        with self._database.reading(one_statement=True) as connection:
            return models.find(connection, run_id, name)
