"""Knows where each frame of a call stands in its recording: what the line hears beside what we play."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from callflows.audio.format import FRAME_SECONDS, FRAMES_PER_SECOND, AudioError, Format

# Seconds without an incoming frame after which those that are missing may be lost, and not late.
PATIENCE = 0.5
# Fewer frames than this (60 ms) that are behind after such a stall are jitter.
JITTER_FRAMES = 3
# After this many frames without news (30 s, when a line counts as dead) waiting for late ones ends: memory.
STALL_FRAMES = 30 * FRAMES_PER_SECOND
# Vonage's older buffer held 1,024 messages; the pacer keeps at most this many of ours there.
AHEAD_FRAMES = 1000
# A frame that follows another in the far buffer stands right behind it, whatever the models say: two clocks that
# differ by 200 ppm are 6 frames apart after 10 minutes. More than this and the pacer has found an underrun.
JUMP_FRAMES = 10
# What Vonage says of how far it is corrects where ours began, if it comes within 1 s of that; by 500 ms at most.
ANSWER_FRAMES = FRAMES_PER_SECOND
MOST_SHIFT = 25
# Where no frame stands, for there is none to go on from.
NOWHERE = -AHEAD_FRAMES


class FarClock:
    """The number of the frame that Vonage sends at any moment, whatever the network does to those that come.

    A frame can come late but never early, so the least late of the last 50 to 100 frames shows the clock. No more, so
    that a clock that runs 1,000 ppm fast or slow is followed within 2 ms.
    """

    __slots__ = ("_before", "_heard", "_recent")
    WINDOW = 50

    def __init__(self) -> None:
        self._before = self._recent = math.inf
        self._heard = 0

    def hear(self, zero: float) -> None:
        """Take a frame that puts frame 0 at ``zero`` seconds: its arrival less 20 ms for each frame before it."""
        if zero < self._recent:
            self._recent = zero
        self._heard += 1
        if self._heard == self.WINDOW:
            self._before, self._recent, self._heard = self._recent, math.inf, 0

    @property
    def zero(self) -> float:
        """The moment of frame 0, in seconds; inf before any frame."""
        return min(self._before, self._recent)

    def number(self, now: float) -> float:
        """Return the number of the frame that arrives at ``now`` if the network is quick; -inf before any frame."""
        return (now - self.zero) / FRAME_SECONDS


class TwoTracks:
    """A recording of two channels: ``others`` (what the line hears) and ``us`` (what we play).

    The timeline is the number of the incoming frame, so both parties' clocks and ours may differ. ``now`` is any
    monotonic clock, in seconds. How we read "where a frame stands":

    - An incoming frame stands behind the one before it. Only after 500 ms without any may frames be missing: those that
      come then are held back until they have caught up with Vonage's clock (then all were late, and each takes its own
      place) or for another 500 ms; what is still missing then becomes silence before them. A shorter gap is none.
    - A frame of ours that meets an empty far buffer is played next: behind the frame that Vonage is at. In a stall that
      is more than the incoming count, so it is estimated (FarClock). The others follow without a gap, or, when the
      pacer's ``unplayed`` says otherwise by more than 10 frames, where it says. The way there, and what Vonage waits
      before it begins to play, are in none of our counts. Its answer to a question behind one of our frames tells: it
      comes in order with its own frames. What was said since its buffer was empty moves to where the first answer puts
      it, and what is said later begins as much later.
    - ``cleared`` is Vonage's word, in order with its frames: what stood ahead of the incoming count was never played.

    ``arrived`` is called with each moment at which a frame came in. Memory: one block, up to 30 s of a stall, and what
    we have sent ahead. About 1 microsecond for a frame either way, 25 for a block.
    """

    def __init__(
        self, fmt: Format, block_seconds: float = 1.0, arrived: Callable[[float], object] = lambda now: None
    ) -> None:
        self._fmt = fmt
        self._arrived = arrived
        self._size = fmt.frame_bytes
        self._block = max(1, round(block_seconds * FRAMES_PER_SECOND))
        self._others, self._us = bytearray(), bytearray()
        self._start = 0  # the number of the first frame in both
        self._count = 0  # the number of the next incoming frame
        self._next = NOWHERE  # where ours goes on
        self._run = NOWHERE  # where it began to meet an empty far buffer; nowhere also once Vonage has said where
        self._silent_from = 0  # what we said before that ended here
        self._later = 0  # how many frames later than by our counts ours began the last time
        self._clock = FarClock()
        self._last = math.inf  # when a frame came
        self._held: list[bytes] = []
        self._held_since = 0.0
        self._held_zero = math.inf
        self._cuts: list[tuple[int, int]] = []

    @property
    def frames(self) -> int:
        """How long the recording is by now."""
        return self._count + len(self._held)

    def heard(self, pcm: bytes | memoryview, now: float) -> None:
        """Take an incoming frame. Raises AudioError for a wrong size."""
        if len(pcm) != self._size:
            raise AudioError(f"expected {self._size} bytes of audio, got {len(pcm)}")
        self._arrived(now)
        if self._last == math.inf:
            self._begin(now)
        if self._held and now - self._held_since >= PATIENCE:
            self._settle()
        zero = now - (self._count + len(self._held)) * FRAME_SECONDS
        if self._held or now - self._last >= PATIENCE:
            self._hold(bytes(pcm), zero, now)
        else:
            self._clock.hear(zero)
            self._put(self._others, self._count, pcm)
            self._count += 1
        self._last = now

    def played(self, pcm: bytes | memoryview, unplayed: float, now: float) -> None:
        """Take a frame of ours at the moment it is written, ``unplayed`` frames of ours standing before it.

        A frame more than 1,000 ahead is dropped, as the far buffer would. Raises AudioError for a wrong size.
        """
        if len(pcm) != self._size:
            raise AudioError(f"expected {self._size} bytes of audio, got {len(pcm)}")
        if self._clock.zero == math.inf:
            self._clock.hear(now + FRAME_SECONDS)
        far = self._clock.number(now)
        place = math.floor(far + min(unplayed, AHEAD_FRAMES)) + 1
        if place < self._next or (unplayed > 0 and place - self._next <= JUMP_FRAMES and self._next > far):
            place = max(self._next, self._count)
        else:
            place = max(place + (0 if unplayed else self._later), self._count)
            self._run, self._silent_from = place, max(0, self._next)
        if place <= far + AHEAD_FRAMES + JUMP_FRAMES:
            self._put(self._us, place, pcm)
            self._next = place + 1

    def answered(self, behind: int) -> None:
        """Take Vonage's word that it has just played all of ours but the last ``behind`` frames.

        Right then: not of a mark that met an empty buffer.
        """
        follows = self._next - behind
        shift = self._count - follows
        # Before the run: of what was sent before this recording began. In a stall the count is not known.
        if self._run < 0 or follows <= self._run or self._held or abs(shift) > MOST_SHIFT:
            return
        self._later += shift
        at = max(self._run, self._start)
        if shift < 0:
            # Only silence is taken away.
            shift = -min(-shift, at - max(self._silent_from, self._start))
        where = (at - self._start) * self._size
        self._us[where + min(shift, 0) * self._size : where] = bytes(max(shift, 0) * self._size)
        self._next += shift
        self._run = NOWHERE

    def cleared(self, now: float) -> None:
        """Take Vonage's word that it dropped what it had not played."""
        here = self._count
        if self._held or now - self._last >= PATIENCE:
            # Which frame Vonage is at shows when the frames after the stall have found their places.
            here = max(here, math.floor(self._clock.number(now)) + 1)
            self._cuts.append((len(self._held), here))
        del self._us[max(0, here - self._start) * self._size :]
        self._next = self._run = NOWHERE

    def blocks(self, now: float, final: bool = False) -> list[bytes]:
        """Return finished blocks of 16 bit stereo, interleaved (others, us); ``final``: all that is left.

        Nothing in them can change any more. What we sent ahead and was not played by ``now`` is not in the last one.
        """
        self._end_stall(now, final)
        ready = self._count - self._start
        if self._run >= 0 and self._count - self._run <= ANSWER_FRAMES and not final:
            ready = min(ready, self._run - self._start)
        sizes = [self._block] * (ready // self._block)
        if final and ready % self._block:
            sizes.append(ready % self._block)
        return [self._take(size) for size in sizes]

    def _begin(self, now: float) -> None:
        """Start the timeline; if we spoke first, what came before the first frame is silence."""
        if self._clock.zero < math.inf:
            self._count = max(0, math.floor(self._clock.number(now)))
        self._clock = FarClock()

    def _hold(self, pcm: bytes, zero: float, now: float) -> None:
        if not self._held:
            self._held_since, self._held_zero = now, zero
        self._held.append(pcm)
        self._held_zero = min(self._held_zero, zero)
        if zero - self._clock.zero < FRAME_SECONDS:
            self._settle()

    def _settle(self) -> None:
        """Give the frames that were held back their places, behind silence for those that never came."""
        missing = round((self._held_zero - self._clock.zero) / FRAME_SECONDS)
        if missing < JITTER_FRAMES:
            missing = 0
        self._clock.hear(self._held_zero - missing * FRAME_SECONDS)
        self._count += missing
        for held, here in self._cuts:
            self._silence(self._count + held, here)
        for number, pcm in enumerate(self._held, self._count):
            self._put(self._others, number, pcm)
        self._count += len(self._held)
        self._held.clear()
        self._cuts.clear()

    def _end_stall(self, now: float, final: bool) -> None:
        """Stop waiting for late frames: what is missing becomes silence, and the timeline goes on by the clock."""
        if self._clock.zero == math.inf:
            return
        limit = PATIENCE * FRAMES_PER_SECOND if final else STALL_FRAMES
        number = math.floor(self._clock.number(now)) + 1
        if self._held and (final or number - self._count > limit):
            self._settle()
        if number - self._count > limit:
            self._count = number
            self._cuts.clear()

    def _put(self, track: bytearray, number: int, pcm: bytes | memoryview) -> None:
        at = (number - self._start) * self._size
        if at > len(track):
            track.extend(bytes(at - len(track)))
        track[at : at + self._size] = pcm

    def _silence(self, first: int, end: int) -> None:
        """Take back what of ours stands from ``first`` up to ``end``."""
        start, stop = ((number - self._start) * self._size for number in (first, end))
        stop = min(stop, len(self._us))
        if start < stop:
            self._us[start:stop] = bytes(stop - start)

    def _take(self, frames: int) -> bytes:
        """Cut ``frames`` off the front of both tracks and interleave them."""
        size = frames * self._size
        both = np.zeros((frames * self._fmt.frame_samples, 2), dtype="<i2")
        for channel, track in enumerate((self._others, self._us)):
            part = np.frombuffer(bytes(track[:size]), dtype="<i2")
            both[: part.size, channel] = part
            del track[:size]
        self._start += frames
        return both.tobytes()
