"""Knows which machines speak for others, and for whom: proxies in front of a server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Proxies:
    """Networks whose word about where a request comes from is believed; nobody else's is."""

    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Proxies:
        """Read addresses and networks (``10.1.0.0/16``). Raises ValueError, which names the one that is neither."""
        return cls(tuple(ip_network(text, strict=False) for text in texts))

    def __contains__(self, host: str) -> bool:
        try:
            address = ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self.networks)

    def origin_of(self, scope: Mapping[str, Any]) -> str:
        """Return the address that a request or socket of ASGI comes from; empty when nobody knows."""
        told = [value.decode("latin-1") for name, value in scope.get("headers", ()) if name == b"x-forwarded-for"]
        return self.origin((scope.get("client") or ("", 0))[0], ",".join(told))

    def origin(self, peer: str, forwarded: str) -> str:
        """Return the address that a request comes from, by the peer's and what ``X-Forwarded-For`` says.

        Each proxy adds, on the right, whom it was asked by: what stands left of the last stranger is the stranger's
        word. A proxy that says nothing is the origin itself.
        """
        origin = peer
        for told in reversed([each.strip() for each in forwarded.split(",")]):
            if origin not in self or not _is_address(told):
                break
            origin = told
        return origin


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


# Where a proxy stands, unless somebody says it.
LOOPBACK = Proxies.parse(["127.0.0.0/8", "::1"])
