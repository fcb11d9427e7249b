"""Requests to webhooks: one connection to an address that was just checked, no redirect, a deadline over it all."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import ExitStack
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from penstock.model.webhooks import Answer, Target
from penstock.webhooks.addresses import ALLOWED_VARIABLE, Allowed, look_up

TIMEOUT_S = 10.0
_MOST_ANSWER_BYTES = 65_536
_SOON_S = 0.1


class HttpCourier:
    """Implements `penstock.ports.Courier` over HTTP/1.1."""

    def __init__(
        self,
        allowed: Allowed | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        resolve: Callable[[str, int], list[IPv4Address | IPv6Address]] = look_up,
    ) -> None:
        self._allowed = Allowed.from_environment() if allowed is None else allowed
        self._timeout_s = timeout_s
        self._resolve = resolve
        self._looking: dict[tuple[str, int], Future[list[IPv4Address | IPv6Address]]] = {}

    def send(self, target: Target, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send; see the port."""
        until = time.monotonic() + self._timeout_s
        try:
            addresses = self._looked_up(target.host, target.port)
        except TimeoutError:
            return Answer(None, f"{target.host}: its address was not found within {self._timeout_s:g} s")
        except OSError as error:
            return Answer(None, f"{target.host} has no address: {error.strerror or error}")
        except ValueError as error:  # a name that no resolver takes, such as one with an empty label
            return Answer(None, f"{target.host} cannot be looked up: {error}"[:500])
        refused = [address for address in addresses if not self._allowed.admits(target.host, address)]
        if refused or not addresses:
            hint = f"Name the host or its network in {ALLOWED_VARIABLE} where events are delivered, if it is meant"
            return Answer(None, f"{target.host} leads to {refused[0] if refused else 'nowhere'}, not public. {hint}")
        if target.scheme == "http" and not self._may_be_plain(target.host, addresses):
            hint = f"Use https, or name the host in {ALLOWED_VARIABLE} where events are delivered"
            return Answer(None, f"{target.host} would be sent events unencrypted. {hint}")
        return self._post(target, addresses, headers, body, until)

    def _looked_up(self, host: str, port: int) -> list[IPv4Address | IPv6Address]:
        """Return a host's addresses, or raise `TimeoutError`: a look-up cannot be ended, but it can be left alone.

        A host that is still being looked up since an earlier try is not looked up a second time beside it.
        """
        found = self._looking.get((host, port))
        if found is None:
            found = self._looking[host, port] = Future()
            threading.Thread(target=self._look_up, args=(host, port, found), daemon=True).start()
        return found.result(self._timeout_s)

    def _look_up(self, host: str, port: int, found: Future[list[IPv4Address | IPv6Address]]) -> None:
        try:
            addresses = self._resolve(host, port)
        except (OSError, ValueError) as error:
            self._looking.pop((host, port), None)
            found.set_exception(error)
        else:
            self._looking.pop(
                (host, port), None
            )  # the next try looks again: an answer that came late may be an old one
            found.set_result(addresses)

    def _may_be_plain(self, host: str, addresses: list[IPv4Address | IPv6Address]) -> bool:
        inside = all(any(address in network for network in self._allowed.networks) for address in addresses)
        return self._allowed.names(host) or inside

    def _post(
        self,
        target: Target,
        addresses: list[IPv4Address | IPv6Address],
        headers: Mapping[str, str],
        body: bytes,
        until: float,
    ) -> Answer:
        connection = _Pinned(target, [str(address) for address in addresses], until)
        try:
            connection.request("POST", target.path, body=body, headers=dict(headers))
            answer = connection.getresponse()
            answer.read(_MOST_ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as error:
            return Answer(None, f"{type(error).__name__}: {error}"[:500])
        finally:
            connection.end()
        if 300 <= answer.status < 400:
            return Answer(answer.status, "the target redirects, and redirects are not followed: name where it leads")
        accepted = 200 <= answer.status < 300
        return Answer(answer.status, "" if accepted else f"{answer.status} {answer.reason}"[:500])


class _Pinned(http.client.HTTPConnection):
    """A connection to an address that has been checked, though the request and the certificate name the host.

    The first of the addresses that answers is the one.
    """

    def __init__(self, target: Target, addresses: list[str], until: float) -> None:
        super().__init__(target.host, target.port)
        self.default_port = 443 if target.scheme == "https" else 80  # the port that the Host header leaves out
        self._addresses, self._until, self._secure = addresses, until, target.scheme == "https"
        self._opened = ExitStack()

    def connect(self) -> None:
        sock = self._reached()
        self._opened.callback(sock.close)
        if self._secure:
            sock.settimeout(self._left())
            sock = ssl.create_default_context().wrap_socket(sock, server_hostname=self.host)
            self._opened.callback(sock.close)
        self.sock = _Hurried(sock, self._until)  # all of a socket that http.client asks for

    def _reached(self) -> socket.socket:
        """Return a socket to the first address that takes a connection; each has an equal share of the time left."""
        failed: OSError = TimeoutError("timed out")
        for tried, address in enumerate(self._addresses):
            if tried and time.monotonic() >= self._until:
                break
            try:
                share = max(_SOON_S, self._left() / (len(self._addresses) - tried))
                return socket.create_connection((address, self.port), share)
            except OSError as error:
                failed = error
        raise failed

    def _left(self) -> float:
        return max(_SOON_S, self._until - time.monotonic())

    def end(self) -> None:
        """Give the connection back: http.client lets go of its socket as soon as it has read the headers."""
        self.close()
        self._opened.close()


class _Hurried(io.RawIOBase):
    """A socket, as http.client uses one, whose reads and writes all end by one time: nobody can drip past it."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        super().__init__()
        self._sock, self._until = sock, until

    def _in_time(self) -> socket.socket:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left)
        return self._sock

    def sendall(self, content: bytes) -> None:
        """Write everything."""
        rest = memoryview(content)
        while rest:
            rest = rest[self._in_time().send(rest) :]

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return what the answer is read from."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """It is read by `io.BufferedReader`."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what there is."""
        return self._in_time().recv_into(buffer)

    def close(self) -> None:
        """Leave the socket to the connection, which ends it."""
