"""What an app drops: when Vonage is told to drop it too, and what may leave after that."""

from __future__ import annotations

import pytest

from callflows.sockets.line import Line
from callflows.wire.connection import CLEAR
from callflows.wire.events import Cleared, Played
from tests.sockets.far import FMT, FRAME, Clock, Far, in_virtual_time, numbered

A, B, C, D = numbered(4)


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_clear_drops_what_waits_here_and_at_vonage(clock: Clock) -> None:
    line = Line(FMT, clock=clock, lead=2)
    line.play(A + B + C)
    line.due()
    line.clear()
    assert line.due() == [CLEAR]
    line.hear(Cleared())
    assert line.due() == []


async def test_clear_with_nothing_at_vonage_asks_for_nothing(clock: Clock) -> None:
    line = Line(FMT, clock=clock)
    line.play(A)
    mark = line.mark()
    line.due()
    line.hear(Played({"mark": mark.number}))
    line.play(B)
    line.clear()
    assert line.due() == []
    line.play(C)
    assert line.due() == [C]


async def test_clear_is_sent_for_a_second_after_the_end_unless_vonage_said_that_it_played_all(clock: Clock) -> None:
    line = Line(FMT, clock=clock)
    line.play(A)
    line.due()
    clock.now += FRAME + 0.9
    line.clear()
    assert line.due() == [CLEAR]
    clock.now += 0.2
    line.hear(Cleared())
    line.clear()
    assert line.due() == []


async def test_clear_is_not_repeated_while_nothing_new_was_sent(clock: Clock) -> None:
    line = Line(FMT, clock=clock)
    line.play(A + B)
    line.due()
    line.clear()
    line.clear()
    assert line.due() == [CLEAR]
    line.play(C)
    line.clear()
    clock.now += 0.5
    assert line.due() == []


async def test_cleared_of_an_earlier_clear_is_not_taken_for_that_of_the_last(clock: Clock) -> None:
    line = Line(FMT, clock=clock)
    line.play(A)
    line.due()
    line.clear()
    line.due()
    clock.now += 0.5
    line.play(B)
    assert line.due() == [B]
    line.clear()
    line.play(C)
    assert line.due() == [CLEAR]
    line.hear(Cleared())
    assert line.due() == []
    line.hear(Cleared())
    assert line.due() == [C]


async def test_clear_that_was_never_answered_is_not_waited_for_again(clock: Clock) -> None:
    line = Line(FMT, clock=clock)
    line.play(A)
    line.due()
    line.clear()
    line.due()
    clock.now += 6
    line.play(B)
    line.due()
    line.clear()
    line.play(C)
    line.due()
    line.hear(Cleared())
    assert line.due() == [C]


async def test_new_sound_waits_for_cleared(clock: Clock) -> None:
    line = Line(FMT, clock=clock)
    line.play(A + B)
    line.due()
    line.clear()
    line.play(C + D)
    assert line.due() == [CLEAR]
    clock.now += 0.1
    assert line.due() == []
    assert line.wait() == pytest.approx(0.4)
    line.hear(Cleared())
    assert (line.wait(), line.due()) == (0, [C, D])


async def test_new_sound_waits_half_a_second_at_most(clock: Clock) -> None:
    line = Line(FMT, clock=clock)
    line.play(A + B)
    line.due()
    line.clear()
    line.play(C)
    line.due()
    clock.now += 0.499
    assert line.due() == []
    clock.now += 0.001
    assert line.due() == [C]


async def test_without_cleared_vonages_buffer_runs_down_by_the_clock(clock: Clock) -> None:
    line = Line(FMT, clock=clock, lead=50)
    line.play(b"".join(numbered(50)))
    line.due()
    line.hear(Played({"pace": 1}))
    line.clear()
    line.play(b"".join(numbered(50)))
    line.due()
    clock.now += 0.48
    assert line.due() == []
    clock.now += 0.02
    # The first frame was played at once, and 25 in this half second: only as many may follow, less a margin.
    assert sum(isinstance(each, bytes) for each in line.due()) == 25


async def test_cleared_that_comes_after_new_sound_has_left_says_nothing_of_it(clock: Clock) -> None:
    line = Line(FMT, clock=clock, lead=50)
    line.play(b"".join(numbered(50)))
    line.due()
    line.clear()
    line.play(b"".join(numbered(100)))
    line.due()
    clock.now += 0.6
    # Of the 50, 20 wait; and there is a margin between the clocks.
    assert len(line.due()) == 29
    line.hear(Cleared())
    assert line.due() == []


async def test_mark_that_was_cleared_is_not_heard_wherever_it_was(clock: Clock) -> None:
    line = Line(FMT, clock=clock, lead=1)
    line.play(A)
    there = line.mark()
    line.play(B)
    here = line.mark()
    line.due()
    line.clear()
    line.hear(Played({"mark": there.number}))
    assert [await there.heard, await here.heard] == [False, False]


@in_virtual_time
async def test_interrupted_sound_stops_and_the_new_one_follows() -> None:
    far = Far()
    far.line.play(b"".join(numbered(500)))
    await far.run(2)
    far.line.clear()
    far.line.play(b"".join(numbered(10, start=1000)))
    await far.run(1)
    assert far.heard[:-10] == numbered(len(far.heard) - 10)
    assert far.heard[-10:] == numbered(10, start=1000)
    assert len(far.heard) <= 112
