"""Law L9: importing is cheap."""

from __future__ import annotations

import json
import subprocess
import sys

THIRD_PARTY = {"sqlalchemy", "alembic", "yaml", "click", "rich", "numpy", "pandas", "pyarrow", "sklearn", "skops"}


def _modules_after(code: str) -> list[str]:
    program = (
        f"import sys, json; before = set(sys.modules); {code}; print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout))


def test_importing_penstock_loads_nothing_but_itself() -> None:
    loaded = _modules_after("import penstock")
    assert {name.partition(".")[0] for name in loaded} <= {"penstock", *sys.stdlib_module_names}
    assert len(loaded) < 20


def test_the_model_the_ports_and_the_services_load_no_third_party_library() -> None:
    services = "tracking, evaluation, gates, registry, stories, model_access, active_run"
    loaded = _modules_after(f"import penstock.ports; from penstock.services import {services}")
    assert not {name.partition(".")[0] for name in loaded} - set(sys.stdlib_module_names) - {"penstock"}


def test_a_task_that_only_logs_loads_no_data_library_and_no_alembic() -> None:
    # Creating a store migrates it; the second connection is what every task pays.
    code = (
        "import penstock, tempfile, subprocess; u = 'sqlite:///' + tempfile.mkdtemp() + '/p.db';"
        "subprocess.run([sys.executable, '-c', 'import penstock, sys; penstock.connect(sys.argv[1])', u], check=True);"
        "r = penstock.connect(u).open_run('e', 'p', params={'a': 1}); r.log_metric('m', 1); r.close()"
    )
    roots = {name.partition(".")[0] for name in _modules_after(code)}
    assert "sqlalchemy" in roots
    assert not roots & (THIRD_PARTY - {"sqlalchemy"})


def test_every_public_name_of_penstock_resolves() -> None:
    import penstock

    assert sorted(penstock.__all__) == penstock.__all__
    for name in penstock.__all__:
        assert getattr(penstock, name) is not None
