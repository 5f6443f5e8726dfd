"""Knows a leg: one party's connection, what REST shows of it, and what sounds at its end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol

from callflows.simulator.mixing import Frame, Player
from callflows.simulator.scripts import Script

if TYPE_CHECKING:
    from callflows.simulator.call import Call
    from callflows.simulator.conversation import Conversation, Member
    from callflows.simulator.party import Behaviour
    from callflows.simulator.recording import Tap

Kind = Literal["phone", "app", "sip", "vbc", "websocket"]
By = Literal["platform", "user"]

# EUR a minute, the network's label in webhooks and its MCCMNC in REST, as real ones have them; the price of a
# WebSocket leg is a guess.
_TARIFFS: dict[str, tuple[float, str | None, str | None]] = {
    "phone": (0.0045, "GB-FIXED", "23410"),
    "websocket": (0.0004, None, None),
    "app": (0.0004, None, None),
    "sip": (0.0004, None, None),
    "vbc": (0.0004, None, None),
}
# A party louder than this (dBFS) speaks.
SPEECH_DBFS = -45.0


class Line(Protocol):
    """What is at the end of a leg: a party, or a socket."""

    @property
    def busy(self) -> bool:
        """Whether it needs a tick each 20 ms."""

    def say(self, now: float) -> Frame | None:
        """Return the next 20 ms of what it says; None: nothing."""

    def hear(self, frames: list[Frame], now: float) -> None:
        """Take what it hears in 20 ms: all who speak to it."""

    def press(self, digit: str) -> None:
        """Take a key that another party pressed, or that REST sends."""

    def close(self) -> None:
        """The platform ends the leg."""


@dataclass(eq=False, slots=True)
class Leg:
    """One party's connection.

    ``conversation`` is the room's uuid. ``answered`` and ``ended`` are when, None until then. ``endpoint`` is what it
    was called at, as in an NCCO; empty for calls in.
    """

    uuid: str
    conversation: str
    kind: Kind
    from_: str
    to: str
    direction: Literal["inbound", "outbound"]
    created: datetime
    application: str = ""
    headers: Mapping[str, Any] = field(default_factory=dict)
    endpoint: Mapping[str, Any] = field(default_factory=dict)
    status: str = ""
    answered: datetime | None = None
    ended: datetime | None = None
    sip_code: int = 200
    muted: bool = False
    earmuffed: bool = False
    # Sounds that only this leg hears: music on hold, ringback, talk and stream of REST.
    own: list[Player] = field(default_factory=list)
    taps: list[Tap] = field(default_factory=list)
    # Whether somebody wants to know when it speaks, and when it last did, in seconds of the platform.
    listened: int = 0
    loud: float = -math.inf
    # The moment from which its flow, or the other party, listens to it.
    listening: float | None = None
    line: Line | None = None
    room: Conversation | None = None
    member: Member | None = None
    # What its party does, the scripts that do it, and the options of the connect that called it.
    behaviour: Behaviour | None = None
    scripts: list[Script] = field(default_factory=list)
    action: Mapping[str, Any] = field(default_factory=dict)
    # The call whose document runs on it; None: it is only connected to one.
    flow: Call | None = None
    _call: Call | None = None

    @property
    def call(self) -> Call:
        """The call whose events it belongs to."""
        assert self._call is not None
        return self._call

    @call.setter
    def call(self, call: Call) -> None:
        self._call = call

    @property
    def seconds(self) -> int:
        """How long it was, or is, connected, as `completed` and REST round it; 0 until it has ended."""
        if self.answered is None or self.ended is None:
            return 0
        return int((whole(self.ended) - whole(self.answered)).total_seconds())

    @property
    def rate(self) -> str:
        return f"{_TARIFFS[self.kind][0]:.8f}"

    @property
    def price(self) -> str:
        return f"{_TARIFFS[self.kind][0] * self.seconds / 60:.8f}"

    @property
    def network(self) -> str | None:
        """The label that webhooks show."""
        return _TARIFFS[self.kind][1]

    @property
    def mccmnc(self) -> str | None:
        """The network that REST shows."""
        return _TARIFFS[self.kind][2]


def whole(at: datetime) -> datetime:
    """Round to whole seconds, as Vonage does for start and end: the end can lie after the event's own time."""
    return (at + timedelta(milliseconds=500)).replace(microsecond=0)
