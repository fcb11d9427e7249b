"""What Airflow is told about this provider. Read by every Airflow process, so it imports next to nothing."""

from __future__ import annotations

from typing import Any

from penstock._version import __version__


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata in the form of Airflow's provider schema."""
    return {
        "package-name": "penstock",
        "name": "Penstock",
        "description": "Experiment tracking, evaluation and a gated model registry inside DAGs.",
        "versions": [__version__],
        "integrations": [{"integration-name": "Penstock", "external-doc-url": "", "tags": ["software"]}],
        "hooks": [{"integration-name": "Penstock", "python-modules": ["penstock_airflow.hooks"]}],
        "operators": [
            {
                "integration-name": "Penstock",
                "python-modules": [
                    "penstock_airflow.operators.runs",
                    "penstock_airflow.operators.evaluations",
                    "penstock_airflow.operators.gates",
                    "penstock_airflow.operators.models",
                ],
            }
        ],
        "connection-types": [
            {
                "connection-type": "penstock",
                "hook-class-name": "penstock_airflow.hooks.PenstockHook",
                "hook-name": "Penstock store",
                "conn-fields": {
                    "artifacts": {
                        "label": "Artifact folder",
                        "description": "Where bytes live. Default: 'artifacts' beside the database.",
                        "schema": {"type": ["string", "null"]},
                    }
                },
                "ui-field-behaviour": {
                    "hidden-fields": ["login", "password", "port", "schema", "extra"],
                    "relabeling": {"host": "Store URL"},
                    "placeholders": {"host": "sqlite:////srv/penstock/penstock.db"},
                },
            }
        ],
        "task-decorators": [{"name": "penstock", "class-name": "penstock_airflow.decorators.penstock_task"}],
    }
