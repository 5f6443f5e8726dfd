"""Knows what a far end looks at in one call: one that hears a prompt, one that presses keys, one that listens."""

from __future__ import annotations

import asyncio
import math
import random
import time
from array import array
from typing import Any

from benchmarks.harness.content import MOST_WRONG, REFUSAL_SECONDS, WRONG_KEY
from benchmarks.harness.far import Far
from callflows.audio.format import FRAMES_PER_SECOND
from callflows.wire.connection import CLEAR

# The lead of the apps that play, in frames.
LEAD = 50
REFUSAL_FRAMES = round(REFUSAL_SECONDS * FRAMES_PER_SECOND)
# When a far end that may not stop reading yet tries again.
AGAIN_SECONDS = 0.02
# From one wrong key to the next: the refusal, and then some of the question again.
LEAST_HEARD, MOST_HEARD = 1.8, 2.4


class Player(Far):
    """Hears a sound that does not end; counts when it breaks off, and what comes too early or late."""

    underruns = above = deepest = 0
    least = math.inf
    _held = 0

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        # By how much each frame came later than 50 a second of the far end's clock, from any beginning.
        self.offsets = array("d")

    def stall(self) -> None:
        # Stopped within its first second of sound it would hold less than the stall lasts: nobody could help that.
        if 0 < self.frames < LEAD:
            self.loop.call_later(AGAIN_SECONDS, self.stall)
        else:
            super().stall()

    def came(self, message: str | bytes, now: float) -> None:
        # What we left unread says nothing of the server.
        if isinstance(message, bytes) and not self.held_up and now >= self.lateness.measured_from:
            self.offsets.append(now - self.frames * self.manner.period)

    def taken(self, message: str | bytes, at: float) -> None:
        self._held = held = self.platform.held
        self.above += isinstance(message, bytes) and held > LEAD
        self.deepest = max(self.deepest, held)

    def looked(self, at: float) -> None:
        self.platform.take_heard()
        held = self.platform.held
        self.underruns += held == 0 < self._held
        self._held = held
        if at >= self.lateness.measured_from:
            self.least = min(self.least, held)

    def late(self) -> list[float]:
        """Return how late frames were against the earliest one."""
        first = min(self.offsets, default=0.0)
        return [each - first for each in self.offsets]


class Presser(Far):
    """Presses wrong keys while the question plays, and looks at what comes and is heard after `clear`.

    Counts: ``keys``, frames of the question that came (``old``) and were played (``old_heard``) after `clear`, and
    keys that found nothing playing (``idle``).
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.keys = self.old = self.old_heard = self.idle = 0
        # From the key to `clear`, and to the end of the last sample of the question that was played.
        self.clears, self.last_old = array("d"), array("d")
        # Whether it presses no more keys.
        self.stopped = False
        self._pressed = 0.0
        self._waits = self._silent = False
        # Frames that came off the wire, and that were played, since `clear`.
        self._came = self._heard = REFUSAL_FRAMES

    def press_after(self, least: float, most: float) -> None:
        self.loop.call_later(random.uniform(least, most), self.press)

    def press(self) -> None:
        if self.keys < MOST_WRONG and not self.stopped and not self.closed.done():
            self.keys += 1
            self._waits, self._pressed = True, time.monotonic()
            self.say([self.platform.press(WRONG_KEY)])

    def came(self, message: str | bytes, now: float) -> None:
        if isinstance(message, bytes):
            self._came += 1
            self.old += self._came <= REFUSAL_FRAMES and _is_question(message)
        elif message == CLEAR and self._waits:
            self.clears.append(now - self._pressed)
            self._waits, self._came = False, 0
            self.press_after(LEAST_HEARD, MOST_HEARD)

    def taken(self, message: str | bytes, at: float) -> None:
        if message == CLEAR:
            # It was playing until now.
            self.last_old.append(at - self._pressed)
            self.idle += self._silent
            self._heard = 0

    def looked(self, at: float) -> None:
        for pcm in self.platform.take_heard():
            self._heard += 1
            if self._heard <= REFUSAL_FRAMES and _is_question(pcm):
                self.old_heard += 1
                self.last_old[-1] = at + self.manner.period - self._pressed
        self._silent = not self.platform.held


def _is_question(pcm: bytes) -> bool:
    """Return whether a frame is one of the question: see `content`."""
    return int.from_bytes(pcm[320:322], "little", signed=True) > 0


class Listener(Far):
    """Waits for the first sample that is not silent: ``sound`` is how long after the first message it came."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.sound: asyncio.Future[float] = self.loop.create_future()

    def came(self, message: str | bytes, now: float) -> None:
        if isinstance(message, bytes) and not self.sound.done() and message.strip(b"\0"):
            self.sound.set_result(now - self.connected_at)

    def looked(self, at: float) -> None:
        self.platform.take_heard()
