from __future__ import annotations

import pytest

from benchmarks.harness.staircase import Staircase, guess


@pytest.mark.parametrize("capacity", [7, 64, 150, 810, 1300])
@pytest.mark.parametrize("off", [0.9, 1.0, 1.1])
def test_five_rounds_show_the_limit_to_a_tenth(capacity: int, off: float) -> None:
    stairs = Staircase(max(1, round(capacity * off)), 1500)
    for _ in range(5):
        stairs.tried(stairs.calls <= capacity, min(1.0, stairs.calls / capacity))
    assert stairs.limit is not None
    assert stairs.limit == pytest.approx(capacity, rel=0.1, abs=1)
    assert stairs.known == ""


def test_a_limit_that_was_not_reached_is_told_as_such() -> None:
    high, low = Staircase(100, 110), Staircase(100, 110)
    for _ in range(3):
        high.tried(True, 0.97)
        low.tried(False, 1.0)
    assert [calls for calls, _ in high.rounds] == [100, 105, 110]
    assert (high.limit, high.known) == (105, "at least")
    assert (high.topped, low.topped) == (True, False)
    assert (low.limit, low.known) == (95, "at most")
    assert Staircase(1, 1).limit is None


def test_it_jumps_up_where_the_core_has_much_to_spare() -> None:
    stairs = Staircase(100, 1500)
    stairs.tried(True, 0.5)
    assert stairs.calls == 120


def test_the_first_guess_fills_the_core_and_no_more() -> None:
    assert guess(100, 0.5, 1500) == 196
    assert guess(100, 0.0, 1500) == 1500
    assert guess(1, 5.0, 1500) == 1
