"""Knows when all objects may be looked at for garbage: that stops every call of the process meanwhile."""

from __future__ import annotations

import gc

# Python's own: a full collection after so many of the middle generation. With 500 calls open one
# takes 60 to 260 ms, and Python makes one for about a hundred calls that begin.
DUE_ROUNDS = 10
# The more calls would hear it, the longer it is put off: with 500, ten times as long. It cannot be
# put off for ever: an ended call leaves 260 objects in circles, and a rough one 100 kB.
CALLS_A_ROUND = 5


def freeze() -> None:
    """Called once, when all is loaded: what start-up made is never looked at again.

    A full collection of it would stall every call for 44 to 100 ms.
    """
    gc.collect()
    gc.freeze()


def put_off(calls: int) -> None:
    """Called whenever a call begins or ends: say how many are open."""
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, max(DUE_ROUNDS, calls // CALLS_A_ROUND))
    if not calls and gc.get_count()[2] >= DUE_ROUNDS:
        # Nobody hears it.
        gc.collect()
