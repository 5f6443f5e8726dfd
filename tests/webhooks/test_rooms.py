"""Knows rooms as events tell of them: who is in one, who hears of it, and how a caller who waits in one goes on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from callflows.models import Call, CallFlow, Job, Leg, TimelineEntry
from callflows.ncco.flow import Place
from callflows.webhooks.addresses import event_url as address_of
from tests.dates import EXAMPLE, stamp
from tests.make import CALLER, NUMBER, ROOM, UUID, Step, ask, event_url, make_flow, make_number, talk, tell

pytestmark = pytest.mark.django_db(transaction=True)

OTHER = "d" * 32
AGENT = "b2a41c7e-90d3-4e55-8f17-6c2d9a0b3e41"
SHARED = "CON-shared"


def move(client: Client, came: str, went: str, at: str, leg: str = UUID) -> Any:
    rooms: Any = {"conversation_uuid": None, "conversation_uuid_from": came, "conversation_uuid_to": went}
    return tell(client, uuid=leg, type="transfer", timestamp=f"{EXAMPLE:%Y-%m-%d}T{at}Z", **rooms)


def of_room(client: Client, room: str, at: str = "09:20:00.000", **more: Any) -> Any:
    about = more or {"reason": "noise"}
    return tell(client, uuid=None, conversation_uuid=room, timestamp=f"{EXAMPLE:%Y-%m-%d}T{at}Z", **about)


def heard(call: Call) -> list[str]:
    """Return what the events of a call told, in the order of its timeline."""
    return [entry.text for entry in call.timeline.filter(kind__in=("event", "problem")).exclude(name="answer")]


def of_caller(uuid: str = UUID) -> Call:
    return Call.objects.get(uuid=uuid)


# Where a leg is


def test_transfer_that_is_told_late_does_not_move_the_leg_back(client: Client) -> None:
    ask(client)
    move(client, "CON-a", "CON-b", "09:16:00.000")
    move(client, ROOM, "CON-a", "09:15:30.000")
    leg = Leg.objects.get()
    assert leg.room == "CON-b"
    assert set(leg.stays.values_list("room", flat=True)) == {ROOM, "CON-a"}


def test_status_that_is_told_late_does_not_move_the_leg_back(client: Client) -> None:
    ask(client)
    move(client, ROOM, SHARED, "09:16:00.000")
    tell(client, status="ringing", timestamp=stamp())
    assert Leg.objects.get().room == SHARED


def test_room_that_a_leg_left_still_leads_to_its_call(client: Client) -> None:
    ask(client)
    move(client, ROOM, SHARED, "09:16:00.000")
    of_room(client, ROOM)
    assert heard(Call.objects.get()) == [f"Moved to conversation {SHARED}", "Vonage: noise"]


# Who hears of a room


def meet(client: Client, *events: Any) -> tuple[Call, Call]:
    """Let two callers be answered, and meet in a room, with what is told between their coming."""
    ask(client)
    ask(client, uuid=OTHER, conversation_uuid="CON-other")
    move(client, ROOM, SHARED, "09:15:30.000")
    for event in events:
        event()
    move(client, "CON-other", SHARED, "09:15:40.000", OTHER)
    return of_caller(), of_caller(OTHER)


def test_who_enters_a_room_is_told_what_was_told_of_it_before(client: Client) -> None:
    for call in meet(client, lambda: of_room(client, SHARED, "09:15:35.000")):
        assert "Vonage: noise" in heard(call)


def test_room_that_is_told_of_before_anybody_is_known_there_is_the_callers(client: Client) -> None:
    of_room(client, ROOM)
    assert (Call.objects.get().uuid, Leg.objects.get().uuid) == ("", None)
    ask(client)
    call = Call.objects.get()
    assert (call.uuid, heard(call)) == (UUID, ["Vonage: noise"])
    assert Leg.objects.get().uuid == UUID


def test_repeated_event_of_a_shared_room_stands_once_on_each_call(client: Client) -> None:
    calls = meet(client)
    for _ in range(3):
        of_room(client, SHARED)
    assert [heard(call).count("Vonage: noise") for call in calls] == [1, 1]


def test_call_that_ended_long_before_hears_nothing_more_of_its_room(client: Client) -> None:
    first, second = meet(client)
    tell(client, status="completed", timestamp=stamp(60))
    of_room(client, SHARED, "09:17:00.000", reason="late")
    of_room(client, SHARED, "12:17:00.000", reason="hours later")
    assert [text for text in heard(first) if text.startswith("Vonage")] == ["Vonage: late"]
    assert [text for text in heard(second) if text.startswith("Vonage")] == ["Vonage: late", "Vonage: hours later"]


def test_recording_of_a_shared_room_is_fetched_for_each_call(client: Client) -> None:
    calls = meet(client)
    for _ in range(2):
        of_room(client, SHARED, recording_url="https://api.nexmo.com/v1/files/y", recording_uuid="r1", size=9)
    jobs = Job.objects.filter(kind="fetch_recording")
    assert sorted(job.arguments["call"] for job in jobs) == sorted(call.pk for call in calls)


def test_address_answers_for_its_own_call_and_all_of_the_room_are_told(client: Client) -> None:
    notify: Step = ("tell", "notify", {"payload": {"done": True}})
    make_number(make_flow(notify, talk("thanks", "Thanks"), branches=(("tell", "notified", "thanks"),)))
    (action, _) = ask(client)
    ask(client, uuid=OTHER, conversation_uuid="CON-other")
    move(client, ROOM, SHARED, "09:15:30.000")
    move(client, "CON-other", SHARED, "09:15:40.000", OTHER)
    told = {"uuid": None, "conversation_uuid": SHARED, "payload": {"done": True}}
    first, again = (tell(client, event_url(action), **told) for _ in range(2))
    assert first.json() == [{"action": "talk", "text": "Thanks"}]
    assert again.content == first.content
    assert [call.timeline.filter(name="notify").count() for call in (of_caller(), of_caller(OTHER))] == [1, 1]
    assert [call.timeline.filter(kind="branch").count() for call in (of_caller(), of_caller(OTHER))] == [1, 0]


# Whose a leg is


def dialled(client: Client, url: str = "/webhooks/events", **event: Any) -> Any:
    parties = {"from": NUMBER, "to": "447700900333", "direction": "outbound"}
    return tell(client, url, **{"uuid": AGENT, **parties, **event})


def test_leg_that_is_dialled_is_its_callers_though_it_is_known_first(client: Client) -> None:
    dialled(client, status="ringing", timestamp=stamp(4))
    assert Call.objects.get().uuid == AGENT
    ask(client)
    call = Call.objects.get()
    assert (call.uuid, call.caller, heard(call)) == (UUID, CALLER, ["Ringing"])
    assert set(call.legs.values_list("uuid", flat=True)) == {UUID, AGENT}


def test_two_who_call_meet_in_a_room_and_stay_two_calls(client: Client) -> None:
    inbound = {"direction": "inbound", "to": NUMBER, "from": CALLER}
    move(client, ROOM, SHARED, "09:15:30.000")
    move(client, "CON-other", SHARED, "09:15:31.000", OTHER)
    for leg, room in ((UUID, ROOM), (OTHER, "CON-other")):
        tell(client, uuid=leg, conversation_uuid=room, status="started", timestamp=stamp(), **inbound)
    assert {call.uuid: len(heard(call)) for call in Call.objects.all()} == {UUID: 2, OTHER: 2}


# A caller who waits in a room


def joinable(client: Client, *branches: tuple[str, str, str | CallFlow], then: str = "next") -> str:
    """Publish a flow that may be joined, call it; return the address of its connect's events."""
    agent: Step = ("agent", "connect", {"endpoint": {"type": "phone", "number": "447700900333"}})
    steps = (agent, talk("bye", "Bye"), talk("sorry", "Sorry"))
    flow = make_flow(*steps, branches=branches, then={"agent": then, "bye": "end"}, joinable=True)
    assert flow.live is not None
    version = flow.live.as_core()
    make_number(flow)
    assert [action["action"] for action in ask(client)] == ["conversation"]
    step = version.flow.step("agent")
    assert step is not None
    return address_of("http://testserver", Call.objects.get().pk, Place(version, step))


