"""Knows a whole fake Vonage, without I/O: its account, calls, legs, conversations and recordings, in given time."""

from __future__ import annotations

import uuid as uuids
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from callflows.simulator import lives
from callflows.simulator.account import Account
from callflows.simulator.call import Call
from callflows.simulator.conversation import Conversation, Member
from callflows.simulator.dialling import press_keys
from callflows.simulator.effects import (
    Closed,
    Effect,
    Fetched,
    HangUp,
    Input,
    NotFetched,
    NotOpened,
    Opened,
    Pressed,
    Received,
    Spoke,
)
from callflows.simulator.knobs import Knobs
from callflows.simulator.legs import Kind as LegKind
from callflows.simulator.legs import Leg
from callflows.simulator.lines import PartyLine, SocketLine
from callflows.simulator.party import Behaviour
from callflows.simulator.rates import Window
from callflows.simulator.recording import File
from callflows.simulator.scripts import Script, Scripts

# How often it is looked at what is over, in seconds.
SWEEP_SECONDS = 60.0

# Why an action on a leg is refused; the HTTP side turns each into an error body.
Kind = Literal["not found", "over", "too early", "too many calls", "no application"]


class NotPossible(Exception):
    """An action that the state of things forbids: ``kind`` says why, the text says it in words."""

    def __init__(self, kind: Kind, text: str) -> None:
        super().__init__(text)
        self.kind = kind


def _dashed() -> str:
    return str(uuids.uuid4())


