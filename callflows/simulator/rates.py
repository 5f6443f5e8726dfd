"""Knows how many requests of a kind Vonage takes in a second."""

from __future__ import annotations

from collections import deque


class Window:
    """Takes at most ``most`` requests in any ``seconds`` that have just gone by."""

    def __init__(self, most: int, seconds: float = 1.0) -> None:
        self.most = most
        self.seconds = seconds
        self._taken: deque[float] = deque()

    def take(self, now: float) -> bool:
        """Return whether one more is taken at ``now``; what is refused does not count."""
        while self._taken and self._taken[0] <= now - self.seconds:
            self._taken.popleft()
        if len(self._taken) >= self.most:
            return False
        self._taken.append(now)
        return True