def moves() -> list[str | None]:
    """Return the steps that callers are to go on with; None: there is none."""
    return [job.arguments.get("step") for job in Job.objects.filter(kind="move_on").order_by("pk")]


def test_caller_who_enters_the_room_has_the_endpoint_called_at_once(client: Client) -> None:
    joinable(client)
    later = timezone.now() + timedelta(seconds=60)
    Job.objects.update(due=later)
    move(client, ROOM, "CON-named", "09:15:30.000", OTHER)
    assert Job.objects.get().due == later, "only the caller's own leg"
    move(client, ROOM, "CON-named", "09:15:30.000")
    job = Job.objects.get()
    assert (job.kind, job.due <= timezone.now()) == ("dial_in", True)


@pytest.mark.parametrize("outcome", ["busy", "rejected", "unanswered", "failed", "timeout"])
def test_outcome_in_a_room_moves_the_caller_on_once(client: Client, outcome: str) -> None:
    url = joinable(client, ("agent", outcome, "sorry"))
    for _ in range(2):
        assert dialled(client, url, status=outcome).status_code == 204
    dialled(client, url, status="completed", timestamp=stamp(6))
    assert moves() == ["sorry"]
    assert TimelineEntry.objects.filter(kind="branch").count() == 1


def test_end_that_is_told_before_its_reason_moves_the_caller_on_once(client: Client) -> None:
    url = joinable(client, ("agent", "busy", "sorry"))
    dialled(client, url, status="completed", timestamp=stamp(6))
    assert moves() == [], "nobody had answered: the reason is still to come"
    dialled(client, url, status="busy")
    assert moves() == ["sorry"]


