"""Knows how long something took by what the machine gave: a busy one lets everybody wait, by no fault of ours."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


class Stopwatch:
    """Time that passes, less the time in which some processes, and those they started, were ready and had no core.

    This process is always one of them. Where the system tells nothing of waiting, all time counts.
    """

    def __init__(self, *processes: int) -> None:
        self.processes = (os.getpid(), *processes)
        self.begun = time.monotonic()
        self.waited: dict[str, float] = {}
        self.before = self._look()

    def seconds(self) -> float:
        """Return how long it took so far. Ask often, where a process may end: what is gone tells nothing."""
        waited = self.kept_waiting()
        return time.monotonic() - self.begun - waited

    def kept_waiting(self) -> float:
        """Return for how many seconds somebody was ready and had no core."""
        return self._look() - self.before

    def _look(self) -> float:
        for task in tasks(self.processes):
            with suppress(OSError):
                self.waited[str(task)] = int((task / "schedstat").read_text().split()[1]) / 1e9
        return sum(self.waited.values())


def tasks(processes: tuple[int, ...]) -> Iterator[Path]:
    """Yield the threads of processes and of their children; of this process none but its threads."""
    for process in processes:
        for task in Path(f"/proc/{process}/task").glob("*"):
            yield task
            with suppress(OSError):
                children = tuple(map(int, (task / "children").read_text().split()))
                yield from tasks(children if process != os.getpid() else ())
