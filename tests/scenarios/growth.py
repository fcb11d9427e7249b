"""Stores grown by bulk SQL to the size of years of work: runs, their steps and attempts, and what these log."""

from __future__ import annotations

from contextlib import closing

import sqlalchemy as sa

from penstock.stores.sql.store import SqlStore

EXPERIMENTS = 20
METRICS_PER_RUN = 10  # names; each has rows ÷ runs ÷ names points

_NUMBERS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {last})",
    "postgresql": "WITH n(i) AS (SELECT generate_series(0, {last}))",
}
_RUN_ID = {"sqlite": "printf('%032x', {0})", "postgresql": "lpad(to_hex({0}), 32, '0')"}
# Neither foreign keys nor durability matter while a store is made up.
_UNGUARDED = {
    "sqlite": ("PRAGMA foreign_keys=OFF", "PRAGMA synchronous=OFF"),
    "postgresql": ("SET session_replication_role = replica",),
}
_FILL = {
    "runs": "(run_id, workspace, experiment_id, namespace, pipeline, partition, name, status, started_ms, ended_ms,"
    " reason, lifecycle_stage, source) {n} SELECT {run}, 'default', 1 + i % {experiments}, 'default', 'grown',"
    " 'p' || i, 'r', CASE WHEN i % 1000 = 0 THEN 'RUNNING' ELSE 'FINISHED' END, i * 1000,"
    " CASE WHEN i % 1000 = 0 THEN NULL ELSE i * 1000 + 500 END, '', 'active', '{{}}' FROM n",
    "steps": "(run_id, step, map_index, attempt, visible_from, generation) {n} SELECT {run}, 'main', -1, 1, 1, 1"
    " FROM n",
    "attempts": "(run_id, step, map_index, attempt, inputs_digest, inputs, token, state, host, error, started_ms,"
    " ended_ms) {n} SELECT {run}, 'main', -1, 1, 'd', '{{}}', 't', 'DONE', '{{}}', '', i * 1000, i * 1000 + 500"
    " FROM n",
    "step_results": "(run_id, step, map_index, inputs_digest, generation, attempt, result, ended_ms) {n}"
    " SELECT {run}, 'main', -1, 'd', 1, 1, '1', i FROM n",
    "params": "(run_id, step, map_index, attempt, name, value) {n} SELECT {run}, 'main', -1, 1, 'depth', '3' FROM n",
    "tags": "(run_id, name, value) {n} SELECT {run}, 'team', 'grown' FROM n",
    "inputs": "(run_id, step, map_index, attempt, role, name, digest, rows, source, columns) {n}"
    " SELECT {run}, 'main', -1, 1, 'train', 'flights', 'd', 1, '', '{{}}' FROM n",
    "run_artifacts": "(run_id, step, map_index, attempt, path, sha256, size_bytes) {n}"
    " SELECT {run}, 'main', -1, 1, 'notes.txt', 'd', 1 FROM n",
    "logged_models": "(model_id, run_id, step, map_index, attempt, name, payload_digest, manifest_digest, flavor,"
    " size_bytes, facts, created_ms, logged_ms) {n} SELECT 'm-' || {run}, {run}, 'main', -1, 1, 'model', 'd', 'd',"
    " 'sklearn', 1, '{{}}', i, i FROM n",
    "model_files": "(model_id, path, sha256, size_bytes) {n} SELECT 'm-' || {run}, 'MLmodel', 'd', 1 FROM n",
    "ledger": "(workspace, chain_kind, chain_name, sequence, kind, subject, actor, why, before, after, time_ms,"
    " previous_hash, hash) {n} SELECT 'default', 'experiment', 'grown/' || (1 + i % {experiments}),"
    " 1 + i / {experiments}, 'run_opened', '{{}}', '{{}}', '', 'null', 'null', i, 'd', 'd' FROM n",
    "metrics": "(run_id, step, map_index, attempt, name, metric_step, time_ms, kind, value) {points} SELECT {of_run},"
    " 'main', -1, 1, 'm' || (i % {each} % {names}), i % {each} / {names}, i, 'finite', i * 0.001 FROM n",
}


def run_id(number: int) -> str:
    """Return the id of a grown run."""
    return f"{number:032x}"


def grow(url: str, runs: int, points: int) -> None:
    """Fill an empty store with `runs` runs in 20 experiments, one of a thousand still running, and `points` metrics."""
    with closing(SqlStore(url)) as store:
        engine = sa.create_engine(url)
        dialect = engine.dialect.name
        words = {
            "n": _NUMBERS[dialect].format(last=runs - 1),
            "points": _NUMBERS[dialect].format(last=points - 1),
            "run": _RUN_ID[dialect].format("i"),
            # Run by run, as the keys lie: ten million points in any other order write every page over and over.
            "of_run": _RUN_ID[dialect].format(f"(i / {points // runs})"),
            "each": points // runs,
            "names": METRICS_PER_RUN,
            "experiments": EXPERIMENTS,
        }
        with engine.connect() as connection:
            for statement in _UNGUARDED[dialect]:
                connection.exec_driver_sql(statement)
            for number in range(1, EXPERIMENTS + 1):
                connection.exec_driver_sql(
                    f"INSERT INTO experiments VALUES ({number}, 'default', 'grown/{number}', 'active', 0)"
                )
            for table, statement in _FILL.items():
                connection.execute(sa.text(f"INSERT INTO {table} {statement.format(**words)}"))
            heads = "SELECT workspace, chain_kind, chain_name, max(sequence), 'd' FROM ledger GROUP BY 1, 2, 3"
            connection.exec_driver_sql(f"INSERT INTO ledger_heads {heads}")
            connection.commit()
            if dialect == "postgresql":
                reset = "SELECT setval(pg_get_serial_sequence('experiments', 'experiment_id'), 1000)"
                connection.exec_driver_sql(reset)
                connection.commit()
                connection.exec_driver_sql("ANALYZE")
                connection.commit()
        engine.dispose()
        assert len(store.list_runs(None, 1)) == 1
