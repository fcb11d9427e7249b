"""What Airflow is told about this provider. Read by every Airflow process, so it imports next to nothing."""

from __future__ import annotations

from typing import Any

from penstock._version import __version__

_OPERATORS = ("runs", "logs", "evaluations", "gates", "approvals", "models", "probations", "scoring")
_LINKS = ("RunLink", "DecisionLink", "ReportLink")


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
                "python-modules": [f"penstock_airflow.operators.{name}" for name in _OPERATORS],
            }
        ],
        "connection-types": [connection_type()],
        "extra-links": [f"penstock_airflow.links.{name}" for name in _LINKS],
        "task-decorators": [{"name": "penstock", "class-name": "penstock_airflow.decorators.penstock_task"}],
        "config": {
            "penstock": {
                "description": "Penstock inside Airflow.",
                "options": {
                    "listener_conn_ids": {
                        "description": "Connections of the stores in which work of tasks that died is ended, "
                        "comma-separated; empty for none. Such work is ended by lease and reaper in any case.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "penstock_default,penstock_team_b",
                        "default": "penstock_default",
                    },
                    "watch_interval_s": {
                        "description": "How often the triggerer asks the store whether an alias that is watched (a "
                        "model asset) has been moved outside of Airflow, in seconds.",
                        "version_added": "0.1.0",
                        "type": "float",
                        "example": None,
                        "default": "10.0",
                    },
                    "installation": {
                        "description": "The name of this Airflow among those that share a store, the same in all "
                        "of its components: each follows the store's aliases for itself. Default: told from [api] "
                        "base_url.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "production",
                        "default": "",
                    },
                    "page_conn_id": {
                        "description": "Connection of the store that the page inside Airflow's UI shows.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": None,
                        "default": "penstock_default",
                    },
                },
            }
        },
    }


def connection_type() -> dict[str, Any]:
    """Return the connection's type and its form."""
    return {
        "connection-type": "penstock",
        "hook-class-name": "penstock_airflow.hooks.PenstockHook",
        "hook-name": "Penstock store",
        "conn-fields": {
            "artifacts": _text("Artifact root", "A folder or s3://bucket/prefix. SQLite: beside the file."),
            "scheme": _text("Database", "Of a server in host; default: postgresql+psycopg."),
            "sslmode": _text("SSL mode", "disable, allow, prefer, require, verify-ca or verify-full."),
            "connect_timeout": _text("Connect timeout (s)", "How long to wait for the database server."),
            "application_name": _text("Application name", "What the database server calls us."),
            "s3_endpoint": _text("S3 endpoint", "https://host:port of a store that is not Amazon's own."),
            "s3_region": _text("S3 region", "Default: AWS_REGION, or us-east-1."),
            "s3_access_key_id": _text("S3 access key id", "Default: what boto3 finds (environment, role)."),
            "s3_secret_access_key": _secret("S3 secret access key", "Goes with the access key id."),
            "s3_session_token": _secret("S3 session token", "Of temporary keys only."),
        },
        "ui-field-behaviour": {
            "hidden-fields": ["extra"],
            "relabeling": {"host": "Database server, or store URL", "schema": "Database name"},
            "placeholders": {
                "host": "db.example.org, or sqlite:////srv/penstock/penstock.db",
                "port": "5432",
                "schema": "penstock",
            },
        },
    }


def _text(label: str, description: str) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["string", "null"]}}


def _secret(label: str, description: str) -> dict[str, Any]:
    return {**_text(label, description), "schema": {"type": ["string", "null"], "format": "password"}}
