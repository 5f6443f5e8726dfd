"""Knows how to run scripts in given time: coroutines that wait for a moment or a condition, and no clock."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Generator
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
    """One running coroutine and what it waits for."""

    steps: Coroutine[Wait, None, None]
    wait: Wait = field(default_factory=lambda: Wait(until=-NEVER))
    over: bool = False


class Scripts:
    """Runs scripts in the time that it is given; ``now`` is what a running script sees as the time, in seconds.

    A script that waits for a moment sees exactly that moment, however late `advance` is called, so chains of waits
    do not drift, and ten minutes of a call take a test no time.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._running: list[Script] = []
        self._current: Script | None = None

    @property
    def next_time(self) -> float:
        """The moment at which `advance` has something to do, as long as nothing else happens."""
        return min((script.wait.until for script in self._running), default=NEVER)

    def start(self, steps: Coroutine[Any, Any, None]) -> Script:
        """Add a script; its first steps run with the next `advance`, or later in the one that runs now."""
        script = Script(steps)
        self._running.append(script)
        return script

    def stop(self, script: Script) -> None:
        """End a script where it waits; a script that stops itself ends at its next wait."""
        if script.over:
            return
        script.over = True
        self._running.remove(script)
        if script is not self._current:
            script.steps.close()

    def advance(self, now: float) -> None:
        """Run all that is due until ``now``, in the order of time, then all whose condition has become true."""
        while (due := self.next_time) <= now:
            self.now = max(self.now, due)
            self._resume(min(self._running, key=lambda script: script.wait.until))
            self._settle()
        self.now = max(self.now, now)
        self._settle()

    def _settle(self) -> None:
        while ready := next((script for script in self._running if script.wait.ready()), None):
            self._resume(ready)

    def _resume(self, script: Script) -> None:
        self._current = script
        try:
            script.wait = script.steps.send(None)
        except StopIteration:
            self.stop(script)
        finally:
            self._current = None
        if script.over:
            script.steps.close()
