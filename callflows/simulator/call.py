"""Knows one inbound call as Vonage runs it: its legs, its script, its webhooks in order, and its end."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from callflows.audio.format import FRAME_SECONDS, Format
from callflows.ncco.document import problems
from callflows.simulator import events
from callflows.simulator.actions import ACTIONS, LISTENING
from callflows.simulator.caller import Caller
from callflows.simulator.courier import Courier, Posted, Site
from callflows.simulator.delivery import Document, Wants, Webhook
from callflows.simulator.effects import (
    Closed,
    Effect,
    Fetched,
    HangUp,
    Heard,
    Input,
    Note,
    NotFetched,
    NotOpened,
    Opened,
    Received,
)
from callflows.simulator.events import Leg
from callflows.simulator.scripts import Script, Scripts, Wait
from callflows.simulator.socket import Socket
from callflows.wire.platform import Knobs

# A caller hangs up when the flow has not listened for so long; the longest talk takes 100 s.
PATIENCE_SECONDS = 300.0


def _dashed() -> str:
    return str(uuid.uuid4())


@dataclass(eq=False)
class Call:
    """A caller's call from ringing to its end, without I/O; times are seconds from its start, at ``began``.

    Whoever runs it calls `advance` at `next_time`, `receive` with what happened meanwhile, and executes the effects
    that both return, until it is `over`. ``refusals`` says what was not accepted, in words.
    """

    caller: Caller
    site: Site
    began: datetime
    knobs: Knobs = field(default_factory=Knobs)
    new_id: Callable[[], str] = _dashed

    def __post_init__(self) -> None:
        # Inbound legs are 32 hex digits without dashes; all other ids have them.
        caller, identity = self.caller, self.new_id().replace("-", "")
        self.leg = Leg(identity, f"CON-{self.new_id()}", "phone", caller.from_, caller.to, "inbound")
        self.refusals: list[str] = []
        self.sockets: dict[str, Socket] = {}
        self.recordings: list[Callable[[], None]] = []
        self.keys: deque[str] = deque()
        self.collecting = self.barge = self.ended = False
        self.live_input: Mapping[str, Any] | None = None
        self.listening: float | None = None
        self.bad = self.lost = 0
        self._effects: list[Effect] = []
        self.courier = Courier(self)
        self.scripts = Scripts()
        self.scripts.start(self.courier.run())
        self._main = self.scripts.start(self._life())
        self._behaviour: Script | None = None

    # What the driver uses

    @property
    def next_time(self) -> float:
        return self.scripts.next_time

    @property
    def over(self) -> bool:
        return self.ended and self.courier.idle

    def advance(self, now: float) -> list[Effect]:
        """Do all that is due until ``now``."""
        self.scripts.advance(now)
        effects, self._effects = self._effects, []
        return effects

    def receive(self, news: Input, now: float) -> list[Effect]:
        """Take what happened at ``now``, and do all that follows from it."""
        effects = self.advance(now)
        match news:
            case Fetched() | NotFetched():
                self.courier.take(news)
            case Opened() | NotOpened() | Received() | Closed():
                if socket := self.sockets.get(news.leg):
                    socket.inbox.append(news)
            case HangUp():
                self.hang_up()
        return effects + self.advance(now)

    # What the actions use

    @property
    def now(self) -> float:
        return self.scripts.now

    @property
    def clock(self) -> datetime:
        """The time of day, for events."""
        return self.began + timedelta(seconds=self.now)

    def emit(self, *effects: Effect) -> None:
        self._effects += effects

    def note(self, kind: str, text: str, leg: str = "", data: Mapping[str, Any] | None = None) -> None:
        """Add a line to the caller's timeline."""
        self.emit(Note(round(self.now, 3), kind, leg, text, data or {}))

    def refuse(self, text: str, leg: str = "") -> None:
        """Note that something was not accepted: the call fails, although it may go on."""
        self.refusals.append(text)
        self.note("refused", text, leg)

    def listen(self) -> None:
        """The flow listens: from here the caller's voice, presses and patience count."""
        if self.listening is None:
            self.listening = self.now

    @property
    def interrupted(self) -> bool:
        """Whether a key stops what is played: only with bargeIn, which holds until the next input."""
        return self.barge and bool(self.keys)

    async def play(self, frames: Iterable[bytes | memoryview], fmt: Format, source: str) -> None:
        """Let the caller hear frames of 20 ms, until their end or until a key interrupts."""
        start = self.now
        for place, frame in enumerate(frames, 1):
            if self.interrupted:
                return
            self.emit(Heard(bytes(frame), fmt.rate, source))
            await Wait(start + place * FRAME_SECONDS, lambda: self.interrupted)

    def press(self, key: str) -> None:
        """The caller presses a key: every socket hears of it, and whoever collects keys."""
        self.note("key", key, "phone")
        for socket in self.sockets.values():
            socket.press(self, key)
        if self.live_input is not None:
            result = events.input_result(self.leg, self.clock, key, False)
            self.post(result, "phone", self.live_input)
        if self.collecting or self.barge:
            self.keys.append(key)

    def post(
        self, body: Mapping[str, Any], leg: str = "", action: Mapping[str, Any] | None = None, wants: Wants = "nothing"
    ) -> Posted:
        """Send an event after all that were sent before it: to the action's ``eventUrl``, else the application's."""
        options = action or {}
        url = next(iter(options.get("eventUrl") or [self.site.events]))
        method = options.get("eventMethod", "POST") if "eventUrl" in options else "POST"
        return self.courier.post(Webhook("event", method, url, body, wants, 10.0), leg)

    async def consult(self, body: Mapping[str, Any], leg: str, action: Mapping[str, Any]) -> Document | None:
        """Send an event that may be answered with a new document, and wait for that; None: go on."""
        posted = self.post(body, leg, action, "document or nothing")
        await Wait(ready=lambda: posted.reply is not None)
        document = posted.reply.document if posted.reply else None
        if document is not None:
            self._told(document, leg)
        return document

    def leave(self, socket: Socket, by: Literal["platform", "user"]) -> None:
        """A socket's leg is over."""
        if self.sockets.pop(socket.leg.uuid, None) is None:
            return
        self.bad += socket.platform.bad
        self.lost += socket.platform.lost
        code = 200 if socket.leg.answered else 480
        self.post(events.completed(socket.leg, self.clock, by, code), "websocket", socket.action)

    # The call itself

    async def _life(self) -> None:
        for status in ("started", "ringing"):
            self.post(events.progress(self.leg, status, self.clock), "phone")
        body = events.answer_request(self.leg, self.site.region)
        webhook = Webhook("answer", self.site.method, self.site.answer, body, "document", 5.0)
        reply = await self.courier.deliver(webhook, "phone")
        if reply.document is not None:
            self._told(reply.document, "phone")
            await self._run(reply.document)
        self._end("platform")

    def _told(self, document: Document, leg: str) -> None:
        """Note a document that is run, and what is doubtful in it: the sources disagree, so it is accepted."""
        summary = " -> ".join(str(action["action"]) for action in document) or "nothing to do"
        self.note("ncco", summary, leg, {"ncco": document})
        for problem in problems(document):
            self.note("warning", f"{problem.path}: {problem.message}", leg)

    async def _run(self, document: Document) -> None:
        self.post(events.answered(self.leg, self.clock), "phone")
        self._behaviour = self.scripts.start(self._behave())
        running: Document | None = document
        while running is not None:
            if not any(action["action"] in LISTENING for action in running):
                self.listen()
            running = await self._perform(running)

    async def _perform(self, document: Document) -> Document | None:
        """Run a document's actions in order; return the document that replaces it, or None at its end."""
        for action in document:
            if action["action"] not in ACTIONS:
                self.refuse(f"{action['action']}: the fake caller does only {', '.join(ACTIONS)}", "phone")
                return None
            replacement = await ACTIONS[action["action"]](self, action)
            if replacement is not None:
                return replacement
        return None

    async def _behave(self) -> None:
        """What the caller does: presses keys, and hangs up."""
        await Wait(self.now + PATIENCE_SECONDS, lambda: self.listening is not None)
        start = self.now
        for press in sorted(self.caller.presses, key=lambda press: press.at):
            await Wait(start + min(press.at, self.caller.seconds))
            if press.at <= self.caller.seconds:
                self.press(press.key)
        await Wait(start + self.caller.seconds)
        self.hang_up()

    def hang_up(self) -> None:
        """The caller hangs up, whatever runs."""
        if not self.ended:
            self.scripts.stop(self._main)
            self._end("user")

    def _end(self, by: Literal["platform", "user"]) -> None:
        self.ended = True
        self.note("end", f"the call ends: {'the caller hung up' if by == 'user' else 'nothing is left to do'}", "phone")
        self.live_input = None
        if self._behaviour:
            self.scripts.stop(self._behaviour)
        for finish in tuple(self.recordings):
            finish()
        for socket in tuple(self.sockets.values()):
            socket.close(self)
            self.leave(socket, by)
        code = 200 if self.leg.answered else 480
        self.post(events.completed(self.leg, self.clock, by, code), "phone")