class Platform:
    """Times are seconds from ``began``.

    Whoever runs it calls `advance` at `next_time`, `receive` with what happened meanwhile, and executes the effects
    that both return. Actions such as `create` and `mute` may be called in between; their effects come with the next
    `advance`. ``parties`` says who is at an address (number, user, SIP URI, extension); of a list each takes one call
    and the last one all others. ``region_url`` is the host that webhooks and recordings name.
    """

    # Seconds for which REST still knows what is over: a fake may run for weeks.
    kept_seconds = 3600.0

    def __init__(
        self,
        began: datetime,
        knobs: Knobs | None = None,
        new_id: Callable[[], str] = _dashed,
        *,
        account: Account | None = None,
        region_url: str = "",
    ) -> None:
        self.began, self.knobs, self.new_id, self.region_url = began, knobs or Knobs(), new_id, region_url
        self.account = account or Account()
        self.calls: list[Call] = []
        self.legs: dict[str, Leg] = {}
        self.conversations: dict[str, Conversation] = {}
        self.recordings: dict[str, File] = {}
        self.parties: dict[str, Behaviour | Sequence[Behaviour]] = {}
        self.stranger = Behaviour()
        self.refusals: list[str] = []
        self.scripts = Scripts()
        self.starts = Window(self.knobs.calls_per_second)
        # Scripts that have something to say after the end of their call, and calls by the request that they wait for.
        self.pending: list[Script] = []
        self.fetching: dict[int, Call] = {}
        self._effects: list[Effect] = []
        self._asked = 0
        self._open: set[str] = set()
        self._chances: defaultdict[str, float] = defaultdict(float)
        self._rooms: dict[tuple[str, str], Conversation] = {}
        self._taken: defaultdict[str, int] = defaultdict(int)
        self._swept = 0.0

    # Time

    @property
    def now(self) -> float:
        return self.scripts.now

    @property
    def clock(self) -> datetime:
        """The time of day."""
        return self.began + timedelta(seconds=self.now)

    @property
    def next_time(self) -> float:
        return self.scripts.next_time if not self._effects else self.now

    @property
    def over(self) -> bool:
        """Whether every leg has ended, and every event was delivered."""
        return not self._open and all(call.over for call in self.calls) and all(script.over for script in self.pending)

    def advance(self, now: float) -> list[Effect]:
        """Do all that is due until ``now``."""
        self.scripts.advance(now)
        effects, self._effects = self._effects, []
        return effects

    def receive(self, news: Input, now: float) -> list[Effect]:
        """Take what happened at ``now``, and do all that follows from it."""
        effects = self.advance(now)
        match news:
            case Fetched(id) | NotFetched(id):
                if call := self.fetching.get(id):
                    call.courier.take(news)
                    self.scripts.touch(call.group)
            case HangUp(""):
                for each in tuple(self.legs.values()):
                    self._party(each, news)
            case _:
                if leg := self.legs.get(news.leg):
                    self._party(leg, news)
        return effects + self.advance(now)

    def _party(self, leg: Leg, news: Input) -> None:
        """Take what the party or the application at a leg does."""
        match news, leg.line:
            case Opened() | NotOpened() | Received() | Closed(), SocketLine() as socket:
                socket.inbox.append(news)
            case HangUp(), PartyLine() if leg.ended is None:
                leg.call.gone(leg, "user")
            case Pressed(_, keys), PartyLine() if leg.ended is None:
                for key in keys:
                    leg.call.press(leg, key)
            case Spoke(_, pcm, rate), PartyLine() as line if leg.ended is None:
                line.spoke(pcm, rate)
        self.scripts.touch(leg.call.group)

    # Calls

    def call_in(
        self,
        to: str,
        from_: str,
        kind: LegKind = "phone",
        headers: Mapping[str, str] | None = None,
        behaviour: Behaviour | None = None,
        application: str = "",
        custom_data: Mapping[str, Any] | None = None,
    ) -> str:
        """Somebody calls: a number, or with ``application`` its SIP domain or from its app; return the leg's uuid.

        Raises NotPossible for a number that is linked to no application: callers hear a dead tone there.
        """
        goal = self.account.find(application) if application else self.account.answers(to)
        if goal is None:
            raise NotPossible("no application", f"{to} is linked to no application: the caller hears a dead tone")
        self._sweep()
        # Inbound legs are 32 hex digits without dashes; all other ids have them.
        uuid, conversation = self.new_id().replace("-", ""), f"CON-{self.new_id()}"
        leg = Leg(uuid, conversation, kind, from_, to, "inbound", self.clock, goal.id)
        call = Call(self, leg, goal)
        self.add(leg, call)
        self.calls.append(call)
        leg.behaviour, leg.line = behaviour or Behaviour(), PartyLine(leg)
        call.start(lives.inbound(call, lives.more_of(kind, headers or {}, custom_data)))
        return uuid

    def create(self, body: Mapping[str, Any], application_id: str) -> tuple[str, str]:
        """Place a call as POST /v1/calls does; ``body`` is valid. Return the uuids of its leg and conversation."""
        application = self.account.find(application_id)
        if application is None:
            raise NotPossible("no application", f"there is no application {application_id}")
        if not self.starts.take(self.now):
            raise NotPossible("too many calls", f"more than {self.knobs.calls_per_second} calls in a second")
        self._sweep()
        call = lives.call_out(self, application, body)
        self.calls.append(call)
        call.start(lives.outbound(call, body))
        return call.leg.uuid, call.leg.conversation

    def hang_up(self, uuid: str) -> None:
        """End a leg; a socket's gets no `disconnected`."""
        leg = self.alive(uuid)
        age = (self.clock - leg.created).total_seconds()
        if age < self.knobs.early_hang_up_seconds:
            raise NotPossible("too early", f"the leg is {age:.1f} s old, and is being made")
        leg.call.gone(leg, "platform")

    def transfer(self, uuid: str, ncco: list[Any] | None = None, url: str = "") -> None:
        """Run another document on a leg, in a conversation of its own; the others stay where they are."""
        leg = self.alive(uuid)
        if leg.answered is None:
            raise NotPossible("too early", "the leg is not answered yet")
        call = leg.call
        if leg is not call.leg:
            call.children.pop(uuid, None)
            call = Call(self, leg, call.application, call.hook, call.group)
            leg.call = call
            self.calls.append(call)
        lives.release(call)
        call.live_input = None
        call.move(leg, Member(leg), self.make_room(call.application.id).uuid)
        call.start(lives.moved(call, ncco, url))

    def mute(self, uuid: str) -> None:
        """Let nobody hear a leg."""
        self.alive(uuid).muted = True

    def unmute(self, uuid: str) -> None:
        self.alive(uuid).muted = False

    def earmuff(self, uuid: str) -> None:
        """Let a leg hear nothing."""
        self.alive(uuid).earmuffed = True

    def unearmuff(self, uuid: str) -> None:
        self.alive(uuid).earmuffed = False

    def stream(self, uuid: str, options: Mapping[str, Any]) -> None:
        """Play a file to one leg, instead of what REST plays there."""
        leg = self.alive(uuid)
        self.stop_stream(uuid)
        self.scripts.start(lives.rest_stream(leg, options), leg.call.group)

    def stop_stream(self, uuid: str) -> None:
        lives.stop(self.alive(uuid), "rest stream")

    def talk(self, uuid: str, options: Mapping[str, Any]) -> None:
        """Speak to one leg, instead of what REST says there."""
        self.stop_talk(uuid)
        lives.rest_talk(self.alive(uuid), options)

    def stop_talk(self, uuid: str) -> None:
        lives.stop(self.alive(uuid), "rest talk")

    def dtmf(self, uuid: str, digits: str) -> None:
        """Send keys to a leg: its party hears tones, its socket gets messages."""
        leg = self.alive(uuid)
        leg.scripts.append(self.scripts.start(press_keys(leg, digits, lives.REST_KEY_SECONDS), leg.call.group))

    def subscribe_dtmf(self, uuid: str, event_url: str) -> None:
        """Send the keys of a leg's asynchronous input to an address."""
        call = self.alive(uuid).call
        call.live_url = event_url
        call.live_input = call.live_input or {}

    def unsubscribe_dtmf(self, uuid: str) -> None:
        call = self.alive(uuid).call
        call.live_url, call.live_input = "", None

    def alive(self, uuid: str) -> Leg:
        """Return a leg that has not ended; raises NotPossible."""
        leg = self.legs.get(uuid)
        if leg is None:
            raise NotPossible("not found", f"there is no leg {uuid}")
        if leg.ended is not None:
            raise NotPossible("over", f"leg {uuid} has ended")
        return leg

    # What calls use

    def emit(self, *effects: Effect) -> None:
        self._effects += effects

    def number(self) -> int:
        """Return the number of the next HTTP request."""
        self._asked += 1
        return self._asked

    def chance(self, what: str, rate: float) -> bool:
        """Return whether this is one of the ``rate`` (0 to 1) of all: evenly spread, and the same each time."""
        self._chances[what] += rate
        if self._chances[what] < 1 - 1e-9:
            return False
        self._chances[what] -= 1
        return True

    def add(self, leg: Leg, call: Call) -> Leg:
        """Know a leg from now on."""
        leg.call = call
        self.legs[leg.uuid] = leg
        self._open.add(leg.uuid)
        return leg

    def left(self, leg: Leg) -> None:
        """A leg has ended: whoever waits for that goes on."""
        self._open.discard(leg.uuid)
        self.scripts.touch(leg.call.group)

    def _sweep(self) -> None:
        if self.now >= self._swept + SWEEP_SECONDS and self.now > self.kept_seconds:
            self._swept = self.now
            lives.forget(self, self.clock - timedelta(seconds=self.kept_seconds))

    def party_at(self, leg: Leg) -> Behaviour:
        """Return who is at the other end of a leg that is called."""
        found = self.parties.get(leg.to, self.stranger)
        if isinstance(found, Behaviour):
            return found
        self._taken[leg.to] += 1
        return found[min(self._taken[leg.to], len(found)) - 1]

    # Rooms

    def make_room(self, application: str, uuid: str = "") -> Conversation:
        """Return a new, unnamed room."""
        room = Conversation(uuid or f"CON-{self.new_id()}", self.scripts, application)
        self.conversations[room.uuid] = room
        return room

    def alone(self, leg: Leg) -> None:
        """Put a leg into a room of its own: the one that it was made with, or a new one."""
        uuid = leg.conversation if leg.conversation not in self.conversations else ""
        self.make_room(leg.application, uuid).enter(Member(leg))

    def conversation(self, uuid: str) -> Conversation:
        return self.conversations[uuid]

    def room(self, application: str, name: str) -> Conversation:
        """Return a named room of an application: it outlives its calls, and keeps its uuid."""
        room = self._rooms.get((application, name))
        if room is None:
            room = self._rooms[application, name] = self.make_room(application)
            room.name, room.started = name, False
        return room

    def said(self, conversation: str, leg: Leg, start: float) -> list[list[tuple[float, str]]]:
        """Return what each party of a conversation has said since ``start``, in seconds from then."""
        legs = [leg, *(each for each in self.legs.values() if each is not leg and each.conversation == conversation)]
        lines = [each.line for each in legs if isinstance(each.line, PartyLine)]
        return [[(at - start, text) for at, text in line.said if at >= start] for line in lines]
