"""The operators, one noun per module; what a DAG uses is named here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock_airflow.operators.evaluations import EvaluateModelOperator, MergeEvaluationsOperator
from penstock_airflow.operators.gates import GateOperator
from penstock_airflow.operators.logs import LogOperator
from penstock_airflow.operators.models import PromoteModelOperator, RegisterModelOperator, RollbackModelOperator
from penstock_airflow.operators.probations import JudgeProbationOperator
from penstock_airflow.operators.runs import CloseRunOperator, OpenRunOperator
from penstock_airflow.operators.scoring import BatchScoreOperator

if TYPE_CHECKING:
    from penstock_airflow.operators.approvals import ApproveModelOperator

__all__ = [
    "ApproveModelOperator",
    "BatchScoreOperator",
    "CloseRunOperator",
    "EvaluateModelOperator",
    "GateOperator",
    "JudgeProbationOperator",
    "LogOperator",
    "MergeEvaluationsOperator",
    "OpenRunOperator",
    "PromoteModelOperator",
    "RegisterModelOperator",
    "RollbackModelOperator",
]


def __getattr__(name: str) -> Any:
    """Import what asks a person only where a DAG uses it: it costs as much as all the others."""
    if name == "ApproveModelOperator":
        from penstock_airflow.operators.approvals import ApproveModelOperator

        return ApproveModelOperator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
