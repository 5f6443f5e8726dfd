"""Knows what the joining of events needs of calls, legs and their timelines, wherever these are kept."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Protocol, TypeVar

from callflows.calls.progress import Progress
from callflows.calls.rooms import Rooms


class Call(Progress, Protocol):
    """One caller's, or one dialled party's, journey; ``uuid`` is its first leg's, empty while that is not known."""

    uuid: str
    caller: str
    called: str
    direction: str


C = TypeVar("C", bound=Call)


class Leg(Progress, Protocol[C]):
    """One party's connection. ``uuid`` None: only its room is known, from an event that names no leg.

    ``home`` is its call, None until it has one. ``bound`` legs are known to belong there; others were met in a room.
    """

    uuid: str | None
    home: C | None
    bound: bool
    rooms: Rooms
    kind: str
    caller: str
    called: str
    direction: str


class Book(Protocol[C]):
    """Where calls are kept. What it returns belongs to the one who asked, until the event is done with."""

    def legs(self, uuid: str, rooms: Collection[str]) -> list[Leg[C]]:
        """Return the leg with this uuid, and all legs that are or were in one of the rooms."""
        ...

    def open(self) -> C:
        """Begin a call of which nothing is known yet."""
        ...

    def new_leg(self, uuid: str | None) -> Leg[C]:
        """Make a leg; it is kept once it has a home."""
        ...

    def keep_leg(self, leg: Leg[C]) -> None:
        """Write down what was changed of a leg, and of where it was."""
        ...

    def keep_call(self, call: C) -> None:
        """Write down what was changed of a call, and that there is news of it."""
        ...

    def give(self, leg: Leg[C], call: C) -> None:
        """Let a leg, and what its events told on its call's timeline, become another call's."""
        ...

    def drop(self, leg: Leg[C]) -> None:
        """Forget a leg that stood for an unknown one."""
        ...

    def share(self, room: str, source: C, into: C, after: datetime) -> None:
        """Tell what the events of a room, without a leg, told on one call's timeline on another's, once."""
        ...

    def forget(self, room: str, call: C) -> None:
        """Take the events of a room, without a leg, off the timeline of a call that never was there."""
        ...

    def dissolve(self, call: C, into: C) -> None:
        """End a call that turned out to be a part of another, with whatever its timeline still tells."""
        ...


def unique(calls: Iterable[C | None]) -> list[C]:
    """Return the calls once each, in the order in which they come."""
    found: list[C] = []
    for call in calls:
        if call is not None and call not in found:
            found.append(call)
    return found
