"""The model's own process: `python -m penstock.models.sandbox.child <from> <to> <memory>`, started by `isolated`.

It limits itself before it loads anything of the model, answers one question at a time and ends with its parent.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import time
from typing import Any, BinaryIO

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Load what the first message names, then answer until the pipe is closed."""
    incoming, outgoing = os.fdopen(int(sys.argv[1]), "rb"), os.fdopen(int(sys.argv[2]), "wb")
    _limit(int(sys.argv[3]))
    from penstock.models.sandbox import wire

    def receive(size: int) -> bytes:
        return _exactly(incoming, size)

    header, _ = wire.read(receive)
    try:
        model, facts = _load(header)
    except Exception as error:  # noqa: BLE001 - whatever loading raises is an answer
        _answer(outgoing, _failure(error))
        return
    _answer(outgoing, facts)
    while True:
        try:
            header, body = wire.read(receive)
        except EOFError:
            return
        try:
            answer, content = _asked(model, header, body)
        except Exception as error:  # noqa: BLE001 - whatever a model raises is an answer
            answer, content = _failure(error), b""
        _answer(outgoing, answer, content)


def _limit(memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What the process allocates, not what it maps: libraries reserve far more address space than they use.
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit(1)


def _load(header: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    from pathlib import Path

    from penstock.models.format import MlmodelFormat
    from penstock.models.sandbox.timing import peak_memory_bytes

    before, started = peak_memory_bytes(), time.perf_counter()
    model = MlmodelFormat().load(Path(header["folder"]), uri=header["uri"], trusted_types=header["trusted_types"])
    classes = model.classes
    return model, {
        "columns": None if model.columns is None else list(model.columns),
        "classes": None if classes is None else list(classes),
        "predicts_most_probable": bool(getattr(model, "predicts_most_probable", False)),
        "load_ms": (time.perf_counter() - started) * 1000,
        "memory_before_bytes": before,
    }


def _asked(model: Any, header: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
    import numpy as np

    from penstock.models.sandbox import timing, wire

    if header["ask"] == "peak_memory":
        return {"bytes": timing.peak_memory_bytes()}, b""
    rows = wire.table_of(body)
    if header["ask"] == "latency":
        return {"latency": timing.latency(model.predict, rows, int(header["repeats"]))}, b""
    answer = getattr(model, {"predict": "predict", "predict_proba": "predict_proba"}[header["ask"]])(rows)
    if answer is None:
        return {"form": "none"}, b""
    return wire.array_bytes(np.asarray(answer))


def _failure(error: BaseException) -> dict[str, Any]:
    from penstock.errors import PenstockError

    if isinstance(error, PenstockError):
        facts = {name: value for name, value in error.__dict__.items() if isinstance(value, str | int | float | tuple)}
        return {"refused": type(error).__name__, "args": [str(arg) for arg in error.args], "facts": facts}
    return {"raised": type(error).__name__, "text": str(error)[:2000]}


def _answer(outgoing: BinaryIO, header: dict[str, Any], body: bytes = b"") -> None:
    from penstock.models.sandbox import wire

    wire.write(outgoing.write, header, body)
    outgoing.flush()


def _exactly(incoming: BinaryIO, size: int) -> bytes:
    found = incoming.read(size)
    if len(found) != size:
        raise EOFError
    return found


if __name__ == "__main__":
    main()
