"""Knows how fast Vonage may be asked, and how long a request of ours waits for its turn."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from callflows.vonage.account import VonageError

# How long a request waits for its turn at most: a person may be waiting for its result.
MOST_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Limit:
    """So many requests of a kind a second, of one application."""

    name: str
    per_second: int

    @property
    def interval(self) -> float:
        """Seconds from one request to the next. A tenth more than needed: on their way they may draw together."""
        return 1.1 / self.per_second


# Vonage answers more with 429.
CALLS = Limit("calls", 3)
REQUESTS = Limit("requests", 15)

# Takes the next free place under a limit for all our processes, no more than so many seconds from now; returns the
# seconds until it comes, or None (and takes none) when it is further away.
Reserve = Callable[[Limit, float], float | None]


def at_once(limit: Limit, most: float) -> float:
    """Reserve nothing."""
    return 0.0


def limit_of(method: str, path: str) -> Limit:
    """Return the limit that a request counts under."""
    return CALLS if method == "POST" and path.rstrip("/").endswith("/v1/calls") else REQUESTS


def wait_for_turn(reserve: Reserve, limit: Limit, most: float = MOST_SECONDS) -> None:
    """Wait until a request may leave. Raises VonageError when its turn is more than ``most`` seconds away."""
    seconds = reserve(limit, most)
    if seconds is None:
        what = "calls" if limit is CALLS else "requests"
        raise VonageError(
            f"Vonage takes {limit.per_second} {what} a second, and more than {most:g} s of them wait already: "
            "try again in a moment"
        )
    if seconds > 0:
        time.sleep(seconds)
