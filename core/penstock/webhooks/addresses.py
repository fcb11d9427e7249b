"""Which addresses a webhook may be sent to: public ones, and what the delivering process was told to allow.

Whoever may add a webhook could otherwise make the delivering process talk to its own network (metadata services,
databases, admin pages): server-side request forgery, OWASP A10:2021.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from dataclasses import dataclass

from penstock.errors import InvalidValue

ALLOWED_VARIABLE = "PENSTOCK_WEBHOOK_HOSTS"

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# Addresses that carry an IPv4 address inside (RFC 6052): what they lead to is that one.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Not public by name, because not every Python knows: site-local (RFC 3879), documentation (RFC 9637), segment routing
# (RFC 9602), NAT64 inside a network (RFC 8215), and the anycast address of 6to4 relays (RFC 7526).
_NOT_PUBLIC = tuple(
    map(ipaddress.ip_network, ("fec0::/10", "3fff::/20", "5f00::/16", "64:ff9b:1::/48", "192.88.99.0/24"))
)


@dataclass(frozen=True)
class Allowed:
    """Hosts and networks that may be reached although they are not public, and over plain http."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Allowed:
        """Read names, addresses and networks separated by commas; `InvalidValue` for what is none of them."""
        hosts, networks = set(), []
        for item in filter(None, (part.strip() for part in text.split(","))):
            try:
                networks.append(ipaddress.ip_network(item))
            except ValueError as error:
                if "/" in item or ":" in item:
                    raise InvalidValue(ALLOWED_VARIABLE, item, "a host, an address or a network") from error
                hosts.add(item.lower())
        return cls(frozenset(hosts), tuple(networks))

    @classmethod
    def from_environment(cls) -> Allowed:
        """Read what this process was told."""
        return cls.parse(os.environ.get(ALLOWED_VARIABLE, ""))

    def names(self, host: str) -> bool:
        """Whether the host itself was named."""
        return host.lower() in self.hosts

    def admits(self, host: str, address: _Address) -> bool:
        """Whether a connection to `address`, which `host` leads to just now, is allowed."""
        if self.names(host) or any(address in network for network in self.networks):
            return True
        return is_public(address)


def is_public(address: _Address) -> bool:
    """Whether an address is a public one, and so is every address hidden inside it."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None:
            return False
    named = any(address in network for network in _NOT_PUBLIC)
    return address.is_global and not address.is_multicast and not address.is_reserved and not named


def look_up(host: str, port: int) -> list[_Address]:
    """Return every address a host has just now. Raises `OSError` when it has none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ipaddress.ip_address(str(item[4][0]).partition("%")[0]) for item in found))
