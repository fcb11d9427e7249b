"""A server that answers S3 requests with the errors it is told to: those that no S3 server here can be made to give."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.s3_servers import REGION


class ScriptedS3(ThreadingHTTPServer):
    """Answers PUT with `answers` in turn, (status, code) each, the last one for ever; HEAD always says missing."""

    daemon_threads = True

    def __init__(self, answers: list[tuple[int, str]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = answers
        self.puts = 0


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedS3
    protocol_version = "HTTP/1.1"  # keeps connections, and says at once that a body may follow

    def do_HEAD(self) -> None:
        self._answer(404, b"")

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        status, code = self.server.answers[min(self.server.puts, len(self.server.answers) - 1)]
        self.server.puts += 1
        region = "<Region>eu-central-1</Region>" if code == "AuthorizationHeaderMalformed" else ""
        text = f"<Error><Code>{code}</Code><Message>{self.headers['Authorization']}</Message>{region}</Error>"
        self._answer(status, text.encode() if code else b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-amz-bucket-region", REGION)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def scripted_s3(*answers: tuple[int, str]) -> Iterator[ScriptedS3]:
    """Run a scripted server; `server_port` is where it listens."""
    server = ScriptedS3(list(answers))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
