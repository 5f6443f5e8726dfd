"""Knows Vonage's end of one audio socket: what it sends, what it does with what it gets, and when."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from callflows.audio.format import FRAME_SECONDS, Format

# Sound that stops and goes on within this time was interrupted; after longer the application chose to pause.
PAUSE_SECONDS = 1.0
KEY_MILLISECONDS = 260
_NEVER = math.inf


class PlatformError(ValueError):
    """A message for which Vonage ends the leg; the application sees close code 1006."""


@dataclass(frozen=True, slots=True)
class Knobs:
    """What nobody documents about Vonage's end; the defaults are the likeliest answers.

    ``bad_frame`` says what a message of a wrong size does: ``close`` the leg, be cut or filled (``pad``), or be filled
    at the ``edges``, before any audio and after the last, and close the leg in mid-stream or when it is too long.
    ``buffer`` counts frames: 3072 (60 s) since 2026, 1024 before; of what is beyond it the newest frame, or the
    oldest, is dropped and counted (``overflow``).
    ``prebuffer`` counts the frames that wait before sound starts: without a phone's jitter buffer every echo
    would be interrupted by the jitter of its own round trip. ``clear_seconds`` is how long it takes to carry a
    ``clear`` out; what comes meanwhile is dropped with the rest.
    """

    connected_form: Literal["new", "old"] = "new"
    buffer: int = 3072
    clear: Literal["works", "ignored"] = "works"
    clear_seconds: float = 0.0
    clear_fires_notify: bool = False
    bad_frame: Literal["edges", "close", "pad"] = "edges"
    prebuffer: int = 3
    overflow: Literal["newest", "oldest"] = "newest"


class Platform:
    """One audio socket from its opening on; times are seconds on any clock that never goes back.

    ``voice`` gives what the other parties say, one frame each 20 ms; after its end they are silent. What is to be
    sent comes out of `open`, `advance`, `receive` and `press`: text as str, audio as bytes.
    Counts: ``played`` frames, ``lost`` frames (due in the middle of sound, or dropped by the full buffer),
    ``bad`` frames (wrong size), ``ignored`` texts (unknown or malformed).
    """

    def __init__(
        self, fmt: Format, headers: Mapping[str, Any], voice: Iterator[bytes], knobs: Knobs | None = None
    ) -> None:
        self.fmt = fmt
        self.headers = headers
        self.voice = voice
        self.knobs = knobs or Knobs()
        self.played = self.lost = self.bad = self.ignored = self.unplayed = 0
        # In order: frames to play (bytes), and notifies (str) that fire when all before them was played.
        self._queue: deque[bytes | str] = deque()
        self._heard: list[bytes] = []
        self._opened = 0.0
        self._said = 0
        self._say_due = _NEVER
        self._started = 0.0
        self._step = 0
        # Bytes of a short message in sound that goes on: it may be the last one; 0: there was none.
        self._short = 0
        self._heard_any = False
        self._play_due = _NEVER
        self._dry_since = -_NEVER
        self._clears_due: deque[float] = deque()

    def open(self, now: float) -> str:
        """Start the clock and return the first message; the first frame is due at once."""
        self._opened = self._say_due = now
        return _json(first_message(self.fmt, self.headers, self.knobs.connected_form))

    @property
    def next_due(self) -> float:
        """When `advance` has something to do: the next frame to send or to play, or a clear to carry out."""
        return min(self._say_due, self._play_due, self._clears_due[0] if self._clears_due else _NEVER)

    @property
    def held(self) -> int:
        """How many frames were not played to their end: those that wait, and the one that is being played."""
        return self.unplayed + (self._step > 0 and self._play_due != _NEVER)

    def advance(self, now: float) -> list[str | bytes]:
        """Send and play all that is due until ``now``, in the order of their deadlines.

        Deadlines are absolute: whoever calls late gets the frames that he missed, and no drift.
        """
        out: list[str | bytes] = []
        while (due := self.next_due) <= now:
            if self._clears_due and self._clears_due[0] == due:
                self._clears_due.popleft()
                out += self._clear()
            elif self._play_due <= self._say_due:
                out += self._play()
            else:
                out.append(self._say())
        return out

    def receive(self, message: str | bytes, now: float) -> list[str | bytes]:
        """Take a message of the application's; raises PlatformError for a frame of the wrong size."""
        out = self.advance(now)
        if isinstance(message, str):
            return out + self._command(message, now)
        self._frame(message, now)
        return out

    def press(self, digit: str, milliseconds: int = KEY_MILLISECONDS) -> str:
        """Return the message that tells the application of a key."""
        return _json({"event": "websocket:dtmf", "digit": digit, "duration": milliseconds})

    def take_heard(self) -> list[bytes]:
        """Return the frames that were played since the last call, in order."""
        heard, self._heard = self._heard, []
        return heard

    def _say(self) -> bytes:
        self._said += 1
        self._say_due = self._opened + self._said * FRAME_SECONDS
        return next(self.voice, self.fmt.silence)

    def _play(self) -> list[str | bytes]:
        fired = self._reached()
        if not self._queue:
            self._dry_since, self._play_due = self._play_due, _NEVER
            # A short message was the last one.
            self._short = 0
            return fired
        frame = self._queue.popleft()
        assert isinstance(frame, bytes)
        self._heard.append(frame)
        self.unplayed -= 1
        self.played += 1
        self._step += 1
        self._play_due = self._started + self._step * FRAME_SECONDS
        return fired

    def _reached(self) -> list[str | bytes]:
        """Notifies at the head of the queue: everything before them was played to its end."""
        fired: list[str | bytes] = []
        while self._queue and isinstance(self._queue[0], str):
            fired.append(self._queue.popleft())
        return fired

    def _frame(self, pcm: bytes, now: float) -> None:
        if self._short:
            raise PlatformError(f"expected {self.fmt.frame_bytes} bytes of audio in mid-stream, got {self._short}")
        if len(pcm) != self.fmt.frame_bytes:
            pcm = self._fitted(pcm)
        self._heard_any = True
        if self.unplayed >= self.knobs.buffer:
            self.lost += 1
            if self.knobs.overflow == "newest":
                return
            self._queue.remove(next(each for each in self._queue if isinstance(each, bytes)))
            self.unplayed -= 1
        self._queue.append(pcm)
        self.unplayed += 1
        if self._play_due == _NEVER:
            self._start(now)

    def _fitted(self, pcm: bytes) -> bytes:
        """Return a message of a wrong size as a frame."""
        size, rule = self.fmt.frame_bytes, self.knobs.bad_frame
        self.bad += 1
        if rule == "close" or (rule == "edges" and len(pcm) > size):
            raise PlatformError(f"expected {size} bytes of audio, got {len(pcm)}")
        if rule == "edges" and self._heard_any:
            self._short = len(pcm)
        return pcm[:size].ljust(size, b"\0")

    def _start(self, now: float) -> None:
        """After an underrun the schedule starts anew; there is no catching up."""
        late = now - self._dry_since
        if late < PAUSE_SECONDS:
            self.lost += math.ceil(late / FRAME_SECONDS)
        self._started = self._play_due = now + self.knobs.prebuffer * FRAME_SECONDS
        self._step = 0

    def _command(self, text: str, now: float) -> list[str | bytes]:
        match _parsed(text):
            case {"action": "clear"} if self.knobs.clear == "works":
                self._clears_due.append(now + self.knobs.clear_seconds)
                return self.advance(now)
            case {"action": "notify", "payload": dict() as payload}:
                return self._notify(_json({"event": "websocket:notify", "payload": payload}))
        self.ignored += 1
        return []

    def _notify(self, message: str) -> list[str | bytes]:
        if self._play_due == _NEVER:
            return [message]
        self._queue.append(message)
        return []

    def _clear(self) -> list[str | bytes]:
        pending: list[str | bytes] = [each for each in self._queue if isinstance(each, str)]
        self._queue.clear()
        self.unplayed = self._short = 0
        self._play_due, self._dry_since = _NEVER, -_NEVER
        return [*(pending if self.knobs.clear_fires_notify else []), _json({"event": "websocket:cleared"})]


def first_message(fmt: Format, headers: Mapping[str, Any], form: Literal["new", "old"] = "new") -> dict[str, Any]:
    """Return the message that opens every socket; Vonage's own members win over headers of the same name."""
    own = {"event": "websocket:connected"} if form == "new" else {}
    own["content-type"] = fmt.content_type
    return {**own, **{key: value for key, value in headers.items() if key not in own}}


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _json(message: Mapping[str, Any]) -> str:
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False)
