"""Predicting a batch of rows with a registered model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from penstock_airflow.databases import engine_of
from penstock_airflow.lineage import Traced, model
from penstock_airflow.operators.base import RunOperator

if TYPE_CHECKING:
    from penstock import Client, DataSource
    from penstock.model.scores import Scores


class BatchScoreOperator(RunOperator):
    """Predicts rows with a model (an alias, usually) and writes the predictions as one partition of a destination.

    The rows: `rows`, a path (Parquet, CSV, a folder) or `DataSource`; or `sql`, a query to the database of
    `rows_conn_id`, with `sql_params` bound to its `:names`. The destination: `to`, a folder of Parquet files; or
    `to_table`, a table of the database of `to_conn_id`, whose rows with this partition (in `partition_column`) are
    replaced in one transaction. Databases are Airflow connections of their own types, opened on the worker.

    The partition is replaced as a whole or stays as it was: a retry, a clear, a second DAG run or a backfill leaves the
    same rows once. Map it over partitions with `.expand(partition=..., rows=...)` or `.expand_kwargs(...)`. Returns
    which version predicted how many rows.
    """

    template_fields: Sequence[str] = (
        "run",
        "model",
        "rows",
        "sql",
        "sql_params",
        "to",
        "to_table",
        "partition",
        "keep",
    )
    template_fields_renderers: Mapping[str, str] = {"sql": "sql"}

    def __init__(
        self,
        *,
        model: Any,
        partition: str,
        rows: str | DataSource | None = None,
        sql: str | None = None,
        sql_params: Mapping[str, Any] | None = None,
        rows_conn_id: str | None = None,
        to: str | None = None,
        to_table: str | None = None,
        to_conn_id: str | None = None,
        partition_column: str = "partition",
        keep: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.partition = partition
        self.rows = rows
        self.sql = sql
        self.sql_params = sql_params
        self.rows_conn_id = rows_conn_id
        self.to = to
        self.to_table = to_table
        self.to_conn_id = to_conn_id
        self.partition_column = partition_column
        self.keep = keep

    def act(self, client: Client, context: Mapping[str, Any]) -> dict[str, Any]:
        """Predict the rows."""
        scores = client.score(
            self.model,
            self._rows(),
            self._destination(),
            partition=self.partition,
            keep=self.keep,
            **self.within(client, context),
        )
        self.trace(lambda: self._lineage(scores))
        version = scores.model_id if scores.version is None else f"version {scores.version}"
        self.log.info(
            "%d rows of partition %s predicted with %s (%s), in %s",
            scores.rows,
            scores.partition,
            scores.model,
            version,
            scores.destination,
        )
        return scores.ref

    def _lineage(self, scores: Scores) -> tuple[list[Traced], list[Traced]]:
        """Return the version that predicted, and the partition that was written."""
        from penstock.model.uris import parse_model_uri

        name = getattr(parse_model_uri(scores.model), "model", None)
        used = [model(name, scores.version)] if name and scores.version is not None else []
        return used, [Traced(f"scores/{scores.destination}", scores.partition)]

    def _rows(self) -> Any:
        from penstock.errors import InvalidValue

        if (self.rows is None) == (self.sql is None) or (self.sql is None) != (self.rows_conn_id is None):
            raise InvalidValue("rows to predict", _given(self, "rows", "sql", "rows_conn_id"), _EXPECTED_ROWS)
        if self.sql is None or self.rows_conn_id is None:
            return self.rows
        from penstock.model.data import DataSource, SqlSource

        return DataSource(SqlSource(engine_of(self.rows_conn_id), self.sql, self.sql_params or {}))

    def _destination(self) -> Any:
        from penstock.errors import InvalidValue

        if (self.to is None) == (self.to_table is None) or (self.to_table is None) != (self.to_conn_id is None):
            raise InvalidValue("destination", _given(self, "to", "to_table", "to_conn_id"), _EXPECTED_DESTINATION)
        if self.to_table is None or self.to_conn_id is None:
            return self.to
        from penstock.model.scores import TableDestination

        schema, _, table = self.to_table.rpartition(".")
        return TableDestination(engine_of(self.to_conn_id), table, schema or None, self.partition_column)


_EXPECTED_ROWS = "rows= (a path or a DataSource), or sql= and rows_conn_id="
_EXPECTED_DESTINATION = "to= (a folder), or to_table= and to_conn_id="


def _given(operator: Any, *names: str) -> str:
    return " and ".join(f"{name}=" for name in names if getattr(operator, name) is not None) or "neither"
