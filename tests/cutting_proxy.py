"""A TCP proxy that breaks off transfers: a connection is reset after so many bytes, or falls silent."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class CuttingProxy:
    """Forwards to a port of this machine.

    When `up_bytes` (sent by clients) or `down_bytes` (sent by the server) passes a number in `cuts_up` or `cuts_down`,
    the connection that carries it is reset. While `silent`, nothing is forwarded either way; what clients send beyond
    `stop_after` stays here.
    """

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self.port: int = self._listener.getsockname()[1]
        self.cuts_up: list[int] = []
        self.cuts_down: list[int] = []
        self.up_bytes = self.down_bytes = 0
        self.cut = 0
        self.silent = False
        self.stop_after: int | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        # Closing alone would not wake the thread that waits for a connection: the port would stay open.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            server = socket.create_connection(self._target)
            for source, target, upward in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._forward, args=(source, target, upward), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket, upward: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                while self.silent or (upward and self.stop_after is not None and self.up_bytes > self.stop_after):
                    time.sleep(0.02)
                if self._is_cut(len(data), upward):
                    for each in (source, target):
                        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                    break
                target.sendall(data)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RD)
            each.close()

    def _is_cut(self, size: int, upward: bool) -> bool:
        with self._lock:
            if upward:
                self.up_bytes += size
            else:
                self.down_bytes += size
            passed, cuts = (self.up_bytes, self.cuts_up) if upward else (self.down_bytes, self.cuts_down)
            if cuts and passed > cuts[0]:
                cuts.pop(0)
                self.cut += 1
                return True
        return False


@contextlib.contextmanager
def cutting_proxy(port: int) -> Iterator[CuttingProxy]:
    """Run a proxy in front of a port."""
    proxy = CuttingProxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
