"""The house: file sizes, source roots, what the wheel holds."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE_ROOTS = ("core", "airflow_provider", "prefect_tasks")
FILES = [path for root in (*SOURCE_ROOTS, "tests", "example_dags") for path in (ROOT / root).rglob("*.py")]


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_no_file_hides_a_second_noun() -> None:
    limits = {path: 600 if path.is_relative_to(ROOT / "tests") else 500 for path in FILES}
    assert [f"{path}: {_lines(path)}" for path, limit in limits.items() if _lines(path) > limit] == []


def test_a_source_root_is_not_a_package() -> None:
    assert [root for root in SOURCE_ROOTS if (ROOT / root / "__init__.py").exists()] == []


def test_init_files_only_name() -> None:
    inits = [path for path in FILES if path.name == "__init__.py"]
    assert [str(path) for path in inits if _lines(path) > 60] == []
    for path in inits:
        classes = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)]
        assert classes == [], path


def test_every_error_survives_pickling() -> None:
    import inspect
    import pickle

    from penstock import errors

    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.PenstockError)]
    concrete = [kind for kind in kinds if "__init__" in vars(kind)]
    assert len(concrete) > 10
    samples: dict[str, object] = {"types": ("a.B",), "attempt": 1, "current": 2, "waited_s": 1.0}
    for kind in concrete:
        names = list(inspect.signature(kind).parameters)
        error = kind(**{name: samples.get(name, f"<{name}>") for name in names})
        back = pickle.loads(pickle.dumps(error))
        assert (type(back), str(back), back.__dict__) == (kind, str(error), error.__dict__)
        assert issubclass(kind, errors.Terminal) != issubclass(kind, errors.Transient)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(target.glob("penstock-*.whl"))


def test_the_wheel_holds_exactly_the_three_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
        names = archive.namelist()
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "penstock",
        "penstock_airflow",
        "penstock_prefect",
    }
    assert "penstock/py.typed" in names
    assert any(name.startswith("penstock/stores/sql/migrations/versions/v0001") for name in names)


def test_the_installed_wheel_works_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    command = [
        sys.executable,
        "-m",
        "uv",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        str(target),
        str(wheel),
    ]
    subprocess.run(command, check=True)
    code = (
        "import penstock; c = penstock.connect('sqlite:///p.db'); r = c.open_run('e', 'p'); r.log_metric('a', 1);"
        "r.close(); print(penstock.__file__)"
    )
    program = f"import sys; sys.path.insert(0, {str(target)!r}); {code}"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(str(target))
