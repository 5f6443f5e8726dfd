"""Knows rooms: in which conversations a leg was, from when to when, by Vonage's clock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from callflows.payloads.events import CallEvent

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)

# Vonage's clock counts milliseconds: at the time of a transfer the new room comes just after the old one.
_AFTER = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Stay:
    """A room that a leg is or was in: when an event first and last told so, None where it was there from its start."""

    room: str
    since: datetime | None = None
    seen: datetime | None = None


Rooms = tuple[Stay, ...]


def rooms_of(event: CallEvent) -> frozenset[str]:
    return frozenset({event.conversation_uuid, event.left} - {""})


def told(rooms: Rooms, event: CallEvent, now: datetime) -> Rooms:
    """Return where a leg was, as far as known with ``event``: the same for all orders in which events come.

    An event without a time is of ``now``.
    """
    at = event.at or now
    if event.kind != "transfer":
        return seen_in(rooms, event.conversation_uuid, at)
    return seen_in(seen_in(rooms, event.left, at - _AFTER), event.conversation_uuid, at + _AFTER)


def seen_in(rooms: Rooms, room: str, at: datetime | None) -> Rooms:
    """Return ``rooms`` with a leg seen in ``room``; ``at`` None: that is where it began."""
    if not room:
        return rooms
    others = tuple(each for each in rooms if each.room != room)
    known = next((each for each in rooms if each.room == room), Stay(room, at, at))
    since = min(known.since, at) if known.since and at else None
    return (*others, Stay(room, since, max(filter(None, (known.seen, at)), default=None)))


def current(rooms: Rooms) -> str:
    """Return the room in which a leg was seen last; empty when none is known."""
    return max(rooms, key=lambda each: (each.seen or _BEGINNING, each.room)).room if rooms else ""


def birth(rooms: Rooms) -> str:
    """Return the room in which a leg began: a leg that is dialled begins in the room of the one who dials."""
    return min(rooms, key=lambda each: (each.since or _BEGINNING, each.room)).room if rooms else ""


def began(rooms: Rooms) -> datetime:
    """Return when a leg was first seen anywhere."""
    return min((each.since or _BEGINNING for each in rooms), default=_BEGINNING)


def since(rooms: Rooms, room: str) -> datetime:
    """Return since when a leg was seen in ``room``, which is one of ``rooms``."""
    return next(each.since or _BEGINNING for each in rooms if each.room == room)


def names(rooms: Iterable[Stay]) -> frozenset[str]:
    return frozenset(each.room for each in rooms)
