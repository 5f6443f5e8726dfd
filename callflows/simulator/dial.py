"""Knows which addresses a fake call may reach, and where they really are: it never leaves for another host."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


class NotDialled(ValueError):
    """An address that a fake call does not reach; says why."""


@dataclass(frozen=True, slots=True)
class Dial:
    """Dials ``server``, also by its name for the world, ``public_url``, and nothing else.

    ``sockets`` is where its sockets are dialled, when that is another process than the one that serves webhooks.
    """

    server: str
    public_url: str = ""
    sockets: str = ""

    def __call__(self, url: str) -> str:
        """Return the address to connect to; raises NotDialled for another host.

        Scheme, host and port become those of ``server`` (ws, wss for sockets); path and query stay.
        """
        asked, server = urlsplit(url), urlsplit(self.server)
        if asked.scheme not in _PORTS:
            raise NotDialled(f"expected an http, https, ws or wss address, got {url!r}")
        if _place(asked) not in (_place(server), _place(urlsplit(self.public_url))):
            names = f"{self.server} and {self.public_url}" if self.public_url else self.server
            raise NotDialled(f"{asked.netloc} is another host: fake calls reach only {names}")
        if asked.scheme in ("ws", "wss"):
            server = urlsplit(self.sockets or self.server)
            return asked._replace(scheme=server.scheme.replace("http", "ws"), netloc=server.netloc).geturl()
        return asked._replace(scheme=server.scheme, netloc=server.netloc).geturl()


def _place(url: SplitResult) -> tuple[str, int | None]:
    """Host and port; every name of this machine is the same one."""
    host = url.hostname or ""
    return "loopback" if host in LOOPBACK else host, url.port or _PORTS.get(url.scheme)
