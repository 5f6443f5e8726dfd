"""Knows how calls out are placed: opened before they are asked for, and told what became of them, also in doubt."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from callflows.control.outgoing import Order, called, check_endpoint, endpoint_of, number_of_ours, place, usual_sender
from callflows.models import Application, Call, CallFlow, Job, PhoneNumber
from callflows.models.jobs import KINDS
from callflows.vonage.account import VonageError
from callflows.webhooks.addresses import StepRef
from tests.dates import stamp
from tests.make import ECHO, NUMBER, ROOM, make_flow, make_number, talk
from tests.rest_server import CREATED, Asked, Reply, RestServer, payload

pytestmark = pytest.mark.django_db
CALLEE = "447700900222"
PHONE = {"type": "phone", "number": CALLEE}
UUID = CREATED["uuid"]


@pytest.fixture
def number(vonage: RestServer) -> PhoneNumber:
    return make_number(make_flow(talk("hello"), ECHO, name="Survey"))


def flow_of(number: PhoneNumber) -> CallFlow:
    assert number.flow is not None
    return number.flow


def test_request_carries_our_call_and_version(number: PhoneNumber, vonage: RestServer) -> None:
    call = place(Order(flow_of(number), PHONE, number, ringing_seconds=30, by="ada"))
    assert (call.direction, call.caller, call.called) == ("outbound", NUMBER, CALLEE)
    ((method, path, body),) = vonage.requests()
    assert (method, path) == ("POST", "/v1/calls")
    ref = body["answer_url"][0].rpartition("/")[2]
    version = flow_of(number).live
    assert version is not None
    assert StepRef.read(ref) == StepRef(call.pk, version.pk, "hello", 1)
    assert body == {
        "to": [PHONE],
        "from": {"type": "phone", "number": NUMBER},
        "answer_url": [f"https://calls.example.com/webhooks/answer/{ref}"],
        "answer_method": "POST",
        "event_url": [f"https://calls.example.com/webhooks/events/{ref}"],
        "event_method": "POST",
        "ringing_timer": 30,
    }
    assert body.keys() <= payload("create_call_request_answer_url").keys() | {"from"}


def test_what_vonage_calls_it_is_written_down(number: PhoneNumber, vonage: RestServer) -> None:
    call = place(Order(flow_of(number), PHONE, number, by="ada"))
    leg = call.legs.get()
    assert (call.uuid, call.status, call.region_url) == (UUID, "started", vonage.url)
    assert (leg.uuid, leg.room, leg.direction) == (UUID, CREATED["conversation_uuid"], "outbound")
    assert (call.flow_name, call.number, call.application) == ("Survey", number, Application.objects.get())
    assert [(each.kind, each.text) for each in call.timeline.all()] == [
        ("command", "Call out for ada: Survey from step hello")
    ]


@pytest.mark.django_db(transaction=True)
def test_events_and_answer_that_come_before_the_201_are_of_the_same_call(
    number: PhoneNumber, vonage: RestServer
) -> None:
    served: list[Any] = []

    def quick(asked: Asked) -> Reply:
        """Ring, be answered and ask for the document before the request that placed the call has its answer."""
        client, ids = Client(), {"uuid": UUID, "conversation_uuid": ROOM, "from": NUMBER, "to": CALLEE}
        events, answer = (urlsplit(asked.body[name][0]).path for name in ("event_url", "answer_url"))
        for status in ("started", "ringing", "answered"):
            event = {**ids, "status": status, "direction": "outbound", "timestamp": stamp(5)}
            assert client.post(events, event, content_type="application/json").status_code == 204
        served.append(client.post(answer, ids, content_type="application/json").json())
        connection.close()
        return Reply(201, CREATED)

    vonage.answer = quick
    call = place(Order(flow_of(number), PHONE, number))
    assert Call.objects.get() == call
    assert (call.uuid, call.status) == (UUID, "answered")
    assert [leg.uuid for leg in call.legs.all()] == [UUID]
    assert [each["action"] for each in served[0]] == ["talk", "connect"]


def test_without_a_sender_vonage_takes_any_number_of_ours(number: PhoneNumber, vonage: RestServer) -> None:
    place(Order(flow_of(number), PHONE))
    ((_, _, body),) = vonage.requests()
    assert body["random_from_number"] is True
    assert "from" not in body


@pytest.mark.parametrize("outcome", ["human", "machine", "beep"])
def test_vonage_listens_who_answers_where_a_branch_wants_to_know(vonage: RestServer, outcome: str) -> None:
    flow = make_flow(talk("hello"), talk("bye"), branches=(("hello", outcome, "bye"),))
    make_number(flow)
    place(Order(flow, PHONE))
    ((_, _, body),) = vonage.requests()
    assert body["advanced_machine_detection"] == {"behavior": "continue", "mode": "default", "beep_timeout": 45}


def test_first_step_that_listens_for_itself_does_not_make_vonage_listen_twice(vonage: RestServer) -> None:
    dial = ("dial", "connect", {"endpoint": {"type": "phone", "number": CALLEE}, "machineDetection": "continue"})
    flow = make_flow(dial, talk("bye"), branches=(("dial", "machine", "bye"),))
    make_number(flow)
    place(Order(flow, PHONE))
    ((_, _, body),) = vonage.requests()
    assert "advanced_machine_detection" not in body


@pytest.mark.parametrize(
    ("text", "endpoint", "name"),
    [
        ("+44 7700 900222", PHONE, CALLEE),
        ("(44) 7700-900.222", PHONE, CALLEE),
        ("sip:bob@example.com", {"type": "sip", "uri": "sip:bob@example.com"}, "sip:bob@example.com"),
        (
            "wss://bot.example.com/ws",
            {"type": "websocket", "uri": "wss://bot.example.com/ws", "content-type": "audio/l16;rate=16000"},
            "wss://bot.example.com/ws",
        ),
        ("user:jamie", {"type": "app", "user": "jamie"}, "jamie"),
    ],
)
def test_people_name_whom_to_call(text: str, endpoint: dict[str, Any], name: str) -> None:
    assert endpoint_of(text) == endpoint
    assert called(endpoint) == name


@pytest.mark.parametrize(
    "text", ["", "bob", "123", "0" * 20, "user:", "sip:", "wss://", "http://x", "\u0664\u0664" * 6]
)
def test_nobody_else_can_be_named(text: str) -> None:
    with pytest.raises(VonageError, match="expected"):
        endpoint_of(text)


def test_endpoint_that_vonage_would_refuse_is_refused_first(number: PhoneNumber, vonage: RestServer) -> None:
    with pytest.raises(VonageError, match="number: "):
        place(Order(flow_of(number), {"type": "phone", "number": "12"}))
    with pytest.raises(VonageError, match="type: expected one of"):
        check_endpoint({"type": "pigeon"})
    assert not vonage.asked
    assert not Call.objects.exists()


def test_sender_is_a_number_of_ours(number: PhoneNumber) -> None:
    assert number_of_ours("+44 7700 900001") == number
    with pytest.raises(VonageError, match="15550101234 is not one of our numbers"):
        number_of_ours("15550101234")
    assert usual_sender(flow_of(number)) == number
    assert usual_sender(make_flow(talk("x"), name="Nobody's")) is None


def test_flow_without_a_version_is_not_called_with(vonage: RestServer) -> None:
    with pytest.raises(VonageError, match="Draft has no published version: publish it first"):
        place(Order(make_flow(talk("x"), name="Draft", publish=False), PHONE))
    assert not Call.objects.exists()


def test_public_url_is_needed(number: PhoneNumber, settings: Settings) -> None:
    settings.PUBLIC_URL = ""
    with pytest.raises(VonageError, match="PUBLIC_URL is not set"):
        place(Order(flow_of(number), PHONE))


def test_application_that_places_it_is_known_or_asked_for(number: PhoneNumber, vonage: RestServer) -> None:
    flow = flow_of(number)
    second = Application.objects.create(name="Second", application_id="second")
    assert Order(flow, PHONE).application == number.application
    with pytest.raises(VonageError, match="several applications could place it"):
        _ = Order(make_flow(talk("x"), name="Unlinked"), PHONE).application
    number.application = None
    with pytest.raises(VonageError, match="number 447700900001 has no application"):
        _ = Order(flow, PHONE, number).application
    PhoneNumber.objects.all().delete()
    second.delete()
    Application.objects.all().delete()
    with pytest.raises(VonageError, match="there is no application yet"):
        _ = Order(flow, PHONE).application


# What may go wrong


def test_refused_call_ends_as_failed_with_the_sentence(number: PhoneNumber, vonage: RestServer) -> None:
    vonage.answer = lambda asked: Reply(400, payload("error_400_invalid_parameter"))
    with pytest.raises(VonageError, match="Invalid type parameter"):
        place(Order(flow_of(number), PHONE, number))
    call = Call.objects.get()
    assert (call.status, call.outcome, call.uuid) == ("completed", "failed", "")
    assert call.ended is not None
    texts = [each.text for each in call.timeline.all()]
    assert any("The call could not be placed: Vonage answered 400 (Bad Request: event_url" in each for each in texts)
    assert len(vonage.asked) == 1


@pytest.mark.parametrize("reply", [Reply(503), Reply(broken=True), Reply(201, {"status": "started"})])
def test_call_in_doubt_stays_open_until_it_is_settled(number: PhoneNumber, vonage: RestServer, reply: Reply) -> None:
    vonage.answer = lambda asked: reply
    with pytest.raises(VonageError) as failed:
        place(Order(flow_of(number), PHONE, number))
    assert failed.value.maybe
    call = Call.objects.get()
    assert (call.status, call.outcome) == ("", "")
    assert any("Nobody knows whether the call was placed" in each.text for each in call.timeline.all())
    job = Job.objects.get(kind="settle")
    assert 170 < (job.due - timezone.now()).total_seconds() <= 180
    KINDS["settle"](**job.arguments)
    call.refresh_from_db()
    assert (call.status, call.outcome) == ("completed", "failed")
    assert len(vonage.asked) == 1


def test_call_that_exists_is_settled_by_its_events(number: PhoneNumber, vonage: RestServer) -> None:
    call = place(Order(flow_of(number), PHONE, number))
    KINDS["settle"](call=call.pk)
    KINDS["settle"](call=10**9)
    call.refresh_from_db()
    assert call.status == "started"
