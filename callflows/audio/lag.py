"""Knows how late a worker's event loop runs, and when that is too much for another call."""

from __future__ import annotations

from collections import deque

# How often the loop should come by, and how late it may be: later, and the frames of every call come in heaps.
BEAT_SECONDS = 0.01
MOST_LAG = 0.02
# One hiccup refuses nobody: of so many windows in a row, each must be bad to refuse calls, and each good to take them.
WINDOW_SECONDS = 1.0
WINDOWS = 5
# How many late moments are remembered, for whoever asks what a gap in the sound came from.
STALLS = 256


class Lag:
    """Takes the moments at which a loop came by, and knows the 99th percentile of its lateness.

    A loop that hangs misses many of its moments, and each of them counts: else a hang of a second would be one bad
    moment among a hundred good ones. All times are seconds on one monotonic clock.
    """

    def __init__(
        self, now: float, most: float = MOST_LAG, window: float = WINDOW_SECONDS, windows: int = WINDOWS
    ) -> None:
        self.most = most
        # Whether the worker should take no more calls.
        self.overloaded = False
        self._due = now + BEAT_SECONDS
        self._size = max(1, round(window / BEAT_SECONDS))
        self._lags: list[float] = []
        self._windows: deque[float] = deque(maxlen=windows)
        self._stalls: deque[tuple[float, float]] = deque(maxlen=STALLS)
        # Of each window by the clock: when it began and ended, and the worst lateness in it.
        self._worsts: deque[tuple[float, float, float]] = deque(maxlen=STALLS)
        self._since, self._worst = now, 0.0

    @property
    def p99(self) -> float:
        """The 99th percentile in the last whole window, in seconds; 0 before there is one."""
        return self._windows[-1] if self._windows else 0.0

    def beat(self, now: float) -> float:
        """Take the loop's coming by at ``now``; return when it should come again."""
        lag = now - self._due
        # Not `most`: whoever lets his worker be later than 20 ms wants to know all the more where a gap came from.
        if lag > MOST_LAG:
            self._stalls.append((self._due, now))
        self._worst = max(self._worst, lag)
        if now - self._since >= WINDOW_SECONDS:
            self._worsts.append((self._since, now, self._worst))
            self._since, self._worst = now, 0.0
        # What was missed longer ago than all windows together says nothing of today.
        self._due = max(self._due, now - self._size * (self._windows.maxlen or 1) * BEAT_SECONDS)
        while self._due <= now:
            self._count(now - self._due)
            self._due += BEAT_SECONDS
        return self._due

    def was_late(self, start: float, end: float) -> bool:
        """Return whether the loop was more than 20 ms late at any moment from ``start`` to ``end``.

        Any thread may ask.
        """
        return any(begun < end and ended > start for begun, ended in tuple(self._stalls))

    def hung_at(self, past: float) -> bool:
        """Return whether the loop was more than 20 ms late at a moment and has not come by since."""
        return past - self._due > MOST_LAG

    def worst(self, start: float, end: float) -> float:
        """Return by how many seconds the loop was late at most, in the second or two around ``start`` to ``end``."""
        known = (worst for begun, ended, worst in tuple(self._worsts) if begun < end and ended > start)
        return max([*known, self._worst if self._since < end else 0.0, end - self._due])

    def _count(self, lag: float) -> None:
        self._lags.append(lag)
        if len(self._lags) < self._size:
            return
        self._windows.append(sorted(self._lags)[int(0.99 * self._size) - 1])
        self._lags.clear()
        bad = [each > self.most for each in self._windows]
        if len(bad) == self._windows.maxlen and len(set(bad)) == 1:
            self.overloaded = bad[0]
