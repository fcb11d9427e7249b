"""What Airflow knows of the provider, and what a DAG file that uses it costs."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

from airflow.providers_manager import ProvidersManager

from penstock_airflow.connections import EXTRAS
from penstock_airflow.get_provider_info import get_provider_info
from penstock_airflow.joining import join_here
from penstock_airflow.plugin.registration import PenstockPlugin
from tests import airflow_home
from tests.benchmarks.airflow import OURS, PLAIN

HEAVY = {"penstock", "pandas", "numpy", "sklearn", "skops", "pyarrow", "boto3", "sqlalchemy", "matplotlib"}
SECRET = {"s3_secret_access_key", "s3_session_token"}


def test_airflow_lists_the_provider_with_its_connection_and_its_decorator() -> None:
    manager = ProvidersManager()
    assert manager.providers["penstock"].data["name"] == "Penstock"
    hook = manager.hooks["penstock"]
    assert hook is not None
    assert (hook.hook_class_name, hook.hook_name) == ("penstock_airflow.hooks.PenstockHook", "Penstock store")
    assert manager.taskflow_decorators["penstock"].__name__ == "penstock_task"


def test_airflows_ui_is_served_the_connections_form_with_every_field_explained() -> None:
    """Asked as the UI asks, in a process of its own: Airflow 3.1 reads the form from the hook, later ones from us."""
    program = (
        "from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService as service; import json;"
        "print(json.dumps([f.model_dump(mode='json') for f in service.hook_meta_data()"
        " if f.connection_type == 'penstock']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    (form,) = json.loads(done.stdout.splitlines()[-1])
    assert set(form["extra_fields"]) == set(EXTRAS)
    fields = {
        name: (field["schema"].get("format"), field["description"]) for name, field in form["extra_fields"].items()
    }
    assert {name for name, (kind, _) in fields.items() if kind == "password"} == SECRET
    assert [name for name, (_, said) in fields.items() if not said] == []
    assert form["standard_fields"]["host"]["title"] == "Database server, or store URL"


def test_secrets_of_the_form_are_password_fields_and_every_extra_has_its_field() -> None:
    (connection,) = get_provider_info()["connection-types"]
    fields = connection["conn-fields"]
    assert set(fields) == set(EXTRAS)
    secret = {name for name, field in fields.items() if field["schema"].get("format") == "password"}
    assert secret == SECRET


def test_the_entry_points_lead_to_the_plugin_and_to_the_way_to_join_a_run() -> None:
    for group, expected in (("airflow.plugins", PenstockPlugin), ("penstock.orchestrators", join_here)):
        (value,) = airflow_home.entry_points_of(group).values()
        module, _, name = value.partition(":")
        assert getattr(import_module(module), name) is expected
    assert not join_here()


def test_every_module_the_provider_names_is_there() -> None:
    info = get_provider_info()
    for kind in ("hooks", "operators"):
        for group in info[kind]:
            for module in group["python-modules"]:
                import_module(module)
    for path in (d["class-name"] for d in info["task-decorators"]):
        module, _, name = path.rpartition(".")
        assert callable(getattr(import_module(module), name))


def test_a_dag_file_with_our_operators_loads_nothing_heavy_on_our_account(tmp_path: Path) -> None:
    loaded = {}
    for name, text in {"plain": PLAIN, "ours": OURS}.items():
        file = tmp_path / f"{name}_dag.py"
        file.write_text(text)
        program = f"import sys, json, runpy; runpy.run_path({str(file)!r}); print(json.dumps(sorted(sys.modules)))"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        loaded[name] = set(json.loads(done.stdout.splitlines()[-1]))
    extra = loaded["ours"] - loaded["plain"]
    assert {name.partition(".")[0] for name in extra} <= {"penstock_airflow", "airflow"} | set(sys.stdlib_module_names)
    assert not {name.partition(".")[0] for name in extra} & HEAVY
