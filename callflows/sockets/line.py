"""Knows one open audio socket as a socket app sees it: what is heard, what is played, and what is worth noting."""

from __future__ import annotations

import asyncio
import json
import math
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from callflows.audio.format import FRAME_SECONDS, FRAMES_PER_SECOND, Format
from callflows.audio.framer import frames
from callflows.audio.lag import Lag
from callflows.audio.pacer import Pacer
from callflows.audio.recording import TwoTracks
from callflows.sockets.outbox import Mark, Outbox, Outgoing
from callflows.wire.events import Audio, Cleared, Digit, Event, Played, Rubbish, Unknown

__all__ = ["Events", "Line", "Mark", "Note", "Outgoing"]

# Frames come at most so much faster than 50 a second (clocks), after a hang in the network so many seconds of them at
# once, and so many seconds of them too early. What comes beyond that is a flood, and would be kept for an echo.
FASTEST = 0.995
MOST_LATE = 30.0
MOST_EARLY = 1.0
# Seconds without any frame that are worth a word on the timeline.
QUIET_SECONDS = 2.0
# What Vonage says stands on the timeline: so much at once, and then one each second; the rest is counted.
NOTES_AT_ONCE = 100
# Notes that wait to be written: a database that hangs for long must not take the memory.
MOST_NOTES = 1000
# Characters of an unknown message that are worth keeping.
MESSAGE_CHARACTERS = 2000
# The close codes of a connection that went away without a word.
LOST = (0, 1006)
# How often at most the timeline tells again of what is dropped.
REPORT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Note:
    """Something for the call's timeline."""

    kind: str
    text: str
    name: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


# What is counted, and how the timeline tells of it.
DROPS = {
    "dropped_in": "The app was too slow: {} of the oldest messages and frames were dropped",
    "dropped_out": "Vonage did not read fast enough: {} frames were dropped",
    "flood": "More than 50 frames a second came: {} of them were dropped",
    "bad": "{} messages were none of Vonage's",
    "unnoted": "Too much to note: {} more messages came",
}


class Events:
    """What comes in on a line, to be iterated over: it never ends by itself.

    A class and no generator: a compiler of Python such as mypyc knows no asynchronous generators.
    """

    __slots__ = ("_line",)

    def __init__(self, line: Line) -> None:
        self._line = line

    def __aiter__(self) -> Events:
        return self

    async def __anext__(self) -> Event:
        return await self._line.event()


