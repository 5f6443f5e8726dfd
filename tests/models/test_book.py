"""Knows that calls in the database become what calls in memory do, and what else a stored call has to keep."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from random import Random
from typing import Any, cast

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from callflows.calls.joining import Joining
from callflows.calls.progress import stands_at
from callflows.models import Call, Job, Leg, TimelineEntry
from callflows.models.book import StoredBook, fetch_all
from callflows.payloads.events import CallEvent
from callflows.payloads.telling import sentence
from tests.calls.test_joining import deliver, progress, seen
from tests.calls.world import BEGAN, NOW, NUMBER, Told, World, way_of

pytestmark = pytest.mark.django_db

ROOM = "CON-0"
RECORDING = {"recording_url": "https://api.nexmo.com/v1/files/x", "recording_uuid": "r0", "size": 9}


def tell(raw: dict[str, Any], key: str = "", owner: int | None = None) -> list[Call]:
    """Record an event once, as its webhook does; return its calls."""
    book, event = StoredBook(NOW, set()), CallEvent.parse(raw)
    key = key or TimelineEntry.new_key().removeprefix(TimelineEntry.OURS)
    joining = Joining.of(book, event, book.call(owner) if owner is not None else None)
    if joining.known and TimelineEntry.objects.filter(call__in=joining.known, key=key).exists():
        return joining.known
    calls = joining.hear(event, NOW)
    facts: dict[str, Any] = {"kind": "event", "at": stands_at(event, NOW), "text": sentence(event), "key": key}
    for call in calls:
        call.timeline.create(leg=cast(Leg | None, joining.leg), data={"raw": raw}, **facts)
    return calls


def answered(uuid: str, room: str, caller: str) -> Call:
    book = StoredBook(NOW, set())
    leg = cast(Leg, Joining(book, uuid, [room]).meet(room))
    leg.call.caller, leg.call.called, leg.call.direction = caller, NUMBER, "inbound"
    book.keep_leg(leg)
    leg.call.save()
    return leg.call


def deliver_to_database(world: World, told: Iterable[Told | int]) -> None:
    keys, owners = dict[str, str](), dict[int, int]()
    for each in told:
        if isinstance(each, int):
            owners[each] = answered(world.uuid(each), f"CON-{each}", world.number(each)).pk
        else:
            key = keys.setdefault(each.key, f"event {len(keys)}")
            tell(each.raw, key, owners[each.caller] if each.named else None)


def seen_in_database() -> dict[str, Any]:
    """Return everything that can be seen of all calls, as of those in memory; an event is told by its text and time."""
    return {
        call.uuid: {
            "call": (call.caller, call.called, call.direction, *progress(call)),
            "legs": sorted(
                (leg.uuid or "", leg.kind, leg.caller, leg.called, leg.direction, *progress(leg), frozenset(leg.rooms))
                for leg in call.legs.all()
            ),
            "timeline": sorted(
                (entry.at, entry.text, entry.leg.uuid if entry.leg else "") for entry in call.timeline.all()
            ),
        }
        for call in Call.objects.all()
    }


def without_keys(found: dict[str, Any]) -> dict[str, Any]:
    return {
        uuid: {**call, "timeline": sorted((at, text, leg) for at, _, text, leg in call["timeline"])}
        for uuid, call in found.items()
    }


@pytest.mark.parametrize("number", range(100, 115))
def test_calls_in_the_database_become_what_calls_in_memory_do(number: int) -> None:
    world, way = way_of(Random(number))
    deliver_to_database(world, way)
    assert seen_in_database() == without_keys(seen(deliver(world, way)))


# What only a stored call has


def inbound(uuid: str = "caller0", room: str = ROOM, seconds: float = 0, **more: Any) -> dict[str, Any]:
    at = (BEGAN + timedelta(seconds=seconds)).isoformat()
    return {"uuid": uuid, "conversation_uuid": room, "timestamp": at, **more}


def guessed(**event: Any) -> Call:
    """Hear of an agent, whom a caller dialled, first where they moved together: as of a call of its own."""
    (call,) = tell(inbound("agent", "CON-agent", seconds=5, **event))
    return call


def known_better() -> None:
    """Hear that the agent began in the caller's room."""
    rooms: Any = {"conversation_uuid": None, "conversation_uuid_from": ROOM, "conversation_uuid_to": "CON-agent"}
    tell(inbound("agent", seconds=4, **{**rooms, "type": "transfer"}))


