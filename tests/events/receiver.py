"""A receiver of webhooks: a real HTTP server that remembers what it was sent and answers as it is told."""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Receiver:
    """What arrived, and what is answered: a status for the next requests, or a function of the request's number."""

    port: int = 0
    status: Callable[[int], int] | int = 204
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        """The events' ids, in the order they arrived."""
        return [headers["webhook-id"] for headers, _ in self.received]

    def answer(self) -> int:
        """The status to answer the newest request with."""
        return self.status(len(self.received)) if callable(self.status) else self.status


@contextmanager
def receiving(context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """Run a receiver on a free port of this machine."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
            status = receiver.answer()
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("location", f"http://127.0.0.1:{receiver.port}/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def dripping(begins: bytes) -> Iterator[int]:
    """Run a server that begins its answer like this and then sends a letter every 50 ms; yield its port."""

    def drip() -> None:
        with contextlib.suppress(OSError):
            taken, _ = server.accept()
            with taken:
                taken.sendall(begins)
                for _ in itertools.count():
                    taken.sendall(b"x")
                    time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        yield int(server.getsockname()[1])
        thread.join(10)
