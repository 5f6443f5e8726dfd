"""Knows what is at the end of a leg: a party who speaks and hears, or an audio socket."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from callflows.audio.format import FRAME_SECONDS
from callflows.simulator.effects import Close, Closed, Heard, NotOpened, Opened, Received, Said, Send
from callflows.simulator.legs import SPEECH_DBFS, Leg
from callflows.simulator.mixing import Clip, Frame, Live, Player, beep_clip, mixed
from callflows.simulator.sound import level
from callflows.wire.platform import Platform as Wire
from callflows.wire.platform import PlatformError

if TYPE_CHECKING:
    pass

# A tick and the socket's own schedule are the same moment, whatever their sums of floats say.
_SLACK = 1e-6

# `bad frame` and `time limit` are Vonage's own ends; the others are the application's.
Ending = Literal["closed", "bad frame", "time limit", "hung up"]


@dataclass(eq=False, slots=True)
class PartyLine:
    """A person or a machine at a leg's end. ``said`` holds the texts of what was said, with its moment."""

    leg: Leg
    said: list[tuple[float, str]] = field(default_factory=list)
    loud_at: float = -math.inf
    beeps: int = 0
    _recognised: int = 0
    _beep_at: float = -math.inf
    _mouth: deque[Player] = field(default_factory=deque)
    _live: deque[Frame] = field(default_factory=deque)
    _microphone: Live | None = None

    @property
    def busy(self) -> bool:
        return bool(self._mouth or self._live)

    def speak(self, clip: Clip, text: str, now: float) -> None:
        """Say something, after what is being said."""
        self._mouth.append(Player(self.leg.kind, clip))
        if text:
            self.said.append((now, text))
        if self.leg.room is not None:
            self.leg.room.wake()

    def recognise(self) -> list[str]:
        """Return the texts that were said since this was last asked."""
        new = [text for _, text in self.said[self._recognised :]]
        self._recognised = len(self.said)
        return new

    def beep(self, now: float) -> None:
        """Give the beep of an answering machine, over what is being said."""
        self._mouth.clear()
        self.speak(beep_clip(), "", now)

    def spoke(self, pcm: bytes, rate: int) -> None:
        """Take 20 ms of live speech."""
        if self._microphone is None or self._microphone.rate != rate:
            self._microphone = Live(self.leg.kind, rate)
        self._live.append(self._microphone.frame(pcm))
        if self.leg.room is not None:
            self.leg.room.wake()

    def say(self, now: float) -> Frame | None:
        if self._live:
            return self._live.popleft()
        while self._mouth:
            if (frame := self._mouth[0].next()) is not None:
                return frame
            self._mouth.popleft()
        return None

    def hear(self, frames: list[Frame], now: float) -> None:
        if not frames:
            return
        rate = max(frame.rate for frame in frames)
        pcm = mixed(frames, rate)
        source = frames[0].name if len(frames) == 1 else "mix"
        if any(frame.name == "beep" for frame in frames):
            self.beeps += now - self._beep_at > 2 * FRAME_SECONDS
            self._beep_at = now
        if level(pcm) > SPEECH_DBFS:
            self.loud_at = now
        self.leg.call.emit(Heard(pcm, rate, source, self.leg.uuid, now))

    def press(self, digit: str) -> None:
        self.leg.call.note("dtmf", digit, self.leg)

    def close(self) -> None:
        self._mouth.clear()
        self._live.clear()


@dataclass(eq=False)
class SocketLine:
    """An audio socket at a leg's end: from its handshake over frames, keys and commands to whoever ends it."""

    leg: Leg
    wire: Wire = field(init=False)
    make: Callable[[Iterator[bytes]], Wire]
    dtx: bool = False
    inbox: deque[Opened | NotOpened | Received | Closed] = field(default_factory=deque)
    open: bool = False
    ending: Ending | None = None
    # Why it could not be opened.
    trouble: str = ""

    def __post_init__(self) -> None:
        self.wire = self.make(self._hears())
        self.since = 0.0
        self._greeted = False
        self._incoming: deque[bytes] = deque()
        self._outgoing: deque[bytes] = deque()
        self._live = Live("socket", self.wire.fmt.rate)

    @property
    def busy(self) -> bool:
        return self.open

    def start(self, now: float) -> None:
        """The handshake has succeeded: the first message leaves with the room's next tick, frames follow."""
        self.open, self.since = True, now

    def say(self, now: float) -> Frame | None:
        return self._live.frame(self._outgoing.popleft()) if self._outgoing else None

    def hear(self, frames: list[Frame], now: float) -> None:
        if not self.open:
            return
        if not self._greeted:
            self._greeted = True
            self._send(self.wire.open(now))
        if frames:
            self._incoming.append(mixed(frames, self.wire.fmt.rate))
        self._pass(self.wire.advance(now + _SLACK))

    def take(self) -> None:
        """Take what the application sent, until it ends the socket."""
        while self.inbox and self.ending is None:
            match self.inbox.popleft():
                case Closed(_, code, reason):
                    self._note(f"closed by the application with {code} {reason}".strip())
                    self.open, self.ending = False, "closed"
                case Received(_, message):
                    self._message(message)

    def press(self, digit: str) -> None:
        if self.open:
            self._send(self.wire.press(digit))

    def close(self, *, abort: bool = False) -> None:
        """Vonage closes the socket; there is no farewell message."""
        if self.open or self.ending is None:
            self.open = False
            self.leg.call.emit(Close(self.leg.uuid, abort))

    def _hears(self) -> Iterator[bytes]:
        """Yield what its members say for the wire, one frame each 20 ms."""
        while True:
            yield self._incoming.popleft() if self._incoming else self.wire.fmt.silence

    def _message(self, message: str | bytes) -> None:
        call, now = self.leg.call, self.leg.call.now
        if isinstance(message, str):
            self._note(f"got {message[:200]}")
        elif not self.wire.played + self.wire.unplayed:
            self._note(f"first sound from the application after {(now - self.since) * 1000:.0f} ms")
        bad = self.wire.bad
        try:
            self._pass(self.wire.receive(message, now))
            if self.wire.bad > bad:
                expected = self.wire.fmt.frame_bytes
                self._note(f"got {len(message)} bytes of audio instead of {expected}: they are taken for a frame")
        except PlatformError as error:
            call.refuse(f"{error}: Vonage drops the leg", self.leg)
            self.close(abort=True)
            self.ending = "bad frame"

    def _pass(self, messages: list[str | bytes]) -> None:
        for message in messages:
            if isinstance(message, str):
                self._send(message)
                self._note(f"sent {message[:200]}")
            elif not self.dtx or any(message):
                self._send(message)
                self.leg.call.emit(Said(message, self.wire.fmt.rate, self.leg.uuid, self.leg.call.now))
        self._outgoing += self.wire.take_heard()

    def _send(self, message: str | bytes) -> None:
        self.leg.call.emit(Send(self.leg.uuid, message))

    def _note(self, text: str) -> None:
        self.leg.call.note("socket", text, self.leg)
