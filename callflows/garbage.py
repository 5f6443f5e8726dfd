"""Knows when all objects may be looked at for garbage: that stops every call of the process meanwhile."""

from __future__ import annotations

import gc

# A full collection takes 60 to 260 ms with 500 calls open, and Python makes one for every hundred calls that begin. An
# ended call leaves 260 objects in circles, about 40 kB: at ten times fewer collections that is 50 MB at most.
MIDDLE_ROUNDS = 100
# Python's own threshold: from then on it is worth while, if nobody hears it.
DUE_ROUNDS = 10


def spare_calls() -> None:
    """Called once, when all is loaded: what start-up made is never looked at again, and all else seldom.

    A full collection of what start-up made would stall every call for 44 to 100 ms; without it, 12 to 61 ms.
    """
    gc.collect()
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, MIDDLE_ROUNDS)


def collect_unheard() -> None:
    """Called when no call is open: a full collection, if one is due."""
    if gc.get_count()[2] >= DUE_ROUNDS:
        gc.collect()
