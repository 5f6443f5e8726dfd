"""Knows Vonage's end on a machine of its own: its clock is not ours, and now and then it does not read."""

from __future__ import annotations

import math
from collections import deque

from callflows.wire.platform import Platform


class Remote:
    """A platform whose clock runs ``ppm`` millionths fast, and that leaves unread what comes for a while.

    It does not read for the first ``stall`` seconds of each ``every``; it speaks and plays meanwhile. ``phase`` says
    how far into such a turn it is at time 0. All times are seconds on the caller's clock. ``deepest`` is the most
    frames that it ever held, the one that was being played included.
    """

    def __init__(
        self, platform: Platform, *, ppm: float = 0.0, stall: float = 0.0, every: float = 5.0, phase: float = 0.0
    ) -> None:
        self.platform = platform
        self.deepest = 0
        self._pace = 1 + ppm / 1e6
        self._stall, self._every, self._phase = stall, every, phase
        self._unread: deque[str | bytes] = deque()
        self._reads_at = math.inf

    def open(self, now: float) -> str:
        """Start the platform's clock and return the first message."""
        return self.platform.open(now * self._pace)

    @property
    def next_due(self) -> float:
        """When `advance` has something to do."""
        # A nanosecond later: there and back, rounding may put the moment before it.
        return min(self.platform.next_due / self._pace + 1e-9, self._reads_at)

    def reads_from(self, now: float) -> float:
        """Return when it reads what comes now: at once, or at the end of the stall."""
        into = (now + self._phase) % self._every
        return now if into >= self._stall else now + self._stall - into

    def arrive(self, message: str | bytes, now: float) -> list[str | bytes]:
        """Take a message off the network; return what it sends by now."""
        out = self.advance(now)
        self._unread.append(message)
        self._reads_at = min(self._reads_at, self.reads_from(now))
        return out + self._read(now)

    def advance(self, now: float) -> list[str | bytes]:
        """Return what it sends by now."""
        return self._read(now) + self.platform.advance(now * self._pace)

    def _read(self, now: float) -> list[str | bytes]:
        if now < self._reads_at:
            return []
        out: list[str | bytes] = []
        while self._unread:
            out += self.platform.receive(self._unread.popleft(), now * self._pace)
            self.deepest = max(self.deepest, self.platform.held)
        self._reads_at = math.inf
        return out
