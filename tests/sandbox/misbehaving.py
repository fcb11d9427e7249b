"""Models with bad manners, to be loaded in a process of their own."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin


class Misbehaving(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Behaves once it is asked, in the manner that was chosen."""

    def __init__(self, manner: str = "well") -> None:
        self.manner = manner

    def fit(self, rows: Any, labels: Any) -> Misbehaving:
        """Remember the classes."""
        self.classes_ = np.unique(labels)
        return self

    def predict(self, rows: Any) -> Any:
        """Predict the first class, or not."""
        return getattr(self, f"_{self.manner}")(rows)

    def _well(self, rows: Any) -> Any:
        return np.full(len(rows), self.classes_[0])

    def _hang(self, rows: Any) -> Any:
        while True:
            time.sleep(60)

    def _exit(self, rows: Any) -> Any:
        os._exit(7)

    def _segfault(self, rows: Any) -> Any:
        return ctypes.string_at(0)

    def _eat(self, rows: Any) -> Any:
        return np.ones(50_000_000_000 // 8)

    def _talk(self, rows: Any) -> Any:
        for _ in range(20):
            print("x" * 1_000_000)
            print("y" * 1_000_000, file=sys.stderr)
        return self._well(rows)

    def _fork(self, rows: Any) -> Any:
        subprocess.Popen(["sleep", "600"])
        return self._well(rows)

    def _raise(self, rows: Any) -> Any:
        raise ValueError("no such carrier")

    def _short(self, rows: Any) -> Any:
        return self._well(rows)[:-1]

    def _lie(self, rows: Any) -> Any:
        # Answers in place of the process that was asked.
        os.write(int(sys.argv[2]), b"\xff" * 64)
        time.sleep(60)

    def _peek(self, rows: Any) -> Any:
        raise ValueError(" ".join(f"{name}={value}" for name, value in os.environ.items()))

    def _change(self, rows: Any) -> Any:
        rows.iloc[:, 0] = -1.0
        return self._well(rows)

    def _late(self, rows: Any) -> Any:
        if len(rows) < 100:
            raise ValueError("enough")
        return self._well(rows)

    def _random(self, rows: Any) -> Any:
        return np.random.default_rng().choice(self.classes_, len(rows))
