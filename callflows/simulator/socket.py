"""Knows a WebSocket leg: from its handshake over frames, keys and commands to whoever ends it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from callflows.simulator.effects import Close, Closed, Heard, NotOpened, Opened, Received, Said, Send
from callflows.simulator.events import Leg
from callflows.simulator.scripts import Wait
from callflows.wire.platform import Platform, PlatformError

if TYPE_CHECKING:
    from callflows.simulator.call import Call

# `bad frame` and `time limit` are Vonage's own ends; the others are the application's.
Ending = Literal["closed", "bad frame", "time limit"]


@dataclass(eq=False, slots=True)
class Socket:
    """One WebSocket leg while it lasts."""

    leg: Leg
    platform: Platform
    action: Mapping[str, Any]
    inbox: deque[Opened | NotOpened | Received | Closed] = field(default_factory=deque)
    open: bool = False
    since: float = 0.0

    def press(self, call: Call, key: str) -> None:
        """Tell the application of a key."""
        if self.open:
            call.emit(Send(self.leg.uuid, self.platform.press(key)))

    def close(self, call: Call, *, abort: bool = False) -> None:
        """Vonage closes the socket; there is no farewell message."""
        self.open = False
        call.emit(Close(self.leg.uuid, abort))

    async def run(self, call: Call, limit: float) -> Ending:
        """Pass sound and messages until somebody ends it, at most ``limit`` seconds."""
        self.open, self.since = True, call.now
        end = self.since + limit
        call.emit(Send(self.leg.uuid, self.platform.open(call.now)))
        while call.now < end:
            self._pass(call, self.platform.advance(call.now))
            await Wait(min(self.platform.next_due, end), lambda: bool(self.inbox))
            while self.inbox:
                if ending := self._take(call, self.inbox.popleft()):
                    self.open = False
                    return ending
        self.close(call)
        return "time limit"

    def _take(self, call: Call, news: Opened | NotOpened | Received | Closed) -> Ending | None:
        match news:
            case Closed(_, code, reason):
                call.note("socket", f"closed by the application with {code} {reason}".strip(), "websocket")
                return "closed"
            case Received(_, message):
                return self._message(call, message)
        return None

    def _message(self, call: Call, message: str | bytes) -> Ending | None:
        if isinstance(message, str):
            call.note("socket", f"got {message[:200]}", "websocket")
        elif not self.platform.played + self.platform.unplayed:
            milliseconds = (call.now - self.since) * 1000
            call.note("socket", f"first sound from the application after {milliseconds:.0f} ms", "websocket")
        try:
            self._pass(call, self.platform.receive(message, call.now))
        except PlatformError as error:
            call.refuse(f"{error}: Vonage drops the leg", "websocket")
            self.close(call, abort=True)
            return "bad frame"
        return None

    def _pass(self, call: Call, messages: list[str | bytes]) -> None:
        for message in messages:
            call.emit(Send(self.leg.uuid, message))
            if isinstance(message, str):
                call.note("socket", f"sent {message[:200]}", "websocket")
            else:
                call.emit(Said(message, self.platform.fmt.rate))
        for pcm in self.platform.take_heard():
            call.emit(Heard(pcm, self.platform.fmt.rate, "socket"))
