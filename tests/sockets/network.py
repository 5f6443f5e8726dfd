"""Knows a line and Vonage on another machine, with a network between them, in time that costs nothing."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from callflows.audio.format import Format
from callflows.sockets.line import Line
from callflows.wire.connection import Connection
from callflows.wire.platform import Knobs, Platform
from callflows.wire.remote import Remote

FMT = Format(8000)
# How often the transport looks when nothing comes in, as the consumer's does.
LOOKS = 0.1


class Network:
    """Passes messages between a line and a `Remote`, in order, each ``delay`` seconds on its way.

    ``knobs`` are the platform's. ``on_frame`` is called with the time whenever Vonage plays a frame of ours.
    """

    def __init__(
        self,
        *,
        lead: int = 50,
        delay: float = 0.01,
        knobs: Knobs | None = None,
        voice: Iterable[bytes] = (),
        mute: bool = False,
        **remote: float,
    ) -> None:
        self.now = 0.0
        self.line = Line(FMT, lead=lead, clock=lambda: self.now)
        self.platform = Platform(FMT, {}, iter(voice), knobs or Knobs())
        self.remote = Remote(self.platform, **remote)
        self.connection = Connection()
        self.delay = delay
        # Whether Vonage answers no command.
        self.mute = mute
        self.on_frame: Callable[[bytes], object] = lambda frame: None
        self.on_sent: Callable[[str | bytes], object] = lambda message: None
        # The last texts that we sent.
        self.sent: deque[str] = deque(maxlen=100)
        self._coming: list[tuple[float, int, bool, str | bytes]] = []
        self._order = itertools.count()
        self.connection.receive(self.remote.open(0.0))

    def run(self, until: float) -> None:
        """Let time pass up to a moment."""
        while True:
            self._send()
            coming = self._coming[0][0] if self._coming else math.inf
            looks = self.now + max(1e-4, min(self.line.wait(), LOOKS)) if self.line.waiting else math.inf
            following = max(self.now, min(coming, self.remote.next_due, looks))
            if following > until:
                self.now = until
                return
            self.now = following
            self._turn()

    def press(self, digit: str) -> None:
        self._told([self.platform.press(digit)])

    def _turn(self) -> None:
        self._told(self.remote.advance(self.now))
        while self._coming and self._coming[0][0] <= self.now:
            _, _, to_us, message = heapq.heappop(self._coming)
            if to_us:
                self.line.hear(self.connection.receive(message))
                self._send()
            else:
                self._told(self.remote.arrive(message, self.now))
        for frame in self.platform.take_heard():
            self.on_frame(frame)

    def _send(self) -> None:
        for message in self.line.due():
            if isinstance(message, str):
                self.sent.append(message)
            self.on_sent(message)
            self._pass(False, message)

    def _told(self, messages: list[Any]) -> None:
        for message in messages:
            if isinstance(message, bytes) or not self.mute:
                self._pass(True, message)

    def _pass(self, to_us: bool, message: str | bytes) -> None:
        heapq.heappush(self._coming, (self.now + self.delay, next(self._order), to_us, message))
