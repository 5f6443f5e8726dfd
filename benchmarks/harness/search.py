"""Knows which number of calls to try next, to find the most that a server can hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tried:
    """One run: whether the server held so many calls, and the part of a core that it used for them."""

    calls: int
    held: bool
    share: float


def limits(runs: Sequence[Tried]) -> tuple[int, int | None]:
    """Return the most calls that were held (0: none), and the fewest above them that were not (None: not found)."""
    failed = [run.calls for run in runs if not run.held]
    high = min(failed, default=None)
    # What was held above a count that was not is luck.
    held = [run.calls for run in runs if run.held and (high is None or run.calls < high)]
    return max(held, default=0), high


def next_calls(runs: Sequence[Tried], first: int, most: int, precision: float = 0.08) -> int | None:
    """Return how many calls to try next, from ``first`` up to ``most``; None when the limit is known.

    It is known when no count is left between held and not held that differs by more than ``precision`` (a part of it).
    """
    low, high = limits(runs)
    if not runs:
        return min(first, most)
    if high is None:
        return None if low >= most else min(_guess(runs), most)
    if high - low <= max(2, precision * low):
        return None
    return (low + high) // 2


def _guess(runs: Sequence[Tried]) -> int:
    """Where the core should be nearly full, if each call costs the same: at least a tenth more, at most double."""
    last = max((run for run in runs if run.held), key=lambda run: run.calls)
    full = last.calls * 0.97 / max(last.share, 0.01)
    return round(min(max(full, last.calls * 1.1), last.calls * 2)) + 1
