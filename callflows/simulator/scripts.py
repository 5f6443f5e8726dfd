"""Knows how to run scripts in given time: coroutines that wait for a moment or a condition, and no clock."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Coroutine, Generator, Hashable
from dataclasses import dataclass, field
from typing import Any

NEVER = math.inf


def _not_ready() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Wait:
    """What a script awaits: ``ready()`` to become true, or the moment ``until``, whichever is first."""

    until: float = NEVER
    ready: Callable[[], bool] = _not_ready

    def __await__(self) -> Generator[Wait, None, None]:
        yield self


@dataclass(eq=False, slots=True)
class Script:
    """One running coroutine and what it waits for; ``turn`` counts how often it went on."""

    steps: Coroutine[Any, Any, None]
    group: Hashable
    wait: Wait = field(default_factory=Wait)
    turn: int = 0
    over: bool = False


class Scripts:
    """Runs scripts in the time that it is given; ``now`` is what a running script sees as the time, in seconds.

    A script that waits for a moment sees exactly that moment, however late `advance` is called, so chains of waits
    do not drift, and ten minutes of a call take a test no time. Conditions are looked at where something happened:
    after each step of a script of the same ``group``, and when `touch` says so. Two hundred calls cost no more than
    each does alone.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._groups: dict[Hashable, dict[Script, None]] = {}
        self._due: list[tuple[float, int, int, Script]] = []
        self._count = itertools.count()
        self._touched: dict[Hashable, None] = {}
        self._current: Script | None = None

    @property
    def next_time(self) -> float:
        """The moment at which `advance` has something to do, as long as nothing else happens."""
        if self._touched:
            return self.now
        while self._due and (self._due[0][3].over or self._due[0][3].turn != self._due[0][2]):
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else NEVER

    def start(self, steps: Coroutine[Any, Any, None], group: Hashable = None) -> Script:
        """Add a script; its first steps run with the next `advance`, or later in the one that runs now."""
        script = Script(steps, group)
        self._groups.setdefault(group, {})[script] = None
        self._wait(script, Wait(self.now))
        return script

    def stop(self, script: Script) -> None:
        """End a script where it waits; a script that stops itself ends at its next wait."""
        if script.over:
            return
        script.over = True
        group = self._groups[script.group]
        del group[script]
        if not group:
            del self._groups[script.group]
        if script is not self._current:
            script.steps.close()

    def touch(self, group: Hashable) -> None:
        """Something happened that scripts of a group may wait for."""
        if group in self._groups:
            self._touched[group] = None

    def advance(self, now: float) -> None:
        """Run all that is due until ``now``, in the order of time, and all whose condition has become true."""
        while (due := self.next_time) <= now:
            if self._touched:
                self._settle()
                continue
            self.now = max(self.now, due)
            self._resume(heapq.heappop(self._due)[3])
            self._settle()
        self.now = max(self.now, now)
        self.touch(None)
        self._settle()

    def _settle(self) -> None:
        while self._touched:
            group = next(iter(self._touched))
            del self._touched[group]
            for script in tuple(self._groups.get(group, ())):
                if not script.over and script.wait.ready():
                    self._resume(script)

    def _resume(self, script: Script) -> None:
        outer, self._current = self._current, script
        try:
            self._wait(script, script.steps.send(None))
        except StopIteration:
            self.stop(script)
        finally:
            self._current = outer
        if script.over:
            script.steps.close()
        self.touch(script.group)

    def _wait(self, script: Script, wait: Wait) -> None:
        script.wait = wait
        script.turn += 1
        if wait.until < NEVER:
            heapq.heappush(self._due, (wait.until, next(self._count), script.turn, script))
