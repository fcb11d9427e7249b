"""Our end of a model's own process: a predictor that hangs, exits, crashes or eats memory is a clear error here.

The child is started by `clean_process`, which says what it gets to know of us.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import pyarrow as pa

from penstock import errors
from penstock.errors import InvalidValue, PenstockError, PredictionFailed
from penstock.models import clean_process
from penstock.models.sandbox import wire
from penstock.ports.sandbox import Limits

_PIECE = 1 << 20
_LAST_WORDS = 2000
# Libraries take their time on a busy machine, whatever the predictions may take.
LOADING_S = 120.0


class IsolatedPredictor:
    """A `Predictor` whose model lives in a child process. A context manager; closing ends the process.

    `predicts_most_probable` says that its predicted class is the most probable one, so that it need not be asked twice.

    `folder` is a model's folder whose bytes have been verified; it may go once this is constructed. Raises what
    loading raises, and `PredictionFailed` when the child dies or takes longer than `limits.time_s`.
    """

    isolated = True

    def __init__(
        self, folder: Path, *, uri: str, trusted_types: Sequence[str] | None = None, limits: Limits | None = None
    ) -> None:
        self._uri, self._limits = uri, limits or Limits()
        self._left_s, self._rows = max(self._limits.time_s, LOADING_S), 0
        self._memory = self._limits.memory_bytes or _most_memory()
        self._said = b""
        self._complaints: int | None = None
        self._process, self._to_child, self._from_child = self._started()
        trusted = None if trusted_types is None else list(trusted_types)
        try:
            hello, _ = self._ask(
                {"folder": str(folder.resolve()), "uri": uri, "trusted_types": trusted}, b"", "loading"
            )
        except BaseException:
            self.close()
            raise
        self._left_s = self._limits.time_s
        columns, classes = hello["columns"], hello["classes"]
        self._columns = None if columns is None else tuple(str(name) for name in columns)
        self._classes = None if classes is None else tuple(classes)
        self.predicts_most_probable = bool(hello.get("predicts_most_probable"))
        self._load_ms, self._memory_before = float(hello["load_ms"]), int(hello["memory_before_bytes"])

    def __repr__(self) -> str:
        return f"IsolatedPredictor({self._uri!r})"

    def __enter__(self) -> IsolatedPredictor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        with suppress(Exception):
            self.close()

    @property
    def uri(self) -> str:
        """What it was loaded from, for messages."""
        return self._uri

    @property
    def columns(self) -> tuple[str, ...] | None:
        """The feature columns of its signature, in order; None if it has none."""
        return self._columns

    @property
    def classes(self) -> tuple[Any, ...] | None:
        """The class labels in the order of `predict_proba`'s columns; None if it is not a classifier."""
        return self._classes

    def predict(self, batch: Any) -> Any:
        """Return one prediction per row, as an array of shape (n,)."""
        answer = self._predicted("predict", batch)
        self._rows += len(batch)
        return answer

    def predict_proba(self, batch: Any) -> Any | None:
        """Return class probabilities as an array of shape (n, classes); None if the model has none."""
        return self._predicted("predict_proba", batch)

    def measure_latency(self, rows: Any, *, repeats: int = 200) -> dict[str, float]:
        """Time the model on `rows` in its own process: `timing.latency`'s figures, and what loading took.

        Adds `load_ms`, and `memory_bytes`: the most the process held, beyond what it held before loading.
        """
        header, _ = self._ask({"ask": "latency", "repeats": repeats}, self._table(rows), "timing")
        peak, _ = self._ask({"ask": "peak_memory"}, b"", "timing")
        memory = max(0, int(peak["bytes"]) - self._memory_before)
        found = {str(name): float(value) for name, value in header["latency"].items()}
        return {**found, "load_ms": self._load_ms, "memory_bytes": float(memory)}

    def close(self) -> None:
        """End the process and whatever it has started; nothing happens if that was done before."""
        if self._to_child < 0:  # its number may be another process's by now
            return
        clean_process.end(self._process)
        for descriptor in (self._to_child, self._from_child):
            with suppress(OSError):
                os.close(descriptor)
        self._to_child = self._from_child = -1
        self._complaints = None
        if self._process.stderr is not None:
            self._process.stderr.close()

    def _predicted(self, question: str, batch: Any) -> np.ndarray[Any, Any] | None:
        header, body = self._ask({"ask": question}, self._table(batch), self._place(len(batch)))
        if header.get("form") == "none":
            return None
        try:
            return wire.array_of(header, body)
        except wire.Malformed as error:
            self._died(self._place(len(batch)), f"its process answered with {error}")

    def _table(self, batch: Any) -> memoryview:
        if not isinstance(batch, pd.DataFrame):
            raise InvalidValue("batch", type(batch).__name__, "a pandas DataFrame")
        try:
            return wire.table_bytes(batch)
        except (pa.ArrowException, TypeError) as error:
            expected = "columns of one type each, to hand to the model's process"
            raise InvalidValue("features", str(error).splitlines()[0], expected) from error

    def _place(self, count: int) -> str:
        return f"{self._rows}..{self._rows + count - 1}"

    def _started(self) -> tuple[subprocess.Popen[bytes], int, int]:
        theirs_in, to_child = _pipe()
        from_child, theirs_out = _pipe()
        arguments = [str(theirs_in), str(theirs_out), str(self._memory)]
        try:
            process = clean_process.start(
                "penstock.models.sandbox.child", arguments, stderr=subprocess.PIPE, pass_fds=(theirs_in, theirs_out)
            )
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        os.set_blocking(to_child, False)
        assert process.stderr is not None  # noqa: S101 - it was asked for
        self._complaints = process.stderr.fileno()
        return process, to_child, from_child

    def _ask(self, header: dict[str, Any], body: bytes | memoryview, place: str) -> tuple[dict[str, Any], bytes]:
        started = time.monotonic()
        until = started + self._left_s
        try:
            wire.write(lambda data: self._send(data, until), header, body)
            answer, content = wire.read(lambda size: self._receive(size, until))
        except TimeoutError:
            self._died(place, f"it exceeded {self._limits.time_s:g} s; sandbox=Limits(time_s=...) allows more")
        except (EOFError, BrokenPipeError):
            self._died(place, self._how_it_ended())
        except wire.Malformed as error:
            self._died(place, f"its process answered with {error}")
        self._left_s -= time.monotonic() - started
        if "refused" in answer:
            raise self._explained(_refusal(answer))
        if "raised" in answer:
            raise self._explained(PredictionFailed(self._uri, place, f"{answer['raised']}: {answer['text']}"))
        return answer, content

    def _send(self, data: bytes | memoryview, until: float) -> None:
        view = memoryview(data)
        while view:
            self._wait_for([], [self._to_child], until)
            with suppress(BlockingIOError):
                view = view[os.write(self._to_child, view[:_PIECE]) :]

    def _receive(self, size: int, until: float) -> bytes:
        pieces: list[bytes] = []
        while size:
            self._wait_for([self._from_child], [], until)
            piece = os.read(self._from_child, min(size, _PIECE))
            if not piece:
                raise EOFError
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def _wait_for(self, readable: list[int], writable: list[int], until: float) -> None:
        """Wait for the child, keeping the end of what it writes to stderr: nobody else empties that pipe."""
        while True:
            complaints: list[int] = [] if self._complaints is None else [self._complaints]
            left_s = max(0.0, until - time.monotonic())
            ready, able, _ = select.select([*readable, *complaints], writable, [], left_s)
            if self._complaints in ready:
                self._hear()
            if able or any(descriptor in ready for descriptor in readable):
                return
            if not ready and time.monotonic() >= until:
                raise TimeoutError

    def _hear(self) -> None:
        heard = b"" if self._complaints is None else os.read(self._complaints, _PIECE)
        self._said = (self._said + heard)[-_LAST_WORDS:]
        if not heard:
            self._complaints = None

    def _how_it_ended(self) -> str:
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "its process closed the connection"
        if code >= 0:
            return f"its process ended with exit code {code}{self._last_words()}"
        name = signal.Signals(-code).name if -code in set(signal.Signals) else "?"
        return f"its process was killed by signal {-code} ({name}){self._last_words()}"

    def _last_words(self) -> str:
        while self._complaints is not None and select.select([self._complaints], [], [], 0)[0]:
            self._hear()
        lines = self._said.decode(errors="replace").strip().splitlines()
        return f"; its last words: {lines[-1][:300]}" if lines else ""

    def _explained(self, error: PenstockError) -> PenstockError:
        """Say of a failure for want of memory how much there was."""
        if isinstance(error, PredictionFailed) and "MemoryError" in error.cause:
            cause = f"{error.cause} (it may allocate {self._memory} bytes)"
            return PredictionFailed(error.model, error.rows, cause)
        return error

    def _died(self, place: str, cause: str) -> NoReturn:
        self.close()
        raise PredictionFailed(self._uri, place, cause)


def _pipe() -> tuple[int, int]:
    """Return a pipe that takes a whole piece at once, where the system lets it: tables are many of them."""
    reading, writing = os.pipe()
    with suppress(AttributeError, OSError):
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIECE)
    return reading, writing


def _refusal(answer: dict[str, Any]) -> PenstockError:
    """Build an error of ours again from its facts; what is none of ours is a prediction that failed."""
    kind = getattr(errors, str(answer["refused"]), None)
    if not (isinstance(kind, type) and issubclass(kind, PenstockError)):
        kind = PredictionFailed
    facts = {name: tuple(v) if isinstance(v, list) else v for name, v in answer["facts"].items()}
    return errors.rebuild(kind, tuple(answer["args"]), facts)


def _most_memory() -> int:
    """Return three quarters of the memory of this machine, or of this container if that has less."""
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):
        found = min(found, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return found * 3 // 4
