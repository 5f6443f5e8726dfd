"""A recording of six minutes, in `make soak` of ten, against a far end with its own clock, in virtual time."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable
from functools import partial

import pytest

from callflows.audio.pacer import Pacer
from callflows.audio.recording import TwoTracks
from tests.audio.clicks import FMT, FRAME, clicks, frame
from tests.lasting import lasting


class Call:
    """Vonage's end with a clock of its own, a network between, and our end that plays by the pacer; virtual time."""

    def __init__(self, ppm: float, stall: tuple[float, float], lost: bool) -> None:
        self.tracks, self.pacer = TwoTracks(FMT), Pacer(lead=50)
        self.frame = FRAME * (1 - ppm / 1e6)
        self.stall, self.lost = stall, lost
        self.chance = random.Random(4)
        self.todo: list[tuple[float, int, Callable[[float], object]]] = []
        self.order = itertools.count()
        self.buffer: deque[int] = deque()
        self.outbox: deque[int] = deque()
        self.played: dict[int, int] = {}
        self.tick = 0
        self.here = self.there = 0.0  # the latest arrival either way: nothing overtakes
        self.blocks: list[bytes] = []

    def at(self, when: float, what: Callable[[float], object]) -> None:
        heapq.heappush(self.todo, (when, next(self.order), what))

    def run(self, seconds: float) -> None:
        self.at(0.0, self.far)
        self.at(0.003, self.near)
        while self.todo and self.todo[0][0] < seconds:
            when, _, what = heapq.heappop(self.todo)
            what(when)
        self.blocks += self.tracks.blocks(seconds, final=True)

    def far(self, now: float) -> None:
        """Each 20 ms of its own clock Vonage plays a frame of ours and sends one."""
        if self.buffer:
            self.played[self.buffer.popleft()] = self.tick
        number = self.tick // 10 if self.tick % 10 == 0 else 0
        if not (self.lost and self.stall[0] <= now < self.stall[1]):
            self.deliver(now, partial(self.hear, frame(number)))
        self.tick += 1
        self.at(self.tick * self.frame, self.far)

    def deliver(self, now: float, what: Callable[[float], object]) -> None:
        held = self.stall[1] if not self.lost and self.stall[0] <= now < self.stall[1] else now
        self.here = max(self.here, held + self.chance.uniform(0.003, 0.008))
        self.at(self.here, what)

    def send(self, now: float, what: Callable[[float], object]) -> None:
        self.there = max(self.there, now + self.chance.uniform(0.003, 0.008))
        self.at(self.there, what)

    def near(self, now: float) -> None:
        """We wake each 20 ms of our clock and send what the pacer allows."""
        for _ in range(min(len(self.outbox), self.pacer.room(now))):
            number = self.outbox.popleft()
            self.tracks.played(frame(number), self.pacer.unplayed(now), now)
            self.pacer.sent(1, now)
            self.send(now, partial(self.arrive, number))
        self.blocks += self.tracks.blocks(now)
        self.at(now + FRAME, self.near)

    def clear(self, now: float) -> None:
        self.outbox.clear()
        self.send(now, self.clear_there)

    def clear_there(self, now: float) -> None:
        if self.buffer:
            self.played[self.buffer[0]] = self.tick
        self.buffer.clear()
        self.deliver(now, self.cleared)

    def hear(self, pcm: bytes, now: float) -> None:
        self.tracks.heard(pcm, now)
        self.pacer.heard(now)

    def arrive(self, number: int, now: float) -> None:
        self.buffer.append(number)

    def cleared(self, now: float) -> None:
        self.tracks.cleared(now)
        self.pacer.cleared()


@pytest.mark.soak
@pytest.mark.parametrize(("ppm", "lost"), [(200, False), (-200, True)])
def test_clicks_stand_within_20_ms_to_the_end(ppm: float, lost: bool) -> None:
    call = Call(ppm, stall=(299.9, 300.9), lost=lost)
    numbers = itertools.count(1)

    def say(count: int) -> Callable[[float], object]:
        return lambda _: call.outbox.extend(itertools.islice(numbers, count))

    # A prompt of 30 s, an underrun, prompts that are interrupted, one across the stall, and a long one to the end.
    for when, count in ((5, 1500), (60.013, 7), (60.5, 40), (100, 500), (180.007, 500), (280, 1500), (330, 13450)):
        call.at(when, say(count))
    for when in (104.321, 183.0, 300.6, 326.5):
        call.at(when, call.clear)
        call.at(when + 0.6, say(20))
    call.run(lasting(380.0, 600.0))
    theirs, ours = clicks(call.blocks, 0), clicks(call.blocks, 1)
    expected = {tick // 10: tick for tick in range(10, call.tick, 10)}
    assert len(expected) - len(theirs) == (5 if lost else 0)
    assert max(abs(place - expected[number]) for number, place in theirs.items()) <= 1
    assert max(abs(place - call.played[number]) for number, place in ours.items()) <= 1
    # A frame at the very moment of a clear, or of the end, may be on either side.
    assert len(call.played.keys() - ours.keys()) <= 5
