"""Knows how to find the most calls that a server holds: up after a run that was held, down after one that was not."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median

# How far it goes up or down, as a part; further up where the core has much to spare.
STEP, JUMP = 0.05, 0.2
# A core that is full. Calls cost less the more there are, so the first guess is never too high by much.
FULL = 0.98


def guess(calls: int, share: float, most: int) -> int:
    """Return how many calls fill the core when so many took ``share`` of it."""
    return max(1, min(round(calls * FULL / max(share, 0.01)), most))


@dataclass
class Staircase:
    """The runs of one server. ``rounds`` are the calls of each, and whether they were held."""

    calls: int
    most: int
    rounds: list[tuple[int, bool]] = field(default_factory=list)

    def tried(self, held: bool, share: float) -> None:
        """Count a run with ``calls``, which took ``share`` of the core, and choose how many come next."""
        self.rounds.append((self.calls, held))
        if held:
            factor = max(1 + STEP, min(FULL / max(share, 0.01), 1 + JUMP))
            self.calls = min(max(round(self.calls * factor), self.calls + 1), self.most)
        else:
            self.calls = max(1, min(round(self.calls * (1 - STEP)), self.calls - 1))

    @property
    def limit(self) -> float | None:
        """The calls around which it went up and down: as many as were held half of the time. None without a run."""
        return median(calls for calls, _ in self.rounds) if self.rounds else None

    @property
    def topped(self) -> bool:
        """Whether it came to the most that could be tried: then its limit is not known, nor any ratio to it."""
        return any(calls >= self.most for calls, _ in self.rounds)

    @property
    def known(self) -> str:
        """How sure the limit is: `at least` when all were held, `at most` when none was, else empty."""
        found = {held for _, held in self.rounds}
        return "" if len(found) != 1 else "at least" if found == {True} else "at most"
