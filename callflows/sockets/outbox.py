"""Knows what waits to be sent on a line, and when it leaves: sound as it is played, marks and clear in their order."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from callflows.audio.format import FRAMES_PER_SECOND, Format
from callflows.audio.pacer import LEAST_TO_ASK, Pacer
from callflows.audio.recording import TwoTracks
from callflows.wire.connection import CLEAR, notify

# How long new audio waits for `cleared`: without it, Vonage's buffer runs down by the clock.
CLEARED_SECONDS = 0.5
# A `cleared` that has not come in this time will not come any more.
LOST_SECONDS = 5.0
# How much later than the modelled end of the audio a mark counts as heard when Vonage does not say so.
MARK_SECONDS = 0.3
# While sound plays, Vonage is asked once a second how far it is; after so many questions without an answer, no more.
ASK_FRAMES = FRAMES_PER_SECOND
MOST_ASKED = 16
QUESTION = "pace"


@dataclass(eq=False, slots=True)
class Mark:
    """A place in what we play. ``heard`` becomes True when all before it was played, False when it was cleared."""

    number: int
    heard: asyncio.Future[bool]
    # How many frames were sent before it.
    place: int = 0

    def settle(self, heard: bool) -> None:
        if not self.heard.done():
            self.heard.set_result(heard)


Sound = Iterator[bytes | memoryview]
Outgoing = bytes | str


class Outbox:
    """What a line sends. ``problem`` takes a sentence for the timeline; ``clock`` tells the seconds.

    ``live`` is whether each frame that waits answers one that came in, as in an echo: about those nothing is asked.
    """

    # With 600 calls a frame waits for memory more than for the processor: slots take a fifth of its time away.
    __slots__ = (
        "_asked",
        "_clearing",
        "_clears",
        "_clock",
        "_held_until",
        "_marks",
        "_numbers",
        "_problem",
        "_questions",
        "_size",
        "_unasked",
        "live",
        "pacer",
        "tracks",
        "waiting",
    )

    def __init__(
        self,
        fmt: Format,
        lead: int,
        *,
        clock: Callable[[], float],
        problem: Callable[[str], object],
    ) -> None:
        self.pacer = Pacer(lead)
        self.tracks: TwoTracks | None = None
        self.live = False
        # Whole frames, sounds that give one after the other, marks, and the command to clear.
        self.waiting: deque[bytes | Sound | Mark | str] = deque()
        self._size = fmt.frame_bytes
        self._clock = clock
        self._problem = problem
        self._held_until = 0.0
        # Whether `cleared` would mean all that we sent: one that comes after new audio left says nothing of that.
        self._clearing = False
        # When each `clear` was sent that Vonage has not answered.
        self._clears: deque[float] = deque()
        self._marks: dict[int, Mark] = {}
        self._numbers = itertools.count(1)
        # Our own questions how far Vonage is: their places by their numbers.
        self._asked: dict[int, int] = {}
        self._questions = itertools.count(1)
        self._unasked = 0

    def mark(self) -> Mark:
        """Mark the end of what waits now."""
        mark = Mark(next(self._numbers), asyncio.get_running_loop().create_future())
        self.waiting.append(mark)
        return mark

    def clear(self) -> None:
        """Drop what waits here, and have Vonage drop what waits there."""
        for item in self.waiting:
            if isinstance(item, Mark):
                item.settle(False)
        self.waiting.clear()
        for mark in self._marks.values():
            mark.settle(False)
        self._marks.clear()
        if not self._clearing and self.pacer.may_hold(self._clock()):
            self.waiting.append(CLEAR)

    def wait(self) -> float:
        """Return the seconds after which it is worth asking for ``due`` again."""
        now = self._clock()
        return max(self.pacer.wait(now), self._held_until - now, 0.0)

    def due(self) -> list[Outgoing]:
        """Return the messages that may leave now, in order: whole frames, marks and clear. The hot path."""
        found: list[Outgoing] = []
        now = self._clock()
        if now < self._held_until:
            return found
        waiting, room = self.waiting, self.pacer.room(now)
        begins, left, first = room == self.pacer.lead, 0, 0
        while waiting:
            item = waiting[0]
            if isinstance(item, (Mark, str)):
                waiting.popleft()
                found.append(self._text(item, now))
                if item == CLEAR:
                    break
            elif left >= room:
                break
            elif (frame := self._frame(item, now)) is not None:
                found.append(frame)
                left += 1
                if left == 1:
                    first = len(found)
                elif begins and left == LEAST_TO_ASK and not self.live:
                    self._ask(found, first, left - 1, now)
        if waiting and not self.live:
            self._unasked += left
            if self._unasked >= ASK_FRAMES and left:
                self._ask(found, len(found), 0, now)
        return found

    def played(self, payload: Mapping[str, Any]) -> bool:
        """Take Vonage's word that it played all that was before a mark; return whether apps may want to know."""
        if (place := self._asked.get(number := _number(payload, QUESTION))) is not None:
            # What was asked before it, and not answered, was dropped by `clear`.
            self._asked = {each: where for each, where in self._asked.items() if each > number}
            self.pacer.played(place, self._clock())
            if self.tracks is not None:
                self.tracks.answered(self.pacer.total - place)
        elif mark := self._marks.pop(_number(payload, "mark"), None):
            self.pacer.played(mark.place, self._clock())
            mark.settle(True)
        return QUESTION not in payload

    def cleared(self) -> None:
        """Take Vonage's word that it dropped what it had not played."""
        if self._clears:
            self._clears.popleft()
        if self._clears:
            return
        self._held_until = 0.0
        if self._clearing:
            self.pacer.cleared()
            if self.tracks is not None:
                self.tracks.cleared(self._clock())

    def _frame(self, item: bytes | Sound, now: float) -> bytes | None:
        """Take the next frame of ``item``, or None when it has ended; count where it will stand."""
        if isinstance(item, bytes):
            self.waiting.popleft()
            frame: bytes | memoryview = item
        elif (following := self._next(item)) is None:
            self.waiting.popleft()
            return None
        else:
            frame = following
        if self.tracks is not None:
            self.tracks.played(frame, self.pacer.unplayed(now), now)
        self.pacer.sent(1, now)
        self._clearing = False
        return frame if isinstance(frame, bytes) else bytes(frame)

    def _next(self, sound: Sound) -> bytes | memoryview | None:
        """Take the next frame of an app's sound; None when it has ended, or failed."""
        try:
            frame = next(sound, None)
        except Exception as error:
            self._problem(f"A sound failed: {type(error).__name__}: {error}")
            return None
        if frame is not None and len(frame) != self._size:
            # It would end the leg: Vonage closes the socket on any other size.
            self._problem(f"A sound failed: expected {self._size} bytes, got {len(frame)}")
            return None
        return frame

    def _ask(self, found: list[Outgoing], place: int, behind: int, now: float) -> None:
        """Ask Vonage how far it is: behind the first of many frames, and once a second while they last.

        The question stands at ``place`` among what is ``found``, and so many frames ``behind`` it.
        """
        self._unasked = 0
        if len(self._asked) >= MOST_ASKED:
            return
        number = next(self._questions)
        self._asked[number] = self.pacer.total - behind
        found.insert(place, notify({QUESTION: number}))
        if behind:
            self.pacer.asks(now)

    def _text(self, item: Mark | str, now: float) -> str:
        if isinstance(item, str):
            while self._clears and now - self._clears[0] > LOST_SECONDS:
                self._clears.popleft()
            self._clears.append(now)
            self._held_until = now + CLEARED_SECONDS
            self._clearing = True
            return item
        item.place = self.pacer.total
        self._marks[item.number] = item
        self._expect(item, now)
        return notify({"mark": item.number})

    def _expect(self, mark: Mark, now: float) -> None:
        """Count a mark as heard when Vonage should have said so a while ago."""
        latest = self.pacer.seconds_before(mark.place, now) + MARK_SECONDS
        asyncio.get_running_loop().call_later(latest, self._overdue, mark)

    def _overdue(self, mark: Mark) -> None:
        now = self._clock()
        if mark.number not in self._marks:
            return
        if self.pacer.seconds_before(mark.place, now) > 0:
            # What we know of Vonage's buffer has changed meanwhile.
            self._expect(mark, now)
        else:
            del self._marks[mark.number]
            mark.settle(True)


def _number(payload: Mapping[str, Any], name: str) -> int:
    number = payload.get(name)
    return number if isinstance(number, int) else 0