def test_end_of_a_conversation_moves_the_caller_on_to_what_comes_after(client: Client) -> None:
    url = joinable(client)
    for second, status in ((5, "ringing"), (6, "answered"), (9, "completed"), (9, "completed")):
        dialled(client, url, status=status, timestamp=stamp(second))
    assert moves() == ["bye"]


def test_end_of_a_conversation_with_nothing_after_it_hangs_up(client: Client) -> None:
    url = joinable(client, then="end")
    for second, status in ((6, "answered"), (9, "completed")):
        dialled(client, url, status=status, timestamp=stamp(second))
    assert moves() == [None]


def test_outcome_without_a_branch_goes_on_with_what_comes_after(client: Client) -> None:
    url = joinable(client)
    dialled(client, url, status="rejected")
    assert moves() == ["bye"]


def test_end_that_is_told_before_the_answer_moves_the_caller_on_once(client: Client) -> None:
    url = joinable(client)
    dialled(client, url, status="completed", timestamp=stamp(9))
    for _ in range(2):
        dialled(client, url, status="answered", timestamp=stamp(6))
    assert moves() == ["bye"]


@pytest.mark.parametrize("late", ["disconnected", "machine"])
def test_outcome_that_is_told_after_the_end_moves_nobody_again(client: Client, late: str) -> None:
    url = joinable(client, ("agent", late, "sorry"))
    for second, status in ((6, "answered"), (9, "completed"), (8, late)):
        dialled(client, url, status=status, timestamp=stamp(second))
    assert moves() == ["bye"]


def test_end_of_the_callers_own_leg_moves_nobody(client: Client) -> None:
    url = joinable(client)
    for address in (url, "/webhooks/events"):
        tell(client, address, status="completed", timestamp=stamp(60))
    assert moves() == []


def test_machine_in_a_room_moves_the_caller_on_and_its_end_does_not(client: Client) -> None:
    url = joinable(client, ("agent", "machine", "sorry"))
    for second, status in ((6, "answered"), (7, "machine"), (9, "completed")):
        dialled(client, url, status=status, timestamp=stamp(second))
    assert moves() == ["sorry"]
