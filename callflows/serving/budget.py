"""Knows a budget that fills again: so much at once, and so much a second."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Budget:
    """``left`` of at most ``most`` at the time ``at``, in seconds of any clock that goes on; it fills ``a_second``."""

    most: float
    a_second: float
    left: float
    at: float

    @classmethod
    def full(cls, most: float, a_second: float, now: float) -> Budget:
        return cls(most, a_second, most, now)

    def fill(self, now: float) -> float:
        """Return what is left now."""
        self.left = min(self.most, self.left + self.a_second * (now - self.at))
        self.at = now
        return self.left
