"""Knows what the event webhook must do: record once, never go back, and answer with the branch of the step."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from callflows.models import Call, Line, TimelineEntry
from tests.dates import stamp
from tests.make import CALLER, ECHO, NUMBER, ROOM, UUID, ask, event_url, make_flow, make_number, talk, tell

pytestmark = pytest.mark.django_db(transaction=True)

SOCKET_LEG = "b2a41c7e-90d3-4e55-8f17-6c2d9a0b3e41"
CHOICE = ("choice", "input", {"dtmf": {"maxDigits": 1}})


def digits(pressed: str) -> dict[str, Any]:
    return {"dtmf": {"digits": pressed, "timed_out": not pressed}, "speech": {"error": "Speech was not enabled"}}


def test_event_is_recorded_with_all_its_members(client: Client) -> None:
    make_number(make_flow(talk("hello")))
    ask(client)
    assert tell(client, status="ringing", colour="green").status_code == 204
    entry = TimelineEntry.objects.get(name="ringing")
    assert entry.data["raw"]["colour"] == "green"
    assert entry.call.status == "ringing"


def test_repeated_event_is_recorded_once(client: Client) -> None:
    for _ in range(3):
        tell(client, status="started")
    assert TimelineEntry.objects.count() == 1


def test_late_event_does_not_move_the_call_back(client: Client) -> None:
    tell(client, status="completed", timestamp=stamp(60))
    tell(client, status="ringing")
    call = Call.objects.get()
    assert call.status == "completed"
    assert call.timeline.count() == 2


def test_late_completed_hides_no_reason(client: Client) -> None:
    tell(client, status="busy", sip_code=486)
    tell(client, status="completed", timestamp=stamp(60))
    assert (Call.objects.get().status, Call.objects.get().outcome) == ("completed", "busy")


def test_event_of_an_unknown_call_opens_one(client: Client) -> None:
    tell(client, status="started", to=NUMBER, **{"from": CALLER})
    call = Call.objects.get()
    assert (call.uuid, call.caller, call.legs.get().room) == (UUID, CALLER, ROOM)


def test_unknown_status_is_recorded_as_such(client: Client) -> None:
    assert tell(client, status="parked").status_code == 204
    assert TimelineEntry.objects.get().name == "parked"
    assert Call.objects.get().status == ""


def test_event_by_get_is_recorded(client: Client) -> None:
    query = {"uuid": UUID, "conversation_uuid": ROOM, "dtmf": '{"digits":"3","timed_out":true}'}
    assert client.get("/webhooks/events", query).status_code == 204
    assert TimelineEntry.objects.get().text == "Caller pressed 3"


def test_event_without_any_identity_is_refused_and_nothing_stored(client: Client) -> None:
    response = tell(client, uuid=None, conversation_uuid=None, status="started")
    assert (response.status_code, response.content) == (400, b"event webhook without 'uuid' and 'conversation_uuid'\n")
    assert not Call.objects.exists()


def test_uuid_of_ten_thousand_characters_is_refused(client: Client) -> None:
    assert tell(client, uuid="a" * 10_000).status_code == 400
    assert not Call.objects.exists()


def test_record_event_without_leg_finds_its_call_by_the_room(client: Client) -> None:
    ask(client)
    tell(client, uuid=None, recording_url="https://api-us.nexmo.com/v1/files/x", size=10)
    assert Call.objects.count() == 1
    assert TimelineEntry.objects.get(name="record").call == Call.objects.get()


def test_leg_that_moved_is_found_by_both_rooms(client: Client) -> None:
    ask(client)
    tell(client, conversation_uuid=None, type="transfer", conversation_uuid_from=ROOM, conversation_uuid_to="CON-new")
    for room in (ROOM, "CON-new"):
        tell(client, uuid=None, conversation_uuid=room, reason="noise")
    assert Call.objects.count() == 1
    assert Call.objects.get().legs.get().room == "CON-new"


def test_event_of_a_shared_room_stands_on_both_calls(client: Client) -> None:
    ask(client)
    ask(client, uuid="d" * 32, conversation_uuid="CON-other")
    for leg in (UUID, "d" * 32):
        tell(client, uuid=leg, conversation_uuid=None, type="transfer", conversation_uuid_to="CON-shared")
    tell(client, uuid=None, conversation_uuid="CON-shared", recording_url="https://api.nexmo.com/v1/files/y")
    assert [call.timeline.filter(name="record").count() for call in Call.objects.all()] == [1, 1]


def test_socket_leg_belongs_to_the_call_and_its_line(client: Client) -> None:
    make_number(make_flow(ECHO))
    (connect,) = ask(client)
    uri = connect["endpoint"][0]["uri"]
    tell(client, event_url(connect), uuid=SOCKET_LEG, status="answered", to=uri)
    call = Call.objects.get()
    assert [leg.kind for leg in call.legs.all()] == ["phone", "websocket"]
    assert call.lines.get().leg == call.legs.last()
    assert call.status != "answered", "only the first leg's events move the call"


def test_no_token_stands_in_what_is_kept(client: Client) -> None:
    make_number(make_flow(ECHO))
    (connect,) = ask(client)
    uri = connect["endpoint"][0]["uri"]
    tell(client, event_url(connect), uuid=SOCKET_LEG, status="started", to=uri)
    token = uri.rpartition("/")[2]
    call = Call.objects.get()
    shown = json.dumps([entry.data for entry in call.timeline.all()]) + "".join(leg.called for leg in call.legs.all())
    assert token not in shown
    assert "/socket/" in shown


# Branches


def menu(client: Client, **fields: Any) -> dict[str, Any]:
    """Publish a menu, call it, and return its input action."""
    other = make_flow(talk("other", "Other flow"), name="Other")
    branches = (
        ("choice", "1", "one"),
        ("choice", "2", other),
        ("choice", "wrong", "menu"),
        ("choice", "wrong", "bye"),
        ("choice", "nothing", "bye"),
    )
    steps = (talk("menu", "Menu"), CHOICE, talk("bye", "Bye"), talk("one", "One"))
    make_number(
        make_flow(*steps, name="Menu", branches=branches, at_most={2: 2}, then={"bye": "end", "one": "end"}, **fields)
    )
    action: dict[str, Any] = ask(client)[1]
    return action


def texts(response: Any) -> list[str]:
    assert response.status_code == 200, response.status_code
    return [action.get("text", action["action"]) for action in json.loads(response.content)]


def test_digit_chooses_a_step(client: Client) -> None:
    assert texts(tell(client, event_url(menu(client)), **digits("1"))) == ["One"]


def test_digit_chooses_another_flow(client: Client) -> None:
    assert texts(tell(client, event_url(menu(client)), **digits("2"))) == ["Other flow"]


def test_nothing_pressed_has_a_branch_of_its_own(client: Client) -> None:
    assert texts(tell(client, event_url(menu(client)), **digits(""))) == ["Bye"]


def test_wrong_key_repeats_twice_then_goes_on(client: Client) -> None:
    url = event_url(menu(client))
    for second in (5, 6):
        response = tell(client, url, timestamp=stamp(second), **digits("9"))
        assert texts(response) == ["Menu", "input", "Bye"]
        url = event_url(json.loads(response.content)[1])
    assert texts(tell(client, url, timestamp=stamp(7), **digits("9"))) == ["Bye"]


def test_repeated_event_gets_the_stored_bytes_and_counts_no_attempt(client: Client) -> None:
    url = event_url(menu(client))
    first, again = (tell(client, url, **digits("9")).content for _ in range(2))
    assert first == again
    assert TimelineEntry.objects.filter(kind="branch").count() == 1


def test_outcome_without_branch_lets_the_old_document_go_on(client: Client) -> None:
    make_number(make_flow(talk("menu"), CHOICE, talk("bye")))
    assert tell(client, event_url(ask(client)[1]), **digits("1")).status_code == 204


def test_reply_comes_from_the_version_that_the_address_names(client: Client) -> None:
    action = menu(client)
    flow = Call.objects.get().flow
    assert flow is not None
    flow.steps.filter(name="one").update(options={"text": "Changed"})
    flow.publish({})
    assert texts(tell(client, event_url(action), **digits("1"))) == ["One"]


def test_running_call_keeps_other_flows_as_they_were_at_its_start(client: Client) -> None:
    action = menu(client)
    other = Call.objects.get().number.flow.branches.get(outcome="2").to_flow  # type: ignore[union-attr]  # it has one
    assert other is not None
    other.steps.update(options={"text": "Newer"})
    other.publish({})
    assert texts(tell(client, event_url(action), **digits("2"))) == ["Other flow"]


def test_forged_step_is_recorded_and_answered_with_nothing(client: Client) -> None:
    url = event_url(menu(client))
    assert tell(client, url[:-3] + "xxx", **digits("1")).status_code == 204


# The end of a socket


def socket_flow(client: Client, outcome: str = "disconnected") -> str:
    steps = (("echo", "connect", {"app": "echo"}), talk("away", "Away"))
    make_number(make_flow(*steps, branches=(("echo", outcome, "away"),), then={"echo": "end"}))
    return event_url(ask(client)[0])


@pytest.mark.parametrize("status", ["failed", "unanswered", "busy", "rejected", "timeout"])
def test_socket_that_cannot_be_opened_takes_its_branch(client: Client, status: str) -> None:
    url = socket_flow(client, status)
    assert texts(tell(client, url, uuid=SOCKET_LEG, status=status)) == ["Away"]


def test_lost_worker_is_answered_by_the_fallback_branch(client: Client) -> None:
    url = socket_flow(client)
    Line.objects.update(state=Line.State.OPEN, used=stamp(4))
    assert texts(tell(client, url, uuid=SOCKET_LEG, status="disconnected")) == ["Away"]
    assert Line.objects.get().state == Line.State.LOST
    assert TimelineEntry.objects.filter(text__contains="worker that held the socket was lost").exists()


def test_close_of_our_own_never_takes_the_fallback_branch(client: Client) -> None:
    url = socket_flow(client)
    Line.objects.update(state=Line.State.CLOSED, used=stamp(4), outcome="finished")
    assert tell(client, url, uuid=SOCKET_LEG, status="disconnected").status_code == 204


def test_outcome_of_the_app_takes_its_branch(client: Client) -> None:
    url = socket_flow(client, "hung-up")
    Line.objects.update(state=Line.State.CLOSED, used=stamp(4), outcome="hung-up")
    assert texts(tell(client, url, uuid=SOCKET_LEG, status="disconnected")) == ["Away"]


@pytest.mark.parametrize("outcome", ["drained", "error"])
def test_end_that_no_app_chose_takes_the_fallback_branch(client: Client, outcome: str) -> None:
    url = socket_flow(client)
    Line.objects.update(state=Line.State.CLOSED, used=stamp(4), outcome=outcome)
    assert texts(tell(client, url, uuid=SOCKET_LEG, status="disconnected")) == ["Away"]


# The fallback webhook


def test_fallback_serves_the_safe_ncco_and_tells_what_failed(client: Client) -> None:
    own = [{"action": "talk", "text": "We will call you back."}]
    make_number(make_flow(talk("menu"), CHOICE), safe_ncco=own)
    url = event_url(ask(client)[1])
    body = {
        "to": NUMBER,
        "from": CALLER,
        "uuid": UUID,
        "conversation_uuid": ROOM,
        "reason": "Socket timeout.",
        "original_request": {"url": url, "type": "event"},
    }
    response = client.post("/webhooks/fallback", json.dumps(body), content_type="application/json")
    assert json.loads(response.content) == own
    entry = TimelineEntry.objects.get(kind="fallback")
    assert entry.text == (
        "an event webhook failed: our server did not answer in time (step choice). The safe NCCO was served."
    )
