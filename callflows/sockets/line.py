"""Knows one open audio socket as a socket app sees it: what is heard, what is played, and what is worth noting."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from callflows.audio.format import FRAME_SECONDS, FRAMES_PER_SECOND, Format
from callflows.audio.framer import frames
from callflows.audio.pacer import Pacer
from callflows.audio.recording import TwoTracks
from callflows.wire.connection import CLEAR, notify
from callflows.wire.events import Audio, Cleared, Digit, Event, Played, Rubbish, Unknown

# How long new audio waits for `cleared`: without it, Vonage's buffer runs down by the clock.
CLEARED_SECONDS = 0.5
# How much later than the modelled end of the audio a mark counts as heard when Vonage does not say so.
MARK_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Note:
    """Something for the call's timeline."""

    kind: str
    text: str
    name: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(eq=False, slots=True)
class Mark:
    """A place in what we play. ``heard`` becomes True when all before it was played, False when it was cleared."""

    number: int
    heard: asyncio.Future[bool]

    def settle(self, heard: bool) -> None:
        if not self.heard.done():
            self.heard.set_result(heard)


Sound = Iterator[bytes | memoryview]
Outgoing = bytes | str


class Line:
    """One audio socket. Socket apps call its methods; the transport hands in events and takes what is due.

    ``on_audio`` is called with each incoming frame, without a task switch: 50 times a second and call, so it must be
    quick. Apps that need no hurry iterate over ``events()`` instead.
    """

    def __init__(
        self,
        fmt: Format,
        *,
        headers: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        sound: Callable[[int], Awaitable[memoryview]] | None = None,
        recording: Path | None = None,
        lead: int = 50,
        inbox_seconds: float = 5.0,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.fmt = fmt
        self.headers = headers or {}
        self.settings = settings or {}
        self.recording = recording
        self.pacer = Pacer(lead)
        self.tracks: TwoTracks | None = None
        self.figures: Counter[str] = Counter()
        self.notes: list[Note] = []
        self.on_audio: Callable[[bytes], object] | None = None
        self.wake: Callable[[], object] = lambda: None
        self._sound = sound
        self._clock = clock or asyncio.get_running_loop().time
        self._outbox: deque[Sound | bytes | Mark | str] = deque()
        self._inbox: deque[Event] = deque()
        self._inbox_most = max(1, int(inbox_seconds * FRAMES_PER_SECOND))
        self._news = asyncio.Event()
        self._listening = False
        self._hearing = False
        self._held_until = 0.0
        # Whether `cleared` would mean all that we sent: one that comes after new audio left says nothing of that.
        self._clearing = False
        self._marks: dict[int, Mark] = {}
        self._numbers = itertools.count(1)

    # What apps do.

    def play(self, sound: bytes | memoryview | Iterable[bytes | memoryview]) -> None:
        """Play sound after what waits already: L16 bytes of any length, or an iterable of whole frames.

        An iterable is read only as fast as it is played, so it may be endless. One that raises, or yields a frame of
        another size, ends there; the timeline says so.
        """
        if isinstance(sound, bytes) and len(sound) == self.fmt.frame_bytes:
            self._outbox.append(sound)
        else:
            self._outbox.append(frames(sound, self.fmt) if isinstance(sound, (bytes, memoryview)) else iter(sound))
        if not self._hearing:
            self.wake()

    async def sound(self, version: int) -> memoryview:
        """Return a prompt's version as L16 at the line's rate."""
        if self._sound is None:
            raise LookupError("this line has no prompts")
        return await self._sound(version)

    def mark(self) -> Mark:
        """Mark the end of what was given to ``play`` so far: ``await mark.heard``."""
        mark = Mark(next(self._numbers), asyncio.get_running_loop().create_future())
        self._outbox.append(mark)
        self.wake()
        return mark

    def clear(self) -> None:
        """Stop what plays, at once: drop what waits here and have Vonage drop what waits there."""
        for item in self._outbox:
            if isinstance(item, Mark):
                item.settle(False)
        self._outbox.clear()
        for mark in self._marks.values():
            mark.settle(False)
        self._marks.clear()
        if self.pacer.unplayed(self._clock()) > 0:
            self._outbox.append(CLEAR)
        self.wake()

    def note(self, kind: str, text: str, name: str = "", **data: Any) -> None:
        """Have something stand on the call's timeline."""
        self.notes.append(Note(kind, text, name, data))

    async def events(self) -> AsyncIterator[Event]:
        """Yield what comes in, in order: keys also from before, frames from now on.

        An app that is too slow loses the oldest; they are counted.
        """
        self._listening = True
        while True:
            while self._inbox:
                yield self._inbox.popleft()
            self._news.clear()
            await self._news.wait()

    def forget(self) -> None:
        """Drop what came in and was not taken yet: keys pressed ahead, say."""
        self._inbox.clear()

    # What the transport does.

    def hear(self, event: Event) -> None:
        """Take in one event. The hot path: 50 frames a second."""
        if isinstance(event, Audio):
            self._hear_audio(event)
        else:
            self._hear_text(event)

    def _hear_audio(self, event: Audio) -> None:
        now = self._clock()
        self.figures["frames_in"] += 1
        self.pacer.heard(now)
        if self.tracks is not None:
            self.tracks.heard(event.pcm, now)
        if self.on_audio is not None:
            self._hearing = True
            try:
                self.on_audio(event.pcm)
            finally:
                self._hearing = False
        if self._listening:
            self._arrive(event)

    def silent(self) -> None:
        """Take in a frame of a wrong size: silence in its place, so that time goes on."""
        self._hear_audio(Audio(self.fmt.silence))

    def _hear_text(self, event: Event) -> None:
        match event:
            case Digit(digit, duration):
                self.note("digit", f"Key {digit}", digit, duration=duration)
            case Played(payload):
                self._heard(_number(payload))
            case Cleared():
                self._cleared()
            case Unknown(name, message):
                self.note("socket", f"Unknown message {name}", name[:50], message=dict(message))
            case Rubbish():
                self.figures["bad"] += 1
        self._arrive(event)

    def _heard(self, number: int) -> None:
        if mark := self._marks.pop(number, None):
            mark.settle(True)

    def _cleared(self) -> None:
        self._held_until = 0.0
        if self._clearing:
            self.pacer.cleared()
            if self.tracks is not None:
                self.tracks.cleared(self._clock())
        self.wake()

    def _arrive(self, event: Event) -> None:
        if len(self._inbox) >= self._inbox_most:
            self._inbox.popleft()
            self.figures["dropped_in"] += 1
        self._inbox.append(event)
        self._news.set()

    @property
    def waiting(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self._outbox)

    def wait(self) -> float:
        """Return the seconds after which it is worth asking for ``due`` again."""
        now = self._clock()
        return max(self.pacer.wait(now), self._held_until - now, 0.0)

    def due(self) -> list[Outgoing]:
        """Return the messages that may leave now, in order: whole frames, marks and clear."""
        now = self._clock()
        found: list[Outgoing] = []
        if now < self._held_until:
            return found
        room = self.pacer.room(now)
        while self._outbox:
            item = self._outbox[0]
            if isinstance(item, (Mark, str)):
                self._outbox.popleft()
                found.append(self._text(item, now))
                if item == CLEAR:
                    break
            elif room <= 0:
                break
            elif (frame := self._frame(item, now)) is not None:
                room -= 1
                found.append(frame)
        return found

    def _frame(self, item: Sound | bytes, now: float) -> bytes | None:
        """Take the next frame of ``item``, or None when it has ended; count where it will stand."""
        if isinstance(item, bytes):
            self._outbox.popleft()
            frame: bytes | memoryview = item
        elif (following := self._next(item)) is None:
            self._outbox.popleft()
            return None
        else:
            frame = following
        if self.tracks is not None:
            self.tracks.played(frame, self.pacer.unplayed(now), now)
        self.pacer.sent(1, now)
        self._clearing = False
        self.figures["frames_out"] += 1
        return frame if isinstance(frame, bytes) else bytes(frame)

    def _next(self, sound: Sound) -> bytes | memoryview | None:
        """Take the next frame of an app's sound; None when it has ended, or failed."""
        try:
            frame = next(sound, None)
        except Exception as error:
            self.note("problem", f"A sound failed: {type(error).__name__}: {error}", "sound")
            return None
        if frame is not None and len(frame) != self.fmt.frame_bytes:
            # It would end the leg: Vonage closes the socket on any other size.
            self.note("problem", f"A sound failed: expected {self.fmt.frame_bytes} bytes, got {len(frame)}", "sound")
            return None
        return frame

    def _text(self, item: Mark | str, now: float) -> str:
        if isinstance(item, str):
            self._held_until = now + CLEARED_SECONDS
            self._clearing = True
            return item
        self._marks[item.number] = item
        latest = self.pacer.unplayed(now) * FRAME_SECONDS + MARK_SECONDS
        asyncio.get_running_loop().call_later(latest, self._heard, item.number)
        return notify({"mark": item.number})


def _number(payload: Mapping[str, Any]) -> int:
    number = payload.get("mark")
    return number if isinstance(number, int) else 0
