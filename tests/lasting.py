"""Knows how long a test goes on that proves more the longer it does: seconds in `make test`, hours in `make soak`."""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T", int, float)
LONG = bool(os.environ.get("LONG"))


def lasting(usual: T, long: T) -> T:
    """Return how much of it there is: of time, or of examples."""
    return long if LONG else usual
