"""Knows one call as Vonage runs it: the document on its first leg, the legs connected to it, its events and its end."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from callflows.ncco.document import problems
from callflows.simulator import events
from callflows.simulator.account import Application, Hook
from callflows.simulator.actions import ACTIONS, LISTENING
from callflows.simulator.conversation import Member
from callflows.simulator.courier import Courier, Posted
from callflows.simulator.delivery import INVALID, Document, Reply, Wants, Webhook, accept
from callflows.simulator.effects import Effect, Note
from callflows.simulator.legs import By, Leg
from callflows.simulator.lines import PartyLine, SocketLine
from callflows.simulator.mixing import Clip, Player
from callflows.simulator.party import begin
from callflows.simulator.recording import Recording
from callflows.simulator.scripts import Script, Wait
from callflows.simulator.signing import Signer

if TYPE_CHECKING:
    from callflows.simulator.knobs import Knobs
    from callflows.simulator.platform import Platform

_EVENT_SECONDS = 10.0
# The legs of a call end one after the other: so far apart were a caller and his socket in a log.
_APART = timedelta(milliseconds=14)
# Statuses with which a leg ends that was never answered.
_NOT_REACHED = ("busy", "cancelled", "failed", "rejected", "timeout", "unanswered")


class Call:
    """What runs on one leg. ``refusals`` says what was not accepted, in words.

    ``hook`` is where its events go, when not to the application's own address. ``outer`` is the call in whose scripts
    it runs: that of a document which a callee hears before he is connected.
    """

    def __init__(
        self,
        platform: Platform,
        leg: Leg,
        application: Application,
        hook: Hook | None = None,
        outer: Call | None = None,
    ) -> None:
        self.platform, self.leg, self.application = platform, leg, application
        self.group: Call = outer or self
        self.hook = hook
        self.refusals: list[str] = []
        self.children: dict[str, Leg] = {}
        self.recordings: list[Recording] = []
        self.keys: deque[str] = deque()
        self.collecting = self.barge = self.barge_speech = self.ended = False
        self.live_input: Mapping[str, Any] | None = None
        # Where REST wants the keys of an asynchronous input.
        self.live_url = ""
        self.inputs = self.background = self.bad = self.lost = 0
        secret = platform.account.signature_secret if application.signed else ""
        self.signer = Signer(platform.account.api_key, secret, application.id) if secret else None
        self.courier = Courier(self)
        # No leg ends before; who ended the call can be read from the times.
        self.next_end = platform.began
        self._main: Script | None = None
        self._played_from = 0.0
        leg.flow = self

    # What happens around it

    @property
    def knobs(self) -> Knobs:
        return self.platform.knobs

    @property
    def now(self) -> float:
        return self.platform.now

    @property
    def clock(self) -> datetime:
        """The time of day, for events."""
        return self.platform.clock

    @property
    def region(self) -> str:
        """The host that REST is asked at for this call."""
        return self.platform.region_url or self.application.region_url or "https://api.nexmo.com"

    @property
    def over(self) -> bool:
        return self.ended and self.courier.idle

    def emit(self, *effects: Effect) -> None:
        self.platform.emit(*effects)

    def note(self, kind: str, text: str, leg: Leg | None = None, data: Mapping[str, Any] | None = None) -> None:
        """Add a line to the timeline."""
        at = leg or self.leg
        self.emit(Note(round(self.now, 3), kind, at.kind, text, data or {}, at.uuid))

    def refuse(self, text: str, leg: Leg | None = None) -> None:
        """Note that something was not accepted: the call fails, although it may go on."""
        self.refusals.append(text)
        self.platform.refusals.append(text)
        self.note("refused", text, leg)

    def listen(self) -> None:
        """The flow listens: from here the caller's voice, presses and patience count.

        A callee's begin when he is connected, not with the document that he hears before.
        """
        if self.leg.listening is None and self.group is self:
            self.leg.listening = self.now

    # Sound and keys

    @property
    def interrupted(self) -> bool:
        """Whether a key stops what is played: only with bargeIn, which holds until the next input."""
        return self.barge and (bool(self.keys) or (self.barge_speech and self.leg.loud > self._played_from))

    async def play(self, clip: Clip, source: str, *, loop: int = 1, level: float = 0.0) -> None:
        """Let everybody in the conversation hear a sound, until its end or until a key interrupts."""
        if self.leg.room is None or self.interrupted:
            return
        self._played_from = self.now
        self.leg.listened += self.barge_speech
        player = self.leg.room.play(Player(source, clip, loop, level))
        try:
            await Wait(ready=lambda: player.done or self.interrupted)
        finally:
            player.stop()
            self.leg.listened -= self.barge_speech

    def press(self, leg: Leg, key: str) -> None:
        """A party presses a key: every socket of the conversation hears of it, and whoever collects keys."""
        self.note("key", key, leg)
        if leg.room is not None:
            for member in tuple(leg.room.members.values()):
                if isinstance(member.leg.line, SocketLine):
                    member.leg.line.press(key)
        if leg.flow is not None:
            leg.flow.take_key(key)

    def take_key(self, key: str) -> None:
        """A key of the leg on which the document runs."""
        if self.live_input is not None:
            result = events.input_result(self.leg, self.clock, {"digits": key, "timed_out": False})
            action = {**self.live_input, "eventUrl": [self.live_url]} if self.live_url else self.live_input
            self.post(result, self.leg, action)
        if self.collecting or self.barge:
            self.keys.append(key)
        self.platform.scripts.touch(self.group)

    # Events

    def post(
        self, body: Mapping[str, Any], leg: Leg, action: Mapping[str, Any] | None = None, wants: Wants = "nothing"
    ) -> Posted:
        """Send an event after all that were sent before it: to the action's ``eventUrl``, else the application's."""
        options = leg.action if action is None else action
        own = self.hook or self.application.hook("event_url")
        method, url = own.method if own else "POST", own.address if own else ""
        if options.get("eventUrl"):
            method, url = options.get("eventMethod", "POST").upper(), options["eventUrl"][0]
        seconds, connect = (own.socket_seconds, own.connect_seconds) if own else (_EVENT_SECONDS, 1.0)
        webhook = Webhook("event", method, url, self._dated(body), wants, seconds, connect)
        return self.courier.post(webhook, leg) if url else Posted(webhook, leg, Reply())

    def _dated(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Leave out what the chosen generation does not know."""
        if self.knobs.payload_generation == "2025":
            return body
        return {name: value for name, value in body.items() if name not in events.NEW}

    def started(self, leg: Leg, *, ringing: bool) -> None:
        """Send started and ringing, which travel on separate connections."""
        bodies = [events.progress(leg, status, self.clock) for status in ("started", "ringing")[: 1 + ringing]]
        for body in reversed(bodies) if self.knobs.shuffle_started_ringing else bodies:
            self.post(body, leg)

    async def consult(
        self, body: Mapping[str, Any], leg: Leg, action: Mapping[str, Any] | None = None
    ) -> Document | None:
        """Send an event that may be answered with a new document, and wait for that; None: go on."""
        posted = self.post(body, leg, action, "document or nothing")
        await Wait(ready=lambda: posted.reply is not None)
        document = posted.reply.document if posted.reply else None
        if document is not None:
            self.told(document)
        return document

    async def ask(self, hook: Hook, more: Mapping[str, Any] | None = None) -> Document | None:
        """Ask an answer webhook for a document; None: there is none."""
        body = self._dated(events.answer_request(self.leg, self.region, more))
        seconds, connect = hook.socket_seconds, hook.connect_seconds
        webhook = Webhook("answer", hook.method, hook.address, body, "document", seconds, connect)
        reply = await self.courier.deliver(webhook, self.leg)
        if reply.document is not None:
            self.told(reply.document)
        return reply.document

    def checked(self, document: Any) -> Document | None:
        """Return a document that came with a request; an invalid one is an error event."""
        reply = accept(document, self.knobs)
        if reply.reason == INVALID:
            self.refuse(f"inline NCCO: {reply.reason} {reply.text}")
            self.post(events.error(self.leg, self.clock), self.leg)
        elif reply.document is not None:
            self.told(reply.document)
        return reply.document

    def told(self, document: Document) -> None:
        """Note a document that is run, and what is doubtful in it: the sources disagree, so it is accepted."""
        summary = " -> ".join(str(action["action"]) for action in document) or "nothing to do"
        self.note("ncco", summary, self.leg, {"ncco": document})
        for problem in problems(document):
            self.note("warning", f"{problem.path}: {problem.message}", self.leg)

    # The document

    def start(self, life: Any) -> None:
        """Begin, with a coroutine that ends in `run`; what ran before is stopped."""
        if self._main:
            self.platform.scripts.stop(self._main)
        self._main = self.platform.scripts.start(life, self.group)

    def answer(self) -> None:
        """The leg is answered; its party begins."""
        leg = self.leg
        self.post(events.answered(leg, self.clock), leg)
        if leg.room is None:
            self.platform.alone(leg)
        if isinstance(leg.line, PartyLine) and leg.behaviour:
            begin(leg, leg.line, leg.behaviour)

    async def run(self, document: Document | None) -> None:
        """Run a document, and those that replace it; then the call is over."""
        while document is not None:
            document = await self.perform(document)
        self.hang_up("platform")

    def replace(self, document: Document) -> None:
        """Run another document instead of the one that runs; connected legs stay."""
        self.start(self.run(document))

    async def perform(self, document: Document) -> Document | None:
        """Run a document's actions in order; return the document that replaces it, or None at its end."""
        if not any(action["action"] in LISTENING for action in document):
            self.listen()
        for place, action in enumerate(document):
            following = next((each for each in document[place:] if each["action"] == "input"), {})
            self.barge_speech = "speech" in following.get("type", ())
            if (replacement := await ACTIONS[action["action"]](self, action)) is not None:
                return replacement
            if self.leg.ended:
                return None
        await Wait(self.now, lambda: not self.background)
        if self.background:
            await Wait(ready=lambda: not self.background)
        return None

    # The end

    def gone(self, leg: Leg, by: By) -> None:
        """A leg ends, from whatever side."""
        if leg is self.leg and leg.flow is self and not self.ended:
            self.hang_up(by)
        else:
            self.finish(leg, by)
        self.platform.scripts.touch(self.group)

    def hang_up(self, by: By) -> None:
        """The call ends, whatever runs, and with it all legs that are connected to it."""
        if self.ended:
            return
        self.ended = True
        self.note("end", f"the call ends: {self._why(by)}", self.leg)
        if self._main:
            self.platform.scripts.stop(self._main)
        self.live_input = None
        for recording in tuple(self.recordings):
            recording.finish()
        self.finish(self.leg, by)
        others = self.knobs.other_legs_ended_by if by == "user" else by
        for leg in tuple(self.children.values()):
            if leg.answered is None and leg.kind != "websocket":
                self.post(events.progress(leg, "cancelled", self.clock), leg)
            self.finish(leg, others)

    def _why(self, by: By) -> str:
        if by == "platform":
            return "nothing is left to do"
        if self.leg.direction == "inbound":
            return "the caller hung up"
        return "the callee hung up" if self.leg.answered else "the callee was not reached"

    def disconnect(self, why: str) -> None:
        """Vonage gives the call up."""
        self.note("end", why, self.leg)
        self.gone(self.leg, "platform")

    def finish(self, leg: Leg, by: By) -> None:
        """A leg is over: one that was rejected has had its last event."""
        if leg.ended is not None:
            return
        status = leg.status
        for script in leg.scripts:
            self.platform.scripts.stop(script)
        for player in leg.own:
            player.stop()
        if leg.line is not None:
            leg.line.close()
        if isinstance(leg.line, SocketLine):
            self.bad += leg.line.wire.bad
            self.lost += leg.line.wire.lost
        self.children.pop(leg.uuid, None)
        at = max(self.clock, self.group.next_end)
        self.group.next_end = at + _APART
        body = events.completed(leg, at, by, 200 if leg.answered else leg.sip_code)
        room = leg.room
        if room is not None:
            room.leave(leg)
            leg.conversation = room.uuid
        if status in _NOT_REACHED:
            # REST goes on to tell why; `completed` is the word of webhooks only.
            leg.status = status
        if status != "rejected":
            self.post(body, leg)
        self.platform.left(leg)

    def move(self, leg: Leg, member: Member, uuid: str) -> None:
        """Put a leg into another conversation, and say so."""
        before = leg.conversation
        self.platform.conversation(uuid).enter(member)
        self.post(events.transfer(leg, before, self.clock), leg, {})
