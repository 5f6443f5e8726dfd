"""What comes in on a line: handed over at once, or kept in order for an app that may be slow."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from callflows.sockets.line import Line
from callflows.wire.events import Audio, Digit, Event, Rubbish, Unknown
from tests.lasting import lasting
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


# What comes in too great a number, and how the timeline tells of it


def reported(line: Line, **arguments: Any) -> list[str]:
    line.notes.clear()
    line.report(**arguments)
    return texts(line)


async def test_late_burst_is_no_flood_and_what_comes_beyond_it_is(clock: Clock) -> None:
    line = Line(FMT, clock=clock)
    for _ in range(10 * 50):
        line.hear(Audio(A))
        clock.now += 0.02
    # Nothing for 20 s, then all of it at once: 1000 frames that were only late.
    clock.now += 20
    for _ in range(1000):
        line.hear(Audio(A))
    assert line.figures["flood"] == 0
    for _ in range(5000):
        line.hear(Audio(A))
    assert line.figures["flood"] > 4000
    clock.now += 1
    frames = line.figures["frames_in"]
    line.hear(Audio(A))
    assert line.figures["frames_in"] == frames + 1


@pytest.mark.soak
@pytest.mark.parametrize("ppm", [1000, -1000])
async def test_clock_that_is_far_off_is_no_flood_in_hours(clock: Clock, ppm: int) -> None:
    line = Line(FMT, clock=clock)
    # A second apart after 1,000 s.
    for _ in range(lasting(1500, 7200) * 50):
        line.hear(Audio(A))
        clock.now += 0.02 * (1 - ppm / 1e6)
    assert line.figures["flood"] == 0


async def test_flood_of_frames_does_not_fill_what_an_echo_sends(clock: Clock) -> None:
    line = Line(FMT, clock=clock)
    line.on_audio = line.play
    for _ in range(100_000):
        line.hear(Audio(A))
    assert line.figures["frames_in"] < 2000
    assert reported(line) == [
        f"More than 50 frames a second came: {100_000 - line.figures['frames_in']} of them were dropped"
    ]


async def test_flood_of_keys_and_unknown_messages_is_noted_a_hundred_times_and_then_once_a_second(clock: Clock) -> None:
    line = Line(FMT, clock=clock)
    for _ in range(5000):
        line.hear(Digit("1"))
        line.hear(Unknown("new", {}))
    assert len(line.notes) == 100
    clock.now += 2.1
    line.notes.clear()
    for _ in range(5000):
        line.hear(Digit("1"))
    assert len(line.notes) == 2
    assert line.figures["unnoted"] == 15_000 - 102


async def test_notes_that_nobody_writes_down_do_not_pile_up(clock: Clock) -> None:
    line = Line(FMT, clock=clock)
    for number in range(5000):
        line.note("prompt", f"Playing {number}")
    assert len(line.notes) == 1000
    line.report()
    assert texts(line)[-1] == "Too much to note: 4000 more messages came"


async def test_long_unknown_message_is_noted_by_its_beginning(clock: Clock) -> None:
    line = Line(FMT, clock=clock)
    line.hear(Unknown("new", {"event": "new", "x": "y" * 10_000}))
    (note,) = line.notes
    assert len(note.data["message"]["begins"]) == 2000


async def test_silence_of_vonage_is_noted_when_it_ends(clock: Clock) -> None:
    line = Line(FMT, clock=clock)
    line.hear(Audio(A))
    clock.now += 1.9
    line.hear(Audio(A))
    assert texts(line) == []
    clock.now += 12.3
    line.hear(Audio(A))
    assert texts(line) == ["No sound came from Vonage for 12.3 s"]


async def test_frames_that_a_slow_app_lost_stand_on_the_timeline(clock: Clock) -> None:
    line = Line(FMT, clock=clock, inbox_seconds=0.1)
    events = line.events()
    line.hear(Digit("1"))
    await anext(events)
    for _ in range(35):
        clock.now += 0.02
        line.hear(Audio(A))
    assert reported(line) == ["The app was too slow: 30 of the oldest messages and frames were dropped"]
    assert reported(line) == []


async def test_app_that_listens_to_nothing_is_not_slow(clock: Clock) -> None:
    line = Line(FMT, clock=clock, inbox_seconds=0.1)
    for _ in range(50):
        line.hear(Digit("1"))
    assert reported(line) == []


async def test_what_is_dropped_is_told_at_once_then_every_half_minute_and_at_the_end(clock: Clock) -> None:
    line = Line(FMT, clock=clock)
    assert reported(line, dropped_out=7) == ["Vonage did not read fast enough: 7 frames were dropped"]
    assert reported(line, dropped_out=9) == []
    clock.now += 31
    assert reported(line, dropped_out=12) == ["Vonage did not read fast enough: 5 frames were dropped"]
    assert reported(line, dropped_out=13) == []
    assert reported(line, dropped_out=14, final=True) == ["Vonage did not read fast enough: 2 frames were dropped"]
    assert line.figures["dropped_out"] == 14


async def test_messages_that_are_none_are_counted_and_the_last_one_is_quoted(clock: Clock) -> None:
    line = Line(FMT, clock=clock)
    line.hear(Rubbish("expected JSON, got 'x'"))
    line.hear(Rubbish("expected 320 bytes of audio, got 7"))
    assert reported(line) == ["2 messages were none of Vonage's"]
    assert line.notes[0].data == {"count": 2, "reason": "expected 320 bytes of audio, got 7"}


@pytest.mark.parametrize(
    ("code", "ended", "text"),
    [
        (1000, "", "Closed by Vonage"),
        (1001, "", "Closed by Vonage"),
        (1006, "", "The connection broke"),
        (0, "", "The connection broke"),
        (1006, "it did not read for 10 s", "The connection was ended: it did not read for 10 s"),
    ],
)
async def test_end_that_was_not_ours_is_told(clock: Clock, code: int, ended: str, text: str) -> None:
    line = Line(FMT, clock=clock)
    line.closed(code, ended)
    assert texts(line) == [text]
    assert line.notes[0].data == {"code": code}