def test_our_own_notes_outlive_the_call_that_turns_out_to_be_anothers() -> None:
    call = answered("caller0", ROOM, "447700900000")
    guessed(status="ringing", direction="outbound").note("command", "Mute by ada")
    assert Call.objects.count() == 2
    known_better()
    assert Call.objects.get() == call
    texts = [entry.text for entry in call.timeline.order_by("pk")]
    assert texts == ["Ringing", "Mute by ada", "Moved to conversation CON-agent"]


def test_recording_of_a_call_that_turns_out_to_be_anothers_is_fetched_for_that() -> None:
    call = answered("caller0", ROOM, "447700900000")
    guessed(speech={"recording_url": "https://api.nexmo.com/v1/files/s", "results": []})
    known_better()
    assert [(job.kind, job.arguments["call"]) for job in Job.objects.all()] == [("fetch_recording", call.pk)]


def test_who_enters_a_room_gets_its_recordings_as_well() -> None:
    first = answered("caller0", ROOM, "447700900000")
    tell({"conversation_uuid": ROOM, "timestamp": BEGAN.isoformat(), **RECORDING})
    Job.objects.all().delete()
    second = answered("caller1", ROOM, "447700900001")
    assert [job.arguments["call"] for job in Job.objects.all()] == [second.pk]
    assert [call.timeline.count() for call in (first, second)] == [1, 1]


def test_answer_to_an_event_is_not_told_on_the_other_calls_of_a_room() -> None:
    first = answered("caller0", ROOM, "447700900000")
    tell({"conversation_uuid": ROOM, "timestamp": BEGAN.isoformat(), "reason": "noise"})
    first.timeline.update(reply="[]")
    second = answered("caller1", ROOM, "447700900001")
    assert [call.timeline.get().reply for call in (first, second)] == ["[]", ""]


def test_notes_of_ours_are_not_told_to_who_enters_the_room() -> None:
    first = answered("caller0", ROOM, "447700900000")
    first.note("problem", "The disk is full", data={"raw": {"conversation_uuid": ROOM}})
    assert not answered("caller1", ROOM, "447700900001").timeline.exists()


def test_what_was_told_days_before_in_a_named_room_is_not_told_to_who_enters() -> None:
    answered("caller0", ROOM, "447700900000")
    tell({"conversation_uuid": ROOM, "timestamp": (BEGAN - timedelta(days=2)).isoformat(), "reason": "noise"})
    (second,) = tell(inbound("caller1", "CON-1", status="started", direction="inbound"))
    moved: Any = {"type": "transfer", "conversation_uuid": None, "conversation_uuid_to": ROOM}
    assert tell(inbound("caller1", seconds=3, **moved)) == [second]
    assert [entry.text for entry in second.timeline.all()] == ["Started", f"Moved to conversation {ROOM}"]


def test_entries_that_no_event_can_be_read_from_are_passed_over() -> None:
    call = Call.objects.create(uuid="a")
    for raw in ({}, None, {"uuid": 7}, RECORDING):
        call.timeline.create(kind="event", key=TimelineEntry.new_key(), data={"raw": raw})
    fetch_all(call.timeline.all())
    assert Job.objects.get().arguments["uuid"] == "r0"


def test_call_that_is_not_there_is_none() -> None:
    assert StoredBook(NOW, set()).call(4711) is None


def test_leg_that_never_moved_costs_no_question_about_rooms() -> None:
    answered("caller0", ROOM, "447700900000")
    with CaptureQueriesContext(connection) as asked:
        (leg,) = StoredBook(NOW, set()).legs("caller0", [ROOM])
        assert [each.room for each in leg.rooms] == [ROOM]
    assert len(asked) == 1


def test_names_are_held_for_the_whole_webhook_however_often_it_begins_anew() -> None:
    needed = set[str]()
    with CaptureQueriesContext(connection) as asked:
        StoredBook(NOW, needed).hold(["caller0", ROOM])
        StoredBook(NOW, needed).hold(["call 1"])
    assert needed == {"caller0", ROOM, "call 1"}
    assert not asked, "SQLite has one writer at a time"
