"""What must be installed to load a model: exact versions, in the three files MLflow lays out."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable
from importlib import metadata

import yaml

CONDA = "conda.yaml"
PYTHON_ENV = "python_env.yaml"

_ALWAYS = ("sklearn", "skops", "numpy")
_DISTRIBUTIONS = {"sklearn": "scikit-learn", "skops": "skops", "numpy": "numpy", "pandas": "pandas"}


def pinned(modules: Iterable[str] = ()) -> tuple[str, ...]:
    """Return `name==version` for scikit-learn, skops and numpy, then for what installs the top-level `modules`.

    Modules of the standard library, and those no distribution installs (a script of the user's own), are left out:
    there is nothing to pin.
    """
    others = sorted(set(modules) - set(_ALWAYS) - sys.stdlib_module_names)
    names = [_DISTRIBUTIONS[module] for module in _ALWAYS]
    for module in others:
        known = _DISTRIBUTIONS.get(module)
        names += [known] if known else sorted(set(metadata.packages_distributions().get(module, ())))
    return tuple(f"{name}=={metadata.version(name)}" for name in names)


def files(requirements: tuple[str, ...]) -> dict[str, str]:
    """Return requirements.txt, python_env.yaml and conda.yaml by name."""
    python = platform.python_version()
    python_env = {
        "python": python,
        "build_dependencies": ["pip", "setuptools", "wheel"],
        "dependencies": ["-r requirements.txt"],
    }
    conda = {
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", "pip", {"pip": list(requirements)}],
        "name": "penstock-env",
    }
    return {
        "requirements.txt": "".join(f"{line}\n" for line in requirements),
        PYTHON_ENV: yaml.safe_dump(python_env, sort_keys=False),
        CONDA: yaml.safe_dump(conda, sort_keys=False),
    }
