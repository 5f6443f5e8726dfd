"""When everything is looked at for garbage: seldom, and when nobody hears it."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from callflows import garbage


class Circle:
    """Refers to itself: only a collection frees it."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture(autouse=True)
def python_thresholds() -> Iterator[None]:
    threshold = gc.get_threshold()
    gc.collect()
    yield
    gc.set_threshold(*threshold)


def old_circle(rounds: int) -> weakref.ref[Circle]:
    """Return what is garbage now, and was alive in so many collections of the middle generation."""
    circle = Circle()
    for _ in range(rounds):
        gc.collect(1)
    return weakref.ref(circle)


def test_what_is_due_is_collected_when_no_call_is_open() -> None:
    left = old_circle(garbage.DUE_ROUNDS)
    garbage.put_off(0)
    assert left() is None


def test_what_is_due_waits_while_a_call_is_open() -> None:
    left = old_circle(garbage.DUE_ROUNDS)
    garbage.put_off(1)
    assert left() is not None


def test_what_is_not_due_is_left() -> None:
    left = old_circle(garbage.DUE_ROUNDS - 1)
    garbage.put_off(0)
    assert left() is not None


@pytest.mark.parametrize(("calls", "rounds"), [(0, 10), (1, 10), (50, 10), (100, 20), (500, 100)])
def test_a_full_collection_is_put_off_as_long_as_calls_would_hear_it(calls: int, rounds: int) -> None:
    young, middle, _ = gc.get_threshold()
    garbage.put_off(calls)
    assert gc.get_threshold() == (young, middle, rounds)
