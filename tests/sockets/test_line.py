"""One open socket as an app sees it: what leaves when, and what was heard of it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callflows.audio.format import FRAMES_PER_SECOND, Format
from callflows.sockets.line import Line
from callflows.wire.connection import notify
from callflows.wire.events import Played
from tests.lasting import lasting
from tests.sockets.far import FMT, FRAME, Clock, Far, in_virtual_time, now, numbered

A, B, C, D = numbered(4)


@pytest.fixture
def clock() -> Clock:
    return Clock()


# What leaves


async def test_frames_and_marks_leave_in_the_order_in_which_they_were_given(clock: Clock) -> None:
    line = Line(FMT, clock=clock)
    line.play(A + B)
    line.mark()
    line.play(C)
    line.mark()
    assert line.due() == [A, B, notify({"mark": 1}), C, notify({"mark": 2})]
    assert line.due() == []


@pytest.mark.parametrize("rate", [8000, 16000, 24000])
async def test_seven_samples_leave_as_one_padded_frame(clock: Clock, rate: int) -> None:
    line = Line(Format(rate), clock=clock)
    line.play(bytes(range(1, 15)))
    assert line.due() == [bytes(range(1, 15)).ljust(rate // 50 * 2, b"\0")]


@pytest.mark.parametrize("sound", [b"", memoryview(b""), iter(()), []])
async def test_no_sound_is_no_frame(clock: Clock, sound: bytes | memoryview | Iterator[bytes] | list[bytes]) -> None:
    line = Line(FMT, clock=clock)
    line.play(sound)
    line.play(A)
    assert line.due() == [A]


@pytest.mark.parametrize("sound", [A + B, memoryview(A + B), [A, B], [memoryview(A), B], iter([A, memoryview(B)])])
async def test_sound_may_be_bytes_a_view_or_frames(clock: Clock, sound: bytes | memoryview | list[bytes]) -> None:
    line = Line(FMT, clock=clock)
    line.play(sound)
    assert line.due() == [A, B]


async def test_no_more_than_the_lead_leaves_at_once(clock: Clock) -> None:
    line = Line(FMT, clock=clock, lead=5)
    line.play(b"".join(numbered(20)))
    assert line.due() == numbered(5)
    assert line.waiting
    assert line.due() == []
    clock.now += line.wait()
    assert line.due() == numbered(1, start=6)
    clock.now += 10
    assert line.due() == numbered(5, start=7)


async def test_mark_waits_for_the_frames_before_it(clock: Clock) -> None:
    line = Line(FMT, clock=clock, lead=1)
    line.play(A)
    line.play(B)
    line.mark()
    assert line.due() == [A]
    clock.now += FRAME
    assert line.due() == [B, notify({"mark": 1})]


async def test_what_is_to_leave_wakes_the_transport(clock: Clock) -> None:
    line, woken = Line(FMT, clock=clock), list[str]()
    line.wake = lambda: woken.append("woken")
    line.play(A)
    line.mark()
    line.clear()
    assert len(woken) == 3


@in_virtual_time
async def test_prompt_of_three_minutes_plays_whole() -> None:
    far = Far()
    prompt = numbered(9000)
    far.line.play(b"".join(prompt))
    mark = far.line.mark()
    await far.run(181)
    assert far.heard == prompt
    assert await mark.heard
    assert (far.platform.lost, far.platform.bad) == (0, 0)
    assert far.deepest <= 51


@pytest.mark.soak
@in_virtual_time
async def test_endless_sound_is_read_only_as_it_is_played() -> None:
    far, read = Far(lead=5), itertools.count(1)
    far.line.play(A for _ in read)
    seconds = lasting(120, 600)
    await far.run(seconds)
    assert 0 <= next(read) - seconds * FRAMES_PER_SECOND <= 10
    assert far.platform.lost == 0


SOUNDS = st.lists(st.binary(max_size=3 * FMT.frame_bytes) | st.just("mark"), max_size=12)


@settings(max_examples=lasting(20, 400))
@given(SOUNDS, st.integers(1, 60))
def test_all_sound_is_heard_in_order_and_each_mark_after_what_was_before_it(
    items: list[bytes | str], lead: int
) -> None:
    @in_virtual_time
    async def check() -> None:
        far = Far(lead=lead)
        expected, early = list[bytes](), list[int]()

        def told(frames: int, heard: asyncio.Future[bool]) -> None:
            if far.platform.played < frames:
                early.append(frames)

        for item in items:
            if isinstance(item, bytes):
                far.line.play(item)
                padded = item.ljust(-(-len(item) // FMT.frame_bytes) * FMT.frame_bytes, b"\0")
                expected += [
                    padded[place : place + FMT.frame_bytes] for place in range(0, len(padded), FMT.frame_bytes)
                ]
            else:
                far.line.mark().heard.add_done_callback(partial(told, len(expected)))
        await far.run(1 + len(expected) * FRAME)
        assert far.heard == expected
        assert early == []
        assert not far.line.waiting

    check()


# Marks


async def test_mark_is_heard_when_vonage_says_so(clock: Clock) -> None:
    line = Line(FMT, clock=clock)
    line.play(A)
    mark = line.mark()
    line.due()
    assert not mark.heard.done()
    line.hear(Played({"mark": mark.number}))
    assert await mark.heard


@pytest.mark.parametrize("payload", [{}, {"mark": 2}, {"mark": "1"}, {"mark": None}, {"mark": [1]}, {"other": 1}])
async def test_answer_to_another_mark_changes_nothing(clock: Clock, payload: dict[str, object]) -> None:
    line = Line(FMT, clock=clock)
    mark = line.mark()
    line.due()
    line.hear(Played(payload))
    assert not mark.heard.done()


@in_virtual_time
async def test_mark_is_heard_300_ms_after_the_end_when_vonage_says_nothing() -> None:
    far = Far(mute=True)
    far.line.play(b"".join(numbered(100)))
    mark = far.line.mark()
    start = now()
    far.turn()
    await far.run(1.5)
    assert not mark.heard.done()
    await far.run(0.7)
    assert not mark.heard.done()
    while not mark.heard.done():
        await far.run(FRAME)
    assert now() - start == pytest.approx(2.3, abs=0.05)
    assert await mark.heard


@in_virtual_time
async def test_mark_at_the_end_is_heard_when_the_last_frame_was_played() -> None:
    far = Far()
    far.line.play(b"".join(numbered(100)))
    mark = far.line.mark()
    mark.heard.add_done_callback(lambda _: played.append(far.platform.played))
    played = list[int]()
    await far.run(3)
    assert played == [100]


async def test_marks_have_numbers_of_their_own(clock: Clock) -> None:
    line = Line(FMT, clock=clock)
    assert len({line.mark().number for _ in range(100)}) == 100
