"""Penstock in Prefect's own idiom: tasks that open runs, evaluate, gate, register and promote, and tracked flows.

Importing this package imports Prefect and registers the `PenstockStore` block; nothing heavy loads before a task runs.
"""

from penstock_prefect.blocks import PenstockStore, get_store
from penstock_prefect.errors import BlockNotFound, retry_unless_terminal
from penstock_prefect.flows import tracked_flow
from penstock_prefect.steps import tracked_task
from penstock_prefect.tasks import close_run, evaluate_model, gate, open_run, promote_model, register_model

__all__ = [
    "BlockNotFound",
    "PenstockStore",
    "close_run",
    "evaluate_model",
    "gate",
    "get_store",
    "open_run",
    "promote_model",
    "register_model",
    "retry_unless_terminal",
    "tracked_flow",
    "tracked_task",
]
