"""Vonage's end on another machine: its clock, and what it leaves unread."""

from __future__ import annotations

import json

import pytest

from callflows.audio.format import Format
from callflows.wire.platform import Knobs, Platform
from callflows.wire.remote import Remote

FMT = Format(8000)
FRAME = bytes(FMT.frame_bytes)


def remote(ppm: float = 0.0, stall: float = 0.0, phase: float = 0.0) -> Remote:
    found = Remote(Platform(FMT, {}, iter(()), Knobs(prebuffer=0)), ppm=ppm, stall=stall, phase=phase)
    assert json.loads(found.open(0.0))["event"] == "websocket:connected"
    return found


@pytest.mark.parametrize(("ppm", "frames"), [(0, 50_000), (200, 50_010), (-200, 49_990)])
def test_frames_come_by_a_clock_of_its_own(ppm: float, frames: int) -> None:
    assert len(remote(ppm).advance(999.999)) == pytest.approx(frames, abs=1)


@pytest.mark.parametrize("ppm", [0, 200, -200, 137])
def test_at_the_moment_that_is_due_there_is_something_to_do(ppm: float) -> None:
    far, now = remote(ppm), 0.0
    for _ in range(1000):
        now = far.next_due
        assert far.advance(now) != []


def test_what_comes_in_a_stall_is_read_at_its_end_while_frames_go_on() -> None:
    far = remote(stall=0.4)
    assert len(far.arrive(FRAME, 0.1)) == 6
    assert len(far.advance(0.3)) == 10
    assert far.platform.held == 0
    far.advance(0.39)
    assert far.platform.held == 0
    far.advance(0.4)
    assert far.platform.held == 1


def test_stall_comes_again_each_five_seconds() -> None:
    far = remote(stall=0.4)
    assert [far.reads_from(now) for now in (0.4, 4.9, 5.0, 5.2)] == [0.4, 4.9, 5.4, pytest.approx(5.4)]


def test_phase_tells_how_far_into_a_turn_it_begins() -> None:
    far = remote(stall=0.4, phase=4.8)
    assert [far.reads_from(now) for now in (0.0, 0.3, 0.7)] == [0.0, pytest.approx(0.6), 0.7]


def test_end_of_a_stall_is_due_when_something_waits_to_be_read() -> None:
    far = remote(stall=0.4)
    far.arrive('{"action":"notify","payload":{}}', 0.101)
    while far.next_due < 0.399:
        far.advance(far.next_due)
    assert far.next_due == pytest.approx(0.4)
    assert any(isinstance(each, str) for each in far.advance(far.next_due))


def test_deepest_counts_the_frame_that_is_being_played() -> None:
    far = remote()
    for _ in range(5):
        far.arrive(FRAME, 0.0)
    assert far.deepest == 5
    far.advance(0.01)
    far.arrive(FRAME, 0.01)
    assert (far.platform.unplayed, far.deepest) == (5, 6)
