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
    garbage.collect_unheard()
    assert left() is None


def test_what_is_not_due_is_left() -> None:
    left = old_circle(garbage.DUE_ROUNDS - 1)
    garbage.collect_unheard()
    assert left() is not None


def test_full_collections_are_seldom_once_a_server_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen = []
    monkeypatch.setattr(gc, "freeze", lambda: frozen.append(True))
    young, middle, _ = gc.get_threshold()
    garbage.spare_calls()
    assert frozen
    assert gc.get_threshold() == (young, middle, garbage.MIDDLE_ROUNDS)
