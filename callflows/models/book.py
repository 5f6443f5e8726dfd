"""Knows how the joining of events finds and keeps calls in the database, whatever other workers do meanwhile."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, cast

from django.db import OperationalError, connection
from django.db.models import Exists, OuterRef, Q, QuerySet

from callflows.calls import book
from callflows.models.calls import Call, Leg, RoomStay, TimelineEntry
from callflows.models.jobs import Job
from callflows.models.prepared import Question, insert
from callflows.models.together import Statement, ask, run
from callflows.payloads.body import BadPayload
from callflows.payloads.events import CallEvent

# A leg as the core sees it; not of ``Call``, since mypy checks bounds before it knows what Django's fields return.
CoreLeg = book.Leg[Any]

_PROGRESS = ("status", "outcome", "started", "answered", "ended")
_PARTIES = ("uuid", "caller", "called", "direction")
_LEG = (*_PROGRESS, *_PARTIES, "room", "since", "seen", "bound", "kind")
_CALL = (*_PROGRESS, *_PARTIES, "news")
# Entries of events; those of the same room stand on several timelines.
_OF_EVENTS = (TimelineEntry.Kind.EVENT, TimelineEntry.Kind.PROBLEM)


# Whether anybody has a uuid, or is or was in a room: three indexes are asked, and no rows are read.
_THERE = Question(
    lambda uuid, room: (
        Leg.objects.filter(uuid=uuid)
        .order_by()
        .values_list("pk")
        .union(
            Leg.objects.filter(room=room).order_by().values_list("pk"),
            RoomStay.objects.filter(room=room).order_by().values_list("pk"),
            all=True,
        )[:1]
    ),
    texts=2,
)


class Overtaken(OperationalError):
    """Another worker holds what this one needs besides what it holds itself: begin again, with all of it."""


class StoredBook:
    """Calls in the database, for one webhook, in its transaction; ``now`` is the time of its news.

    ``needed`` names what no other webhook may touch meanwhile: legs, rooms, calls. It outlives the transaction, so that
    one that was overtaken takes all of it at once, in an order in which nobody waits for each other.

    ``new`` is whether most who ask for a leg ask for the first time: whether anybody is there is asked
    first then, and PostgreSQL is told with it who must not be touched meanwhile.
    """

    def __init__(self, now: datetime, needed: set[str], new: bool = False) -> None:
        self.now = now
        self.needed = needed
        self.new = new
        self._held: set[str] = set()
        self._calls: dict[int, Call] = {}
        self._legs: dict[int, Leg] = {}

    def hold(self, names: Iterable[str]) -> None:
        """Wait until nobody else is at work on these. SQLite has one writer anyway. Raises Overtaken."""
        self.needed |= set(names)
        if not self.new:
            first = not self._held
            for rows in run(self._take()):
                if not first and not all(taken for (taken,) in rows):
                    raise Overtaken("another worker is at work on the same call")

    def _take(self) -> list[Statement]:
        """Return what takes hold of what is needed and not held yet; nothing on SQLite."""
        missing = self.needed - self._held
        take = "pg_try_advisory_xact_lock" if self._held else "pg_advisory_xact_lock"
        self._held |= missing
        if not missing or connection.vendor != "postgresql":
            return []
        keys = sorted(_number(name) for name in missing)
        return [(f"SELECT {take}(k) FROM unnest(%s::bigint[]) AS k", [keys])]

    def _anybody(self, uuid: str, room: str) -> bool:
        """Whether a leg with this uuid, or anybody in the room, is known; asked once."""
        self.new = False
        *_, there = ask([*self._take(), _THERE.statement(uuid, room)], free=(Call, Leg, TimelineEntry))
        return bool(there)

    def call(self, pk: int) -> Call | None:
        """Return a call that an address names, locked."""
        self.hold([f"call {pk}"])
        found = Call.objects.select_for_update().filter(pk=pk).first()
        return self._calls.setdefault(found.pk, found) if found else None

    def legs(self, uuid: str, rooms: Collection[str]) -> list[CoreLeg]:
        self.hold([*rooms, *([uuid] if uuid else [])])
        if self.new and not self._anybody(uuid, *(rooms or [""])):
            return []
        wanted = Q(room__in=rooms) | Q(pk__in=RoomStay.objects.filter(room__in=rooms).values("leg"))
        wanted = (wanted | Q(uuid=uuid) if rooms else Q(uuid=uuid)) if uuid else wanted
        found = (
            Leg.objects.filter(wanted)
            .select_related("call")
            .annotate(moved=Exists(RoomStay.objects.filter(leg=OuterRef("pk"))))
            # Only the calls: legs are held by their names.
            .select_for_update(of=("call",))
            .order_by("call_id", "pk")
        )
        return [self._same(leg) for leg in found]

    def open(self) -> Call:
        return Call(created=self.now, news=self.now)

    def new_leg(self, uuid: str | None) -> CoreLeg:
        return Leg(uuid=uuid)

    def keep_leg(self, leg: CoreLeg) -> None:
        row = _row(leg)
        self._insert(row.call)
        if row._state.adding:
            # Again, since the call has its key now.
            row.call = row.call
            insert(row)
        else:
            row.save(update_fields=_LEG)
        row.keep_rooms()

    def keep_call(self, call: Call) -> None:
        call.news = self.now
        if not self._insert(call):
            call.save(update_fields=_CALL)

    def give(self, leg: CoreLeg, call: Call) -> None:
        row = _row(leg)
        self._insert(call)
        row.call = call
        row.save(update_fields=["call"])
        entries = TimelineEntry.objects.filter(leg=row)
        entries.update(call=call)
        fetch_all(entries)

    def drop(self, leg: CoreLeg) -> None:
        if (pk := _row(leg).pk) is not None:
            Leg.objects.filter(pk=pk).delete()

    def share(self, room: str, source: Call, into: Call, after: datetime) -> None:
        if source._state.adding:
            return
        self.hold([room])
        told = _of_room(source, room).filter(at__gte=after)
        if not into._state.adding:
            told = told.exclude(key__in=into.timeline.values("key"))
        copies = [_copy(entry) for entry in told]
        if copies:
            self._insert(into)
            for copy in copies:
                copy.call = into
            fetch_all(TimelineEntry.objects.bulk_create(copies))

    def forget(self, room: str, call: Call) -> None:
        self.hold([room])
        _of_room(call, room).delete()

    def dissolve(self, call: Call, into: Call) -> None:
        if call.legs.exists():
            return
        self._insert(into)
        rest = call.timeline.exclude(key__in=into.timeline.values("key"))
        moved = list(rest.values_list("pk", flat=True))
        rest.update(call=into)
        fetch_all(TimelineEntry.objects.filter(pk__in=moved))
        call.delete()

    def _insert(self, call: Call) -> bool:
        """Write a new call down; False when it was there."""
        if not call._state.adding:
            return False
        insert(call)
        self._calls[call.pk] = call
        return True

    def _same(self, leg: Leg) -> CoreLeg:
        """Return the one object that stands for a leg, with the one that stands for its call."""
        known = self._legs.setdefault(leg.pk, leg)
        if known is leg:
            leg.call = self._calls.setdefault(leg.call_id, leg.call)
        return known


def fetch(call: int, event: CallEvent) -> None:
    """Let the file that an event names, if it names one, be fetched for a call."""
    if sound := event.sound:
        Job.objects.enqueue(f"fetch_{sound.what}", call=call, uuid=sound.uuid, url=sound.url, source=sound.source)


def fetch_all(entries: Iterable[TimelineEntry]) -> None:
    """Let the files that entries name be fetched for the call on whose timeline they stand now."""
    for entry in entries:
        try:
            fetch(entry.call_id, CallEvent.parse(entry.data.get("raw") or {}))
        except BadPayload:
            continue


def _of_room(call: Call, room: str) -> QuerySet[TimelineEntry]:
    """Return what events without a leg told of a room on a call's timeline."""
    of_events = TimelineEntry.objects.filter(call=call, leg=None, kind__in=_OF_EVENTS)
    return of_events.filter(data__raw__conversation_uuid=room).exclude(key__startswith=TimelineEntry.OURS)


def _copy(entry: TimelineEntry) -> TimelineEntry:
    """Return an entry as it stands on another timeline: what was answered was answered there."""
    fields: dict[str, Any] = {name: getattr(entry, name) for name in ("at", "kind", "name", "text", "data", "key")}
    return TimelineEntry(**fields)


def _row(leg: CoreLeg) -> Leg:
    return cast(Leg, leg)


def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
