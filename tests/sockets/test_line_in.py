"""What comes in on a line: handed over at once, or kept in order for an app that may be slow."""

from __future__ import annotations

import asyncio

import pytest

from callflows.sockets.line import Line
from callflows.wire.events import Audio, Digit, Event, Rubbish, Unknown
from tests.sockets.far import FMT, Clock, numbered, texts

A, B, C = numbered(3)


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def first(line: Line, count: int) -> list[Event]:
    events = line.events()
    return [await anext(events) for _ in range(count)]


async def test_events_come_in_order(clock: Clock) -> None:
    line = Line(FMT, clock=clock)
    task = asyncio.create_task(first(line, 4))
    await asyncio.sleep(0)
    given: list[Event] = [Audio(A), Digit("5", 100), Audio(B), Unknown("new", {})]
    for event in given:
        line.hear(event)
    assert await task == given


async def test_slow_app_loses_the_oldest_and_they_are_counted(clock: Clock) -> None:
    line = Line(FMT, clock=clock, inbox_seconds=0.1)
    for digit in "1234567":
        line.hear(Digit(digit))
    assert await first(line, 5) == [Digit(digit) for digit in "34567"]
    assert line.figures["dropped_in"] == 2


async def test_audio_is_kept_only_for_an_app_that_listens(clock: Clock) -> None:
    line = Line(FMT, clock=clock)
    line.hear(Audio(A))
    line.hear(Digit("1"))
    line.hear(Audio(B))
    assert await first(line, 1) == [Digit("1")]
    line.hear(Audio(C))
    assert await first(line, 1) == [Audio(C)]
    assert line.figures == {"frames_in": 3}


async def test_audio_is_handed_over_without_a_task_switch(clock: Clock) -> None:
    line, given = Line(FMT, clock=clock), list[bytes]()
    line.on_audio = given.append
    line.hear(Audio(A))
    line.silent()
    assert given == [A, FMT.silence]


async def test_what_is_played_while_a_frame_is_handed_over_wakes_nobody(clock: Clock) -> None:
    line, woken = Line(FMT, clock=clock), list[str]()
    line.wake = lambda: woken.append("woken")
    line.on_audio = line.play
    line.hear(Audio(A))
    assert (line.waiting, woken) == (True, [])


async def test_handler_that_fails_leaves_the_line_as_it_was(clock: Clock) -> None:
    line, woken = Line(FMT, clock=clock), list[str]()

    def fail(pcm: bytes) -> None:
        raise ValueError("too loud")

    line.on_audio = fail
    with pytest.raises(ValueError, match="too loud"):
        line.hear(Audio(A))
    line.wake = lambda: woken.append("woken")
    line.play(B)
    assert woken == ["woken"]


async def test_digits_and_unknown_messages_stand_in_the_notes_and_rubbish_is_counted(clock: Clock) -> None:
    line = Line(FMT, clock=clock)
    line.hear(Digit("5", 260))
    line.hear(Unknown("websocket:something-new", {"event": "websocket:something-new", "value": 1}))
    line.hear(Rubbish("expected JSON"))
    digit, unknown = line.notes
    assert (digit.kind, digit.name, digit.data) == ("digit", "5", {"duration": 260})
    assert texts(line)[1] == "Unknown message websocket:something-new"
    assert unknown.data["message"]["value"] == 1
    assert line.figures["bad"] == 1


async def test_frames_are_counted_both_ways(clock: Clock) -> None:
    line = Line(FMT, clock=clock)
    line.hear(Audio(A))
    line.play(A + B)
    line.due()
    assert line.figures == {"frames_in": 1, "frames_out": 2}


async def test_line_without_prompts_says_so(clock: Clock) -> None:
    with pytest.raises(LookupError, match="this line has no prompts"):
        await Line(FMT, clock=clock).sound(1)