class Line:
    """One audio socket. Socket apps call its methods; the transport hands in events and takes what is due.

    ``on_audio`` is called with each incoming frame, without a task switch: 50 times a second and call, so it must be
    quick. Apps that need no hurry iterate over ``events()`` instead.
    """

    # With 600 calls a frame waits for memory more than for the processor: slots take a fifth of its time away.
    # fmt: off
    __slots__ = (
        "_counted", "_hearing", "_inbox", "_inbox_most", "_last", "_listening", "_news", "_next_frame",
        "_next_note", "_out", "_reason", "_report_again", "_reported", "_size", "_sound", "clears", "clock", "due",
        "fmt", "headers", "lag", "notes", "on_audio", "outgoing", "recording", "settings", "wake",
    )
    # fmt: on

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
        lag: Lag | None = None,
    ) -> None:
        self.fmt = fmt
        self.headers = headers or {}
        self.settings = settings or {}
        self.recording = recording
        self._counted: Counter[str] = Counter()
        self.notes: list[Note] = []
        self.on_audio: Callable[[bytes], object] | None = None
        self.wake: Callable[[], object] = lambda: None
        # How often what waits was dropped: what the transport took before that is old.
        self.clears = 0
        self.clock = clock or asyncio.get_running_loop().time
        # How late the loop runs in which all this happens, where somebody watches it.
        self.lag = lag
        self._sound = sound
        self._size = fmt.frame_bytes
        self._out = Outbox(fmt, lead, clock=self.clock, problem=self._sound_failed)
        # What waits to be sent, and what may leave now: for the transport, which asks with each frame.
        self.outgoing = self._out.waiting
        self.due: Callable[[], list[Outgoing]] = self._out.due
        self._inbox: deque[Event] = deque()
        self._inbox_most = max(1, int(inbox_seconds * FRAMES_PER_SECOND))
        self._news = asyncio.Event()
        self._listening = False
        self._hearing = False
        # When the last frame came, when the next is due at the earliest, and when the next note.
        self._last = self._next_frame = self._next_note = -math.inf
        self._reported: Counter[str] = Counter()
        self._report_again = -math.inf
        self._reason = ""

    @property
    def pacer(self) -> Pacer:
        return self._out.pacer

    @property
    def figures(self) -> Counter[str]:
        """What was counted so far. The frames that were heard and sent are the pacer's: each is counted once."""
        for name, count in (("frames_in", self.pacer.came), ("frames_out", self.pacer.total)):
            if count:
                self._counted[name] = count
        return self._counted

    @property
    def tracks(self) -> TwoTracks | None:
        """The recording of both parties while there is one."""
        return self._out.tracks

    @tracks.setter
    def tracks(self, tracks: TwoTracks | None) -> None:
        self._out.tracks = tracks

    # What apps do.

    def play(self, sound: bytes | memoryview | Iterable[bytes | memoryview]) -> None:
        """Play sound after what waits already: L16 bytes of any length, or an iterable of whole frames.

        An iterable is read only as fast as it is played, so it may be endless. One that raises, or yields a frame of
        another size, ends there; the timeline says so.
        """
        if isinstance(sound, bytes) and len(sound) == self._size:
            self.outgoing.append(sound)
        else:
            self.outgoing.append(frames(sound, self.fmt) if isinstance(sound, (bytes, memoryview)) else iter(sound))
        self._out.live = self._hearing
        if not self._hearing:
            self.wake()

    async def sound(self, version: int) -> memoryview:
        """Return a prompt's version as L16 at the line's rate."""
        if self._sound is None:
            raise LookupError("this line has no prompts")
        return await self._sound(version)

    def mark(self) -> Mark:
        """Mark the end of what was given to ``play`` so far: ``await mark.heard``."""
        mark = self._out.mark()
        self.wake()
        return mark

    def clear(self) -> None:
        """Stop what plays, at once: drop what waits here and have Vonage drop what waits there."""
        self._out.clear()
        self.clears += 1
        self.wake()

    def note(self, kind: str, text: str, name: str = "", **data: Any) -> None:
        """Have something stand on the call's timeline."""
        if len(self.notes) < MOST_NOTES:
            self.notes.append(Note(kind, text, name, data))
        else:
            self._counted["unnoted"] += 1

    def events(self) -> Events:
        """Iterate over what comes in, in order: keys also from before, frames from now on.

        An app that is too slow loses the oldest; they are counted.
        """
        self._listening = True
        return Events(self)

    async def event(self) -> Event:
        """Wait for the next that comes in, or take one that came before."""
        while not self._inbox:
            self._news.clear()
            await self._news.wait()
        return self._inbox.popleft()

    async def key(self) -> str:
        """Wait for the next key, or take one that was pressed before; frames wake nobody."""
        while True:
            if isinstance(event := await self.event(), Digit):
                return event.digit

    def forget(self) -> None:
        """Drop what came in and was not taken yet: keys pressed ahead, say."""
        self._inbox.clear()

    # What the transport does.

    def hear(self, event: Event) -> None:
        """Take in one event."""
        if isinstance(event, Audio):
            self.hear_audio(event.pcm)
        else:
            self._hear_text(event)

    def silent(self) -> None:
        """Take in a frame of a wrong size: silence in its place, so that time goes on."""
        self.hear_audio(self.fmt.silence)

    def hear_audio(self, pcm: bytes) -> None:
        """Take in one whole frame. The hot path: 50 times a second."""
        now = self.clock()
        if self._is_flood(now):
            self._counted["flood"] += 1
            return
        out = self._out
        out.pacer.heard(now)
        if out.tracks is not None:
            out.tracks.heard(pcm, now)
        if self.on_audio is not None:
            self._hearing = True
            try:
                self.on_audio(pcm)
            finally:
                self._hearing = False
        if self._listening:
            self._arrive(Audio(pcm))

    def _is_flood(self, now: float) -> bool:
        """Whether this frame is beyond what a network that hung, and went on, could bring; tell of long silences."""
        due = max(self._next_frame, now - MOST_LATE) + FASTEST * FRAME_SECONDS
        if due > now + MOST_EARLY:
            return True
        self._next_frame = due
        if now - self._last > QUIET_SECONDS and self._last > -math.inf:
            self._tell(Note("socket", f"No sound came from Vonage for {now - self._last:.1f} s", "quiet"))
        self._last = now
        return False

    def _hear_text(self, event: Event) -> None:
        match event:
            case Digit(digit, duration):
                self._tell(Note("digit", f"Key {digit}", digit, {"duration": duration}))
            case Played(payload):
                if not self._out.played(payload):
                    return
            case Cleared():
                self._out.cleared()
                self.wake()
            case Unknown(name, message):
                self._tell(Note("socket", f"Unknown message {name}", name[:50], {"message": _short(message)}))
            case Rubbish(reason):
                self._counted["bad"] += 1
                self._reason = reason
        self._arrive(event)

    def _tell(self, note: Note) -> None:
        """Note what came from outside, but no floods."""
        now = self.clock()
        due = max(self._next_note, now - NOTES_AT_ONCE) + 1
        if due > now or len(self.notes) >= MOST_NOTES:
            self._counted["unnoted"] += 1
        else:
            self._next_note = due
            self.notes.append(note)

    def _arrive(self, event: Event) -> None:
        if len(self._inbox) >= self._inbox_most:
            self._inbox.popleft()
            self._counted["dropped_in"] += 1
        self._inbox.append(event)
        self._news.set()

    def report(self, dropped_out: int = 0, final: bool = False) -> None:
        """Note what was dropped or refused since the last time; every half minute at most, but at the end.

        ``dropped_out`` is how many frames the transport dropped so far, because Vonage did not read them.
        """
        now = self.clock()
        self._counted["dropped_out"] = dropped_out
        news = {each: self._counted[each] - self._reported[each] for each in DROPS}
        if not any(news.values()) or (now < self._report_again and not final):
            return
        self._report_again = now + REPORT_SECONDS
        for name, count in news.items():
            if count and (name != "dropped_in" or self._listening):
                why = {"reason": self._reason} if name == "bad" and self._reason else {}
                # Past the limit of waiting notes: that notes were lost has to be told.
                self.notes.append(Note("problem", DROPS[name].format(count), name, {"count": count, **why}))
            self._reported[name] = self._counted[name]

    def _sound_failed(self, text: str) -> None:
        self.note("problem", text, "sound")

    def closed(self, code: int, ended: str = "") -> None:
        """Note an end that was not ours; ``ended`` is why the server ended the connection."""
        if ended:
            self.note("problem", f"The connection was ended: {ended}", "closed", code=code)
        elif code in LOST:
            self.note("socket", "The connection broke", "closed", code=code)
        else:
            self.note("socket", "Closed by Vonage", "closed", code=code)

    @property
    def waiting(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self.outgoing)

    def wait(self) -> float:
        """Return the seconds after which it is worth asking for ``due`` again."""
        return self._out.wait()


def _short(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message as it may stand on the timeline."""
    text = json.dumps(message)
    return dict(message) if len(text) <= MESSAGE_CHARACTERS else {"begins": text[:MESSAGE_CHARACTERS]}
