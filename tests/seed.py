"""Knows the one number from which a run takes all that is left to chance."""

from __future__ import annotations

import os
import secrets


def chosen_seed() -> int:
    """Return SEED, or a number of this moment."""
    return int(os.environ.get("SEED") or secrets.randbelow(2**31))
