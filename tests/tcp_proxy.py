"""A TCP proxy between a store and its server: it loses answers, takes its time, resets connections or falls silent."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time


class TcpProxy:
    """Forwards to a port of this machine.

    `lose_after` names bytes: the request that holds them is delivered, and the connection dies before the reply comes
    back, once the server has had the time to do what it was asked. `reset_at` names bytes, too: the request that holds
    them is not delivered, and the connection is reset. Each is done once. Every piece takes `delay_s` seconds on its
    way, and while the proxy is `silent` no answer comes through and nothing is closed.
    """

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.lose_after: bytes | None = None
        self.reset_at: bytes | None = None
        self.delay_s = 0.0
        self.silent = False
        self.lost = self.reset = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            server = socket.create_connection(self._target)
            cut = threading.Event()
            threading.Thread(target=self._requests, args=(client, server, cut), daemon=True).start()
            threading.Thread(target=self._answers, args=(client, server, cut), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket, cut: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                time.sleep(self.delay_s)
                if self.reset_at is not None and self.reset_at in data:
                    self.reset_at = None
                    self.reset += 1
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    break
                wanted = self.lose_after
                losing = wanted is not None and wanted in data
                if losing:
                    self.lose_after = None
                    cut.set()
                server.sendall(data)
                if losing:
                    time.sleep(0.2)
                    self.lost += 1
                    break
        _shut(client, server)

    def _answers(self, client: socket.socket, server: socket.socket, cut: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                time.sleep(self.delay_s)
                if not cut.is_set() and not self.silent:
                    client.sendall(data)
        if not cut.is_set():
            _shut(client, server)


def _shut(*sockets: socket.socket) -> None:
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
