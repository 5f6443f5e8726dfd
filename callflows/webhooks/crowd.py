"""Knows whether an answer would be in vain behind those that wait; the time is an argument."""

from __future__ import annotations

from dataclasses import dataclass

# How many of the last answers the mean time of one is about. Fewer say nothing: while a crowd comes
# in, one of its first answers may take ten times as long as the rest.
_ABOUT = 16
# Fewer never are too many, however slow they are: the clock sees to these.
_FEWEST = 32
# While a crowd comes in, its first answers take longer than the rest: only who would wait twice too
# long is sent away.
_SURELY = 2


@dataclass
class Crowd:
    """Answers that wait or are being made; ``each`` is the mean of seconds from one to the next.

    The last line of defence: the clock answers whoever waits too long as well, but only then.
    """

    waiting: int = 0
    each: float = 0.0
    _last: float | None = None
    _steps: int = 0

    def enter(self) -> None:
        if not self.waiting:
            # What was slow before is no more: nobody has waited since.
            self.each, self._last, self._steps = 0.0, None, 0
        self.waiting += 1

    def leave(self, now: float) -> None:
        self.waiting -= 1
        if self._last is not None:
            took = now - self._last
            self._steps = min(self._steps + 1, _ABOUT)
            self.each += (took - self.each) / self._steps
        self._last = now

    def too_many(self, seconds: float) -> bool:
        """Whether one more would surely wait longer than ``seconds`` for those before it."""
        known = self._steps == _ABOUT and self.waiting >= _FEWEST
        return known and self.waiting * self.each > _SURELY * seconds
