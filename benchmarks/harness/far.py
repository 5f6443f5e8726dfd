"""Knows Vonage's end of one call over a real socket: with a clock of its own, at a distance, now and then deaf."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import time
from array import array
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from benchmarks.harness.client import BINARY, FORMAT, TEXT, Socket, masked
from callflows.wire.platform import Platform, PlatformError
from callflows.wire.remote import Remote

SILENCE = FORMAT.silence
# A second of noise, for recordings that nobody compares.
NOISE = [random.Random(number).randbytes(FORMAT.frame_bytes) for number in range(50)]
# What is said, as it goes over the wire: the same few frames again and again.
SAID = {frame: masked(BINARY, frame) for frame in [SILENCE, *NOISE]}
# A timer of the loop has whole milliseconds.
LEAST_WAIT = 0.001


@dataclass(frozen=True, slots=True)
class Manner:
    """How the far end differs from one beside us.

    Its clock runs ``ppm`` millionths fast; it does not read for ``stall`` seconds of each ``every``, the first time
    after ``phase``. What it sends is ``round_trip`` seconds older when it has the answer. It says noise, or nothing.
    """

    ppm: float = 0.0
    stall: float = 0.0
    every: float = 5.0
    phase: float = 0.0
    round_trip: float = 0.0
    noise: bool = False

    @property
    def period(self) -> float:
        """The seconds of ours in which it plays a frame."""
        return 0.02 / (1 + self.ppm / 1e6)


@dataclass
class Lateness:
    """How late the timers of all calls were, in seconds, from ``measured_from`` on: that is the load's own fault."""

    measured_from: float = math.inf
    values: array[float] = field(default_factory=lambda: array("d"))

    def add(self, due: float, now: float) -> None:
        if due >= self.measured_from:
            self.values.append(max(0.0, now - due))


class Far(Socket):
    """One call. Its way out is taken to cost nothing, and its way in all of the round trip: nobody sees a difference.

    ``frames`` is how many came, ``bad`` how many had a wrong size.
    """

    def __init__(self, host: str, path: str, manner: Manner, lateness: Lateness) -> None:
        super().__init__(host, path)
        voice = itertools.cycle(NOISE) if manner.noise else itertools.repeat(SILENCE)
        self.platform = Platform(FORMAT, {}, voice)
        self.remote = Remote(self.platform, ppm=manner.ppm)
        self.manner, self.lateness = manner, lateness
        self.frames = self.bad = 0
        self.connected_at = self.due = math.inf
        # What is on its way to us, and when texts arrive: those are waited for, frames have time until the next turn.
        self.coming: deque[tuple[float, str | bytes]] = deque()
        self.texts: deque[float] = deque()
        # Whether what comes now has waited because we did not read.
        self.held_up = False
        self.loop = asyncio.get_running_loop()

    # What subclasses look at.

    def came(self, message: str | bytes, now: float) -> None:
        """A message came off the wire."""

    def taken(self, message: str | bytes, at: float) -> None:
        """A message reached the far end, and was carried out."""

    def looked(self, at: float) -> None:
        """Time has passed at the far end, before a message reaches it or its own turn ends."""

    # The socket.

    def begin(self) -> None:
        self.connected_at = now = time.monotonic()
        self.say([self.remote.open(now)])
        self.ready.set_result(None)
        if self.manner.stall:
            self.loop.call_later(self.manner.phase, self.stall)
        self.go_on(now)
        self.plan(now)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.held_up = False

    def take(self, opcode: int, payload: bytes, now: float) -> None:
        if opcode not in (BINARY, TEXT):
            super().take(opcode, payload, now)
            return
        message = payload if opcode == BINARY else payload.decode()
        self.frames += opcode == BINARY
        self.came(message, now)
        at = now + self.manner.round_trip
        self.coming.append((at, message))
        if opcode == TEXT:
            self.texts.append(at)
        self.go_on(now)

    def say(self, messages: Iterable[str | bytes]) -> None:
        for each in messages:
            self.transport.write(SAID[each] if isinstance(each, bytes) else masked(TEXT, each.encode()))

    # Time.

    def go_on(self, now: float) -> None:
        """Let the far end do all that is due, in order."""
        while self.coming and self.coming[0][0] <= now:
            at, message = self.coming.popleft()
            if isinstance(message, str):
                self.texts.popleft()
            self.say(self.remote.advance(at))
            self.looked(at)
            try:
                self.say(self.remote.arrive(message, at))
            except PlatformError as error:
                self.bad += 1
                self.fail(str(error))
                return
            self.taken(message, at)
        self.say(self.remote.advance(now))
        self.looked(now)

    def tick(self) -> None:
        if self.closed.done():
            return
        now = time.monotonic()
        if now >= self.due:
            self.lateness.add(self.due, now)
            self.go_on(now)
        self.plan(now)

    def plan(self, now: float) -> None:
        """Come again when something is due; what arrives makes nothing due earlier than our next frame."""
        self.due = min(self.remote.next_due, self.texts[0] if self.texts else math.inf)
        self.loop.call_later(max(LEAST_WAIT, self.due - now), self.tick)

    def stall(self) -> None:
        if not self.closed.done():
            self.transport.pause_reading()
            self.loop.call_later(self.manner.stall, self.read_again)

    def read_again(self) -> None:
        if not self.closed.done():
            self.held_up = True
            self.transport.resume_reading()
            self.loop.call_later(self.manner.every - self.manner.stall, self.stall)
