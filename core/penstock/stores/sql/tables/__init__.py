"""The schema as it stands today. Migrations lead to it; a test compares the two.

Held to from the first revision: run ids are 32 hexadecimal characters, experiment ids integers, logged-model ids `m-`
and 32 more; times are milliseconds since the epoch; every natural key carries its workspace; every version and alias
move refers to an authorization. JSON documents are canonical JSON in text columns.
"""

from penstock.stores.sql.tables.base import metadata
from penstock.stores.sql.tables.events import event_cursors, webhook_cursors, webhook_deliveries, webhooks
from penstock.stores.sql.tables.gates import looks
from penstock.stores.sql.tables.judgements import decisions, evaluations
from penstock.stores.sql.tables.ledger import ledger, ledger_heads
from penstock.stores.sql.tables.models import logged_models, model_files, run_artifacts
from penstock.stores.sql.tables.registry import alias_moves, aliases, authorizations, model_versions, registered_models
from penstock.stores.sql.tables.retention import condemned_blobs
from penstock.stores.sql.tables.runs import (
    attempts,
    experiments,
    inputs,
    metrics,
    params,
    runs,
    step_results,
    steps,
    tags,
)
from penstock.stores.sql.tables.versions import version_states

__all__ = [
    "alias_moves",
    "aliases",
    "attempts",
    "authorizations",
    "condemned_blobs",
    "decisions",
    "evaluations",
    "event_cursors",
    "experiments",
    "inputs",
    "ledger",
    "ledger_heads",
    "logged_models",
    "looks",
    "metadata",
    "metrics",
    "model_files",
    "model_versions",
    "params",
    "registered_models",
    "run_artifacts",
    "runs",
    "step_results",
    "steps",
    "tags",
    "version_states",
    "webhook_cursors",
    "webhook_deliveries",
    "webhooks",
]
