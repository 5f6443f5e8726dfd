"""A caller who interrupts: what is heard of the old sound after the key, and that all of the new one is."""

from __future__ import annotations

import math
from typing import Any

import pytest

from callflows.wire.connection import CLEAR
from callflows.wire.platform import Knobs
from tests.sockets.network import FMT, Network

OLD, NEW = b"\1\0" * FMT.frame_samples, b"\2\0" * FMT.frame_samples
KEY_AT = 3.0


class Interrupted(Network):
    """A prompt plays; a key comes at 3 s, and at once something else is played. Round trip: 20 ms."""

    def __init__(self, mute: bool = False, **knobs: Any) -> None:
        super().__init__(mute=mute, knobs=Knobs(**knobs))
        self.messages: list[str | bytes] = []
        self.heard: list[tuple[float, bytes]] = []
        self.on_sent = self.messages.append
        # A frame is taken when it begins, and sounds for 20 ms.
        self.on_frame = lambda frame: self.heard.append((self.now + 0.02, frame))
        self.line.play(OLD for _ in range(10_000))
        self.run(KEY_AT)
        self.press("5")
        self.run(KEY_AT + self.delay)
        self.messages.clear()
        self.line.clear()
        self.line.play(NEW * 100)
        self.run(KEY_AT + 10)

    def old_after_the_key(self) -> float:
        """Return how many seconds after the key the old sound could be heard."""
        return max((end for end, frame in self.heard if frame == OLD), default=-math.inf) - KEY_AT

    def new(self) -> list[tuple[float, bytes]]:
        return [each for each in self.heard if each[1] == NEW]


async def test_old_sound_ends_within_60_ms_of_the_key_and_the_new_one_is_whole() -> None:
    call = Interrupted()
    assert call.old_after_the_key() <= 0.06
    assert len(call.new()) == 100
    assert call.new()[0][0] - KEY_AT <= 0.15


async def test_clear_that_takes_100_ms_and_drops_what_followed_costs_nothing_of_the_new_sound() -> None:
    call = Interrupted(clear_seconds=0.1)
    # The 100 ms are Vonage's own.
    assert call.old_after_the_key() <= 0.06 + 0.1
    assert len(call.new()) == 100


@pytest.mark.parametrize("knobs", [{}, {"clear_seconds": 0.1}, {"clear": "ignored"}, {"clear_fires_notify": True}])
async def test_no_old_frame_is_written_after_clear(knobs: dict[str, Any]) -> None:
    call = Interrupted(**knobs)
    assert call.messages[0] == CLEAR
    assert OLD not in call.messages
    assert call.messages.count(CLEAR) == 1
    assert len(call.new()) == 100


async def test_without_clear_the_old_sound_ends_within_the_lead() -> None:
    call = Interrupted(clear="ignored")
    assert 0.9 < call.old_after_the_key() <= 1.0 + 0.02 + 0.06
    assert len(call.new()) == 100
    assert call.remote.deepest <= 50


async def test_vonage_that_answers_nothing_loses_nothing_of_the_new_sound() -> None:
    call = Interrupted(mute=True)
    assert call.old_after_the_key() <= 0.06
    assert len(call.new()) == 100
    # Half a second for the `cleared` that does not come.
    assert call.new()[0][0] - KEY_AT == pytest.approx(0.6, abs=0.1)


async def test_answers_to_questions_from_before_the_clear_do_not_disturb_the_count_after_it() -> None:
    call = Interrupted(clear_fires_notify=True)
    call.line.play(NEW for _ in range(500))
    call.run(call.now + 15)
    assert call.platform.lost == 0
    assert call.remote.deepest <= 50


async def test_mark_of_the_old_sound_is_not_heard_even_if_vonage_says_so() -> None:
    network = Network(knobs=Knobs(clear_fires_notify=True))
    network.line.play(OLD * 20)
    old = network.line.mark()
    network.run(0.2)
    network.line.clear()
    network.line.play(NEW * 5)
    new = network.line.mark()
    network.run(2)
    assert [await old.heard, await new.heard] == [False, True]


async def test_twenty_interruptions_in_a_row_leave_each_new_sound_whole() -> None:
    network, heard = Network(knobs=Knobs(clear_seconds=0.1)), list[int]()
    network.on_frame = lambda frame: heard.append(frame[0])
    for turn in range(1, 21):
        network.line.clear()
        network.line.play(bytes([turn, 0]) * (FMT.frame_samples * 500))
        network.run(turn * 1.0)
    network.line.clear()
    network.run(30)
    # Each was heard from its beginning, less what the interruption and the 100 ms before took of its second.
    assert sorted(heard) == heard
    assert all(35 <= heard.count(turn) <= 55 for turn in range(1, 21))
