"""The operators, one noun per module; what a DAG uses is named here."""

from __future__ import annotations

from penstock_airflow.operators.evaluations import EvaluateModelOperator
from penstock_airflow.operators.gates import GateOperator
from penstock_airflow.operators.models import PromoteModelOperator, RegisterModelOperator
from penstock_airflow.operators.runs import CloseRunOperator, OpenRunOperator

__all__ = [
    "CloseRunOperator",
    "EvaluateModelOperator",
    "GateOperator",
    "OpenRunOperator",
    "PromoteModelOperator",
    "RegisterModelOperator",
]
