"""Knows from outside which connections a process holds, also those that the kernel gave up."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LISTENS = 0x0A


@dataclass(frozen=True, slots=True)
class Held:
    """The connections that a server has open: the ports of their far ends; ``dead`` have none.

    A connection that was reset is in no table of the kernel, though its descriptor stays as long as
    nobody closes it.
    """

    far_ports: tuple[int, ...]
    dead: int

    def __len__(self) -> int:
        return len(self.far_ports) + self.dead

    def without(self, ports: set[int]) -> int:
        """Return how many are open besides those to ``ports``."""
        return sum(port not in ports for port in self.far_ports) + self.dead


def held(pid: int, port: int) -> Held:
    """Return the connections of the process that listens at ``port``."""
    # The descriptors first: one that is opened between the two readings is in no list then.
    inodes = _sockets(pid)
    known, far = _unix(pid), []
    for name in ("tcp", "tcp6"):
        for line in _lines(pid, name):
            _, local, remote, state, *rest = line.split()
            inode = rest[5]
            known.add(inode)
            if inode in inodes and int(local[-4:], 16) == port and int(state, 16) != LISTENS:
                far.append(int(remote[-4:], 16))
    # Closed since they were listed, these are open no more.
    dead = (inodes - known) & _sockets(pid)
    return Held(tuple(sorted(far)), len(dead))


def _sockets(pid: int) -> set[str]:
    found = set()
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            if named := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(each)):
                found.add(named[1])
    return found


def _unix(pid: int) -> set[str]:
    others = {line.split()[6] for line in _lines(pid, "unix")}
    for name in ("udp", "udp6"):
        others |= {line.split()[9] for line in _lines(pid, name)}
    return others


def _lines(pid: int, name: str) -> list[str]:
    try:
        return Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]
    except FileNotFoundError:
        return []
