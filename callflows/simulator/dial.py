"""Knows which addresses a fake call may reach, and where they really are: it leaves this machine only when told to."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


class NotDialled(ValueError):
    """An address that a fake call does not reach; says why."""


@dataclass(frozen=True, slots=True)
class Dial:
    """Dials ``server``, also by its name for the world, ``public_url``, and other servers of this machine.

    ``sockets`` is where its sockets are dialled, when that is another process than the one that serves webhooks;
    ``allowed`` are hosts elsewhere that may be reached.
    """

    server: str
    public_url: str = ""
    sockets: str = ""
    allowed: frozenset[str] = frozenset()

    def __call__(self, url: str) -> str:
        """Return the address to connect to; raises NotDialled for another host.

        Of an address of ``server`` scheme, host and port become the server's (ws, wss for sockets); path and query
        stay. Servers often leave out their port, and say ws:// behind TLS. Any other address stays as it is.
        """
        asked, server = urlsplit(url), urlsplit(self.server)
        if asked.scheme not in _PORTS or not asked.hostname:
            raise NotDialled(f"expected an http, https, ws or wss address, got {url!r}")
        if not self._is_ours(asked):
            if _name(asked) != "loopback" and asked.hostname not in self.allowed:
                names = f"{self.server} and {self.public_url}" if self.public_url else self.server
                raise NotDialled(
                    f"{asked.netloc} is another host: fake calls reach {names}, this machine's other ports, "
                    f"and what is allowed with --allow-host {asked.hostname}"
                )
            return url
        if asked.scheme in ("ws", "wss"):
            server = urlsplit(self.sockets or self.server)
            return asked._replace(scheme=server.scheme.replace("http", "ws"), netloc=server.netloc).geturl()
        return asked._replace(scheme=server.scheme, netloc=server.netloc).geturl()

    def elsewhere(self, url: str) -> bool:
        """Whether an address belongs to another server than the one that is called."""
        return not self._is_ours(urlsplit(url))

    def _is_ours(self, asked: SplitResult) -> bool:
        known = [urlsplit(each) for each in (self.server, self.public_url) if each]
        return any(_name(asked) == _name(each) and asked.port in (None, _port(each)) for each in known)


def host_of(url: str) -> str:
    """Return what a request for an address says in its Host header."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _name(url: SplitResult) -> str:
    """Every name of this machine is the same one."""
    host = url.hostname or ""
    return "loopback" if host in LOOPBACK else host


def _port(url: SplitResult) -> int | None:
    return url.port or _PORTS.get(url.scheme)
