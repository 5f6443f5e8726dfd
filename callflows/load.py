"""Knows how loaded this worker is, and whether it takes another call."""

from __future__ import annotations

import asyncio
import time

from django.conf import settings

from callflows.audio.lag import WINDOW_SECONDS, WINDOWS, Lag


class Draining:
    """Whether this process takes new sockets; set once, when it is told to stop."""

    now = False


class Watch:
    """Watches how late the event loop of this process runs, from the first socket on."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self.lag = Lag(time.monotonic())

    def start(self) -> None:
        """Watch the running loop, unless it is watched already."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop = loop
            self.lag = Lag(time.monotonic(), settings.MAX_LAG)
            self._beat(loop, self.lag)

    def _beat(self, loop: asyncio.AbstractEventLoop, lag: Lag) -> None:
        now = time.monotonic()
        loop.call_later(lag.beat(now) - now, self._beat, loop, lag)


WATCH = Watch()


def why_not(held: int) -> str:
    """Return why a worker that holds so many calls takes no other; empty when it does."""
    if Draining.now:
        return "this worker is stopping"
    if held >= settings.MAX_LINES:
        return f"this worker holds {held} calls, the most it may (MAX_LINES)"
    if WATCH.lag.overloaded:
        seconds, lag = WINDOW_SECONDS * WINDOWS, WATCH.lag
        return (
            f"this worker is overloaded: for {seconds:.0f} s its event loop was late by more than "
            f"{1000 * lag.most:.0f} ms (MAX_LAG), now by {1000 * lag.p99:.0f} ms"
        )
    return ""
