"""Every payload of Vonage's that we have passes through the real webhooks: by POST and by GET, once and again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.conf import settings as live_settings
from django.test import Client
from pytest_django import Settings

from callflows.models import Application, Call, Job, Refusal, StrayEvent, TimelineEntry
from callflows.payloads.events import moment
from callflows.webhooks.addresses import StepRef
from tests.make import make_flow, make_number, talk
from tests.payloads.test_events import CALLER_LEG, DIALLED_LEG, MEANING, OTHER_ROOM, ROOM, SOCKET_LEG
from tests.signing import APPLICATION, KEY, SECRET, bearer, compact
from tests.webhooks.sending import (
    CALLER,
    CUSTOMER,
    METHODS,
    OURS,
    SAFE,
    answer,
    flat,
    load,
    names,
    send,
    send_twice,
    serve_number,
    whole,
)

pytestmark = pytest.mark.django_db(transaction=True)

Kind = TimelineEntry.Kind


def test_no_fixture_is_left_out() -> None:
    assert names("events") == sorted(MEANING)
    assert names("events_get") == sorted(BY_GET)
    assert names("answer") == sorted([*PHONES, *CALLS_OUT, *FALLBACKS, "post_inbound_sip"])


# Events, each alone

BY_GET = {
    "error_invalid_ncco": "Vonage: Syntax error in NCCO. Invalid value type or action.",
    "input_dtmf": "Caller pressed 42",
    "notify": 'Notified by the NCCO: {"step": "greeting_done", "ref": 20931}',
    "record": "Vonage recorded 19 s, 78,336 bytes",
    "started": "Started",
    "transfer": f"Moved to conversation {OTHER_ROOM}",
    "websocket_disconnected": "Audio socket disconnected",
}
FETCHED = {"record": "fetch_recording", "transcribed": "fetch_transcript"}


def check_alone(members: dict[str, Any], text: str) -> None:
    """Check what one event of an unknown call must leave: one call, one leg, one entry, and a file to be fetched."""
    call, entry = Call.objects.get(), TimelineEntry.objects.get()
    leg = call.legs.get()
    kind, uuid = Kind.PROBLEM if "reason" in members else Kind.EVENT, members.get("uuid") or members.get("call_uuid")
    assert (entry.call, entry.leg, entry.kind, entry.text) == (call, leg if uuid else None, kind, text)
    assert (leg.uuid, leg.room, call.uuid) == (uuid, members.get("conversation_uuid", OTHER_ROOM), uuid or "")
    assert (call.caller, call.called) == (members.get("from", ""), members.get("to", ""))
    assert entry.data["notes"] == []
    if "timestamp" in members:
        # A microsecond or two keep events of the same millisecond in their order.
        assert abs(entry.at - (moment(members["timestamp"]) or entry.at)).total_seconds() < 0.000_01
        assert moment(members["timestamp"])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", MEANING)
def test_event_alone_opens_one_call_and_is_kept_whole(client: Client, name: str, method: str) -> None:
    members, (kind, status, outcome, _, text) = load("events", name), MEANING[name]
    reply = send_twice(client, "/webhooks/events", members, method)
    assert (reply.status_code, reply.content) == (204, b"")
    check_alone(members, text)
    call, entry = Call.objects.get(), TimelineEntry.objects.get()
    assert entry.data["raw"] == whole(members, method)
    assert entry.name == members.get("status", kind)
    assert (call.status, call.outcome) == (status, outcome)
    assert [job.kind for job in Job.objects.all()] == ([FETCHED[name]] if name in FETCHED else [])


@pytest.mark.parametrize("name", BY_GET)
def test_event_by_get_alone_opens_one_call_and_is_kept_whole(client: Client, name: str) -> None:
    query = load("events_get", name)
    reply = send_twice(client, "/webhooks/events", query, "GET")
    assert (reply.status_code, reply.content) == (204, b"")
    check_alone(query, BY_GET[name])
    assert TimelineEntry.objects.get().data["raw"] == whole(query, "GET")


# Events, all together

LEGS = {CALLER_LEG: "phone", DIALLED_LEG: "phone", SOCKET_LEG: "websocket"}


@pytest.mark.parametrize("order", [1, -1], ids=["in order", "backwards"])
@pytest.mark.parametrize("method", METHODS)
def test_all_events_together_are_one_call(client: Client, settings: Settings, method: str, order: int) -> None:
    settings.SIGNATURE_SECRETS = {KEY: [SECRET]}
    Application.objects.create(name="Test", application_id=APPLICATION)
    serve_number(talk("hello"))
    asked = load("answer", "get_inbound_phone_2026")
    token = bearer(compact(asked))
    assert send(client, "/webhooks/answer", asked, "GET", Authorization=token).status_code == 200
    for _ in range(2):
        for name in list(MEANING)[::order]:
            members = load("events", name)
            body = json.dumps(members).encode() if method == "POST" else compact(flat(members))
            response = send(client, "/webhooks/events", members, method, Authorization=bearer(body))
            assert response.status_code == 204, name
    call = Call.objects.get()
    assert (call.caller, call.called, call.status, call.outcome) == (CALLER, OURS, "completed", "")
    assert {leg.uuid: leg.kind for leg in call.legs.all()} == LEGS
    told = {entry.text: entry.leg.uuid if entry.leg else None for entry in call.timeline.exclude(kind=Kind.ANSWER)}
    assert told.keys() == {text for *_, text in MEANING.values()}
    assert call.timeline.count() == 1 + len(MEANING)
    assert (told["Vonage transcribed a recording"], told["Busy"]) == (None, DIALLED_LEG)
    assert (told["Caller said nothing"], told["Audio socket disconnected"]) == (CALLER_LEG, SOCKET_LEG)
    assert sorted(job.kind for job in Job.objects.all()) == sorted(FETCHED.values())
    assert not Refusal.objects.exists()
    assert not StrayEvent.objects.exists()


# Answers

# name of the file: the caller, and the region's host
PHONES = {
    "get_inbound_phone_2020": (CALLER, ""),
    "get_inbound_phone_2026": (CALLER, "https://api-eu-3.vonage.com"),
    "get_plus_prefixed_caller": (f"+{CALLER}", ""),
    "post_inbound_phone_2020": (CALLER, ""),
    "post_inbound_phone_2026": (CALLER, "https://api-eu-3.vonage.com"),
}
CALLS_OUT = ("get_rest_call_answered", "post_rest_call_answered")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", PHONES)
def test_caller_is_served_the_flow_of_the_number(client: Client, name: str, method: str) -> None:
    serve_number(talk("hello", "Hello {{ from }}"))
    members, (caller, region) = load("answer", name), PHONES[name]
    reply = send_twice(client, "/webhooks/answer", members, method)
    assert (reply.status_code, reply["Content-Type"]) == (200, "application/json")
    assert json.loads(reply.content) == [{"action": "talk", "text": f"Hello {caller}"}]
    call = Call.objects.get()
    leg, entry = call.legs.get(), call.timeline.get()
    assert (call.uuid, call.caller, call.called, call.region_url) == (CALLER_LEG, caller, OURS, region)
    assert (leg.uuid, leg.room, leg.kind, leg.direction) == (CALLER_LEG, ROOM, "phone", "inbound")
    assert (entry.kind, entry.text, entry.leg) == (Kind.ANSWER, "Served Echo from step hello", leg)
    assert (entry.data["raw"], entry.data["notes"]) == (members, [])


@pytest.mark.parametrize("method", METHODS)
def test_caller_at_a_sip_address_that_is_no_number_hears_the_safe_ncco(client: Client, method: str) -> None:
    members = load("answer", "post_inbound_sip")
    reply = send_twice(client, "/webhooks/answer", members, method)
    assert (reply.status_code, json.loads(reply.content)) == (200, live_settings.SAFE_NCCO)
    call = Call.objects.get()
    assert (call.caller, call.called, call.legs.get().kind) == (members["from"], members["to"], "sip")
    assert call.brought == {name: value for name, value in members.items() if name.startswith("SipHeader_")}
    reason = "is no phone number, and no application is configured: the safe NCCO was served."
    assert call.timeline.get().text == f"{members['to']} {reason}"
    assert call.timeline.get().data["raw"] == members


@pytest.mark.parametrize("method", METHODS)
def test_caller_at_the_sip_domain_of_an_application_gets_its_flow(client: Client, method: str) -> None:
    flow = make_flow(talk("hello", "Hello {{ SipHeader_X-UserId }}"), name="Desk")
    application = Application.objects.create(name="Ours", application_id="a1", flow=flow)
    reply = send_twice(client, "/webhooks/answer", load("answer", "post_inbound_sip"), method)
    assert json.loads(reply.content) == [{"action": "talk", "text": "Hello 1938ND9"}]
    call = Call.objects.get()
    assert (call.application, call.number, call.flow, call.flow_name) == (application, None, flow, "Desk")
    assert (call.number_text, call.timeline.get().kind) == ("sip:desk@acme.sip-eu.vonage.com", Kind.ANSWER)


@pytest.mark.parametrize("name", CALLS_OUT)
def test_call_of_ours_is_served_what_its_address_names(client: Client, name: str) -> None:
    serve_number(talk("hello", "Hello {{ to }}"))
    # The customer's number may be one of ours, too, with a flow of its own: it is not looked up.
    make_number(make_flow(talk("other", "Other"), name="Other"), digits=CUSTOMER)
    flow = make_flow(talk("hello", "Hello {{ to }}"), name="Out")
    call = Call.objects.create(direction="outbound", caller=OURS, called=CUSTOMER, flow=flow, flow_name="Out")
    path = f"/webhooks/answer/{StepRef(call.pk, flow.live_id or 0, 'hello', 1)}"
    # Asked for by POST, as its address was given.
    reply = send_twice(client, path, load("answer", name), "POST")
    assert json.loads(reply.content) == [{"action": "talk", "text": f"Hello {CUSTOMER}"}]
    call = Call.objects.get()
    assert (call.uuid, call.caller, call.called, call.direction) == (DIALLED_LEG, OURS, CUSTOMER, "outbound")
    assert (call.legs.get().uuid, call.legs.get().direction) == (DIALLED_LEG, "outbound")
    assert call.timeline.get().text == "Served Out from step hello"
    assert call.timeline.get().data["raw"] == load("answer", name)


# The fallback webhook

FALLBACKS = {
    "get_fallback": "the answer webhook failed: our server closed the connection",
    "post_fallback": "the answer webhook failed: our server did not answer in time",
    "post_fallback_invalid_ncco": "the answer webhook failed: Vonage refused the NCCO",
}


def opened(members: dict[str, Any]) -> dict[str, Any]:
    """Return the fixture with its nested member, which by GET is text, as an object."""
    failed = members["original_request"]
    return {**members, "original_request": json.loads(failed) if isinstance(failed, str) else failed}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize("name", FALLBACKS)
def test_failed_answer_is_told_and_the_safe_ncco_served(client: Client, name: str, known: bool, method: str) -> None:
    serve_number(talk("hello"))
    if known:
        answer(client)
    members = opened(load("answer", name))
    reply = send_twice(client, "/webhooks/fallback", members, method)
    assert (reply.status_code, json.loads(reply.content)) == (200, SAFE)
    call = Call.objects.get()
    entry = call.timeline.get(kind=Kind.FALLBACK)
    assert entry.text == f"{FALLBACKS[name]}. The safe NCCO was served."
    assert (entry.data["raw"], entry.leg) == (members, call.legs.get())
    assert (call.uuid, call.caller, call.called, call.outcome) == (CALLER_LEG, CALLER, OURS, "not served")
    assert call.timeline.count() == 1 + known
