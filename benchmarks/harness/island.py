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

# Addresses of one cable only: nobody routes them.
HERE, THERE = "169.254.77.1", "169.254.77.2"
# Below those that the kernel gives away: no caller on this machine has the same port.
FIRST_PORT = 12_000
CLONE_NEWNET = 0x40000000


@dataclass
class Island:
    """Sockets of the other machine are made in a thread that lives there, and used anywhere."""

    name: str
    cable: str
    there: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    ports: Iterator[int] = field(default_factory=lambda: count(FIRST_PORT))

    def socket(self) -> socket.socket:
        made = self.there.submit(socket.socket).result()
        made.bind((THERE, next(self.ports)))
        return made

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
    """Make an island, whose callers meet servers that listen at HERE; None where we may not."""
    name, cable = f"callflows-{os.getpid()}", f"cf{os.getpid()}"
    made = Island(name, cable)
    try:
        yield made if lay(made) else None
    finally:
        made.there.shutdown()
        for each in (("link", "del", cable), ("netns", "del", name)):
            with suppress(OSError, subprocess.CalledProcessError):
                ip(*each)


def lay(made: Island) -> bool:
    """Make the island's network; False where that cannot be done."""
    far = f"{made.cable}x"
    try:
        ip("netns", "add", made.name)
        ip("link", "add", made.cable, "type", "veth", "peer", "name", far, "netns", made.name)
        ip("addr", "add", f"{HERE}/30", "dev", made.cable)
        ip("link", "set", made.cable, "up")
        ip("-n", made.name, "addr", "add", f"{THERE}/30", "dev", far)
        ip("-n", made.name, "link", "set", far, "up")
        made.there.submit(made.enter).result()
    except (OSError, subprocess.CalledProcessError):
        return False
    return True
