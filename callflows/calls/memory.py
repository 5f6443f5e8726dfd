"""Knows calls that are kept in memory: for simulations, and for tests of how events join."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from callflows.calls.book import Leg
from callflows.calls.joining import Joining
from callflows.calls.progress import stands_at
from callflows.calls.rooms import Rooms, names
from callflows.payloads.events import CallEvent
from callflows.payloads.telling import sentence


@dataclass(eq=False, slots=True)
class Facts:
    status: str = ""
    outcome: str = ""
    started: datetime | None = None
    answered: datetime | None = None
    ended: datetime | None = None


@dataclass(eq=False, slots=True)
class MemoryCall(Facts):
    uuid: str = ""
    caller: str = ""
    called: str = ""
    direction: str = ""


@dataclass(eq=False, slots=True)
class MemoryLeg(Facts):
    uuid: str | None = None
    home: MemoryCall | None = None
    bound: bool = False
    rooms: Rooms = ()
    kind: str = ""
    caller: str = ""
    called: str = ""
    direction: str = ""


@dataclass(frozen=True, slots=True)
class MemoryEntry:
    """One event on a call's timeline; ``key`` is the same for repeats of it."""

    at: datetime
    key: str
    text: str
    room: str
    leg: MemoryLeg | None


@dataclass(slots=True)
class MemoryBook:
    """All calls, their legs and their timelines, each timeline by the keys of its entries."""

    timelines: dict[MemoryCall, dict[str, MemoryEntry]] = field(default_factory=dict)
    every_leg: list[MemoryLeg] = field(default_factory=list)

    def record(self, event: CallEvent, key: str, now: datetime, owner: MemoryCall | None = None) -> None:
        """Take an event in, once."""
        joining = Joining.of(self, event, owner)
        if any(key in self.timelines[call] for call in joining.known):
            return
        for call in joining.hear(event, now):
            leg = next((each for each in self.every_leg if each is joining.leg), None)
            at = stands_at(event, now)
            self.timelines[call][key] = MemoryEntry(at, key, sentence(event), event.conversation_uuid, leg)

    def legs(self, uuid: str, rooms: Collection[str]) -> list[Leg[MemoryCall]]:
        return [each for each in self.every_leg if (uuid and each.uuid == uuid) or names(each.rooms) & set(rooms)]

    def open(self) -> MemoryCall:
        call = MemoryCall()
        self.timelines[call] = {}
        return call

    def new_leg(self, uuid: str | None) -> Leg[MemoryCall]:
        leg = MemoryLeg(uuid=uuid)
        self.every_leg.append(leg)
        return leg

    def keep_leg(self, leg: Leg[MemoryCall]) -> None:
        """It is kept as it is."""

    def keep_call(self, call: MemoryCall) -> None:
        """It is kept as it is."""

    def give(self, leg: Leg[MemoryCall], call: MemoryCall) -> None:
        if leg.home is not None:
            before = self.timelines[leg.home]
            for key in [key for key, entry in before.items() if entry.leg is leg]:
                self.timelines[call][key] = before.pop(key)
        leg.home = call

    def drop(self, leg: Leg[MemoryCall]) -> None:
        self.every_leg = [each for each in self.every_leg if each is not leg]

    def share(self, room: str, source: MemoryCall, into: MemoryCall, after: datetime) -> None:
        for key, entry in self.timelines[source].items():
            if entry.leg is None and entry.room == room and entry.at >= after:
                self.timelines[into].setdefault(key, entry)

    def forget(self, room: str, call: MemoryCall) -> None:
        kept = {
            key: entry for key, entry in self.timelines[call].items() if entry.leg is not None or entry.room != room
        }
        self.timelines[call] = kept

    def dissolve(self, call: MemoryCall, into: MemoryCall) -> None:
        for key, entry in self.timelines.pop(call).items():
            self.timelines[into].setdefault(key, entry)
