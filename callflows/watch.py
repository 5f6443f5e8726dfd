"""Knows whether the database is away: found out once for all, and looked after until it is back."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from callflows.probe import why_away
from callflows.threads import cut_connections

log = logging.getLogger(__name__)

# How long one look may take: ten times what a busy server needs for it.
PROBE_SECONDS = 1.0
# From one look to the next. A caller gets the right answer so long after the return at most, and
# some milliseconds.
PAUSE_SECONDS = 0.25

Waiter = tuple[asyncio.AbstractEventLoop, "asyncio.Future[None]"]


class Watch:
    """The database as this process sees it. Nobody is kept waiting for what is known to be away."""

    def __init__(
        self,
        probe: Callable[[float], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.probe, self.clock = probe, clock
        self.away = False
        self.reason = ""
        # What is to be done when it is back, in the watch's own thread.
        self.on_return: list[Callable[[], None]] = []
        self._worked = -1.0
        self._lock = threading.Lock()
        self._asked = threading.Event()
        self._thread: threading.Thread | None = None
        self._waiters: set[Waiter] = set()

    def worked(self) -> None:
        """Tell that the database has just done some work: it is there, whatever a look at it says."""
        self._worked = self.clock()

    def suspect(self) -> None:
        """Tell that something failed, or takes long: the database is looked at, in a thread."""
        with self._lock:
            self._asked.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
                self._thread.start()

    def change(self) -> asyncio.Future[None]:
        """Return what is done when the database is next found to be away, or back; to be cancelled."""
        loop = asyncio.get_running_loop()
        waiter = (loop, loop.create_future())
        with self._lock:
            self._waiters.add(waiter)
        waiter[1].add_done_callback(lambda _: self._forget(waiter))
        return waiter[1]

    def _forget(self, waiter: Waiter) -> None:
        with self._lock:
            self._waiters.discard(waiter)

    async def back_within(self, seconds: float) -> bool:
        """Wait so long at most until the database is there; return whether it is."""
        change = self.change()
        if self.away:
            await asyncio.wait({change}, timeout=seconds)
        change.cancel()
        return not self.away

    def _run(self) -> None:
        while True:
            self._asked.wait()
            self._asked.clear()
            while not self.look():
                time.sleep(PAUSE_SECONDS)
            # A crowd of slow requests asks again and again.
            time.sleep(PAUSE_SECONDS)

    def look(self) -> bool:
        """Ask the database; return whether it is there. Blocks, for PROBE_SECONDS at most."""
        begun = self.clock()
        reason = self.probe(PROBE_SECONDS)
        # On a machine that is too busy a look may take too long while others get their work done.
        there = not reason or self._worked >= begun
        if there == self.away:
            self._turn(not there, reason)
        return there

    def _turn(self, away: bool, reason: str) -> None:
        with self._lock:
            self.away, self.reason = away, reason.partition("\n")[0]
            waiters = list(self._waiters)
        if away:
            cut_connections()
            log.error("the database is away: %s", reason)
        else:
            log.warning("the database is back")
        for loop, future in waiters:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_done, future)
        for each in [] if away else self.on_return:
            each()


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


WATCH = Watch(why_away)
