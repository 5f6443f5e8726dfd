"""Knows a machine of its own at the end of a cable that can be pulled: then nothing arrives.

It is a network namespace, which only root may make; where that is not so, there is none.
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count

# Below those that the kernel gives away: no caller on this machine has the same port.
FIRST_PORT = 12_000
CLONE_NEWNET = 0x40000000


@dataclass
class Island:
    """Sockets of the other machine are made in a thread that lives there, and used anywhere."""

    pid: int = field(default_factory=os.getpid)
    there: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    ports: Iterator[int] = field(default_factory=lambda: count(FIRST_PORT))

    @property
    def name(self) -> str:
        return f"callflows-{self.pid}"

    @property
    def cable(self) -> str:
        return f"cf{self.pid}"

    @property
    def here(self) -> str:
        """Where a server listens that callers of the island meet."""
        return self._address(1)

    def _address(self, end: int) -> str:
        """Return the address of one end of the cable: nobody routes it, and other runs have others."""
        return f"169.254.{1 + self.pid // 64 % 254}.{self.pid % 64 * 4 + end}"

    def socket(self) -> socket.socket:
        made = self.there.submit(socket.socket).result()
        made.bind((self._address(2), next(self.ports)))
        return made

    def lay(self) -> None:
        """Make the island's network."""
        far = f"{self.cable}x"
        ip("netns", "add", self.name)
        ip("link", "add", self.cable, "type", "veth", "peer", "name", far, "netns", self.name)
        ip("addr", "add", f"{self.here}/30", "dev", self.cable)
        ip("link", "set", self.cable, "up")
        ip("-n", self.name, "addr", "add", f"{self._address(2)}/30", "dev", far)
        ip("-n", self.name, "link", "set", far, "up")
        self.there.submit(self.enter).result()

    def enter(self) -> None:
        """Take this island's thread there, for good."""
        with open(f"/run/netns/{self.name}", "rb") as namespace:
            if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "the network namespace cannot be entered")

    def pull(self) -> None:
        """Pull the cable."""
        ip("link", "set", self.cable, "down")


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@contextmanager
def island() -> Iterator[Island | None]:
    """Make an island; None where we may not."""
    made = Island()
    try:
        yield made if laid(made) else None
    finally:
        made.there.shutdown()
        for each in (("link", "del", made.cable), ("netns", "del", made.name)):
            with suppress(OSError, subprocess.CalledProcessError):
                ip(*each)


def laid(made: Island) -> bool:
    try:
        made.lay()
    except (OSError, subprocess.CalledProcessError):
        return False
    return True
