"""Knows who is called into the room of a running call, as what, and where its caller goes on."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from callflows.admission import admit
from callflows.control.rooms import dial_in, join, move_on
from callflows.models import Application, AudioPrompt, Call, CallFlow, Job, Line, PhoneNumber
from callflows.models.jobs import Hopeless, TryAgain
from callflows.vonage.account import VonageError
from callflows.webhooks.addresses import StepRef
from callflows.webhooks.documents import entry, serve
from tests.make import CALLER, NUMBER, ROOM, make_flow, make_number, make_prompt, talk
from tests.rest_server import CREATED, Reply, RestServer, payload

pytestmark = pytest.mark.django_db
BASE = "https://calls.example.com"
AGENT = "447700900333"


def dial_step(**options: Any) -> tuple[str, str, dict[str, Any]]:
    return ("agent", "connect", {"endpoint": {"type": "phone", "number": AGENT}, **options})


def make_joinable(*steps: Any, **fields: Any) -> CallFlow:
    return make_flow(*steps, joinable=True, **fields)


def in_a_room(flow: CallFlow, **fields: Any) -> Call:
    """A live call that was served its flow: its caller waits in the room."""
    number = PhoneNumber.objects.first() or make_number(flow)
    facts = {"uuid": "caller", "status": "answered", "caller": CALLER, "called": NUMBER, "direction": "inbound"}
    whose = {"number": number, "application": number.application, "flow": flow}
    call = Call.objects.create(**{**whose, **facts, **fields})
    call.legs.create(uuid="caller", room=ROOM, kind="phone", status="answered")
    version = call.version_of(flow.pk)
    place = entry(version) if version else None
    assert place is not None
    served = serve(call, ROOM, place, BASE, timezone.now())
    call.note("answer", "Served", data={"ncco": served.document})
    return call


@pytest.fixture
def call(vonage: RestServer) -> Call:
    return in_a_room(make_joinable(talk("hello"), dial_step()))


def dialled(vonage: RestServer) -> Any:
    """Return the body of the one request that placed a call."""
    ((method, path, body),) = vonage.requests()
    assert (method, path) == ("POST", "/v1/calls")
    return body


# Joining


def test_assistant_is_called_into_the_room(call: Call, vonage: RestServer) -> None:
    line = join(call, "echo", by="ada")
    body = dialled(vonage)
    ref = body["event_url"][0].rpartition("/")[2]
    assert StepRef.read(ref) == StepRef(call.pk, 0, "", 1)
    uri = body["to"][0].pop("uri")
    assert uri.startswith(f"wss://calls.example.com/socket/{line.pk}/")
    assert body == {
        "to": [{"type": "websocket", "content-type": "audio/l16;rate=16000"}],
        "from": {"type": "phone", "number": NUMBER},
        "ncco": [{"action": "conversation", "name": call.room_name}],
        "event_url": [f"{BASE}/webhooks/events/{ref}"],
        "event_method": "POST",
    }
    line.refresh_from_db()
    assert (line.call, line.app, line.leg and line.leg.uuid) == (call, "echo", CREATED["uuid"])
    assert ("command", "Join with echo by ada") in [(each.kind, each.text) for each in call.timeline.all()]


def test_listener_is_heard_by_nobody(call: Call, vonage: RestServer) -> None:
    line = join(call, "record", listen=True)
    assert dialled(vonage)["ncco"] == [{"action": "conversation", "name": call.room_name, "canSpeak": []}]
    assert line.settings == {"beep": False, "end_key": "", "max_seconds": 7200}
    assert call.timeline.filter(text="Join with record as a listener").exists()


def test_joined_socket_is_let_in_with_its_own_settings(call: Call, vonage: RestServer) -> None:
    make_prompt(name="Music")
    line = join(call, "play", prompt=AudioPrompt.objects.get())
    admission = admit(line.pk, line.token)
    assert (admission.app, admission.branches) == ("play", frozenset())
    assert admission.settings["prompt"]["version"]


@pytest.mark.parametrize(("app", "sentence"), [("sing", "expected one of the apps"), ("play", "play needs a prompt")])
def test_app_has_to_be_one_that_can_run(call: Call, vonage: RestServer, app: str, sentence: str) -> None:
    with pytest.raises(VonageError, match=sentence):
        join(call, app)
    assert not vonage.asked
    assert not Line.objects.exists()


def test_call_that_is_in_no_room_cannot_be_joined(vonage: RestServer) -> None:
    call = in_a_room(make_flow(talk("hello")))
    with pytest.raises(VonageError, match="the call is in no room"):
        join(call, "echo")
    assert any("Join with echo failed: the call is in no room" in each.text for each in call.timeline.all())
    assert not vonage.asked


def test_call_that_left_its_room_cannot_be_joined(call: Call, vonage: RestServer) -> None:
    call.note("branch", "On to the end", data={"ncco": [{"action": "talk", "text": "Bye"}]})
    with pytest.raises(VonageError, match="in no room"):
        join(call, "echo")


def test_call_that_has_ended_cannot_be_joined(call: Call, vonage: RestServer) -> None:
    call.status = "completed"
    with pytest.raises(VonageError, match="has ended"):
        join(call, "echo")


@pytest.mark.parametrize(("status", "lines"), [(401, 0), (500, 1)])
def test_refused_socket_is_not_expected(call: Call, vonage: RestServer, status: int, lines: int) -> None:
    vonage.answer = lambda asked: Reply(status)
    with pytest.raises(VonageError):
        join(call, "echo")
    assert Line.objects.count() == lines


# Dialling into the room


def run_dial_in() -> Job:
    job = Job.objects.get(kind="dial_in")
    dial_in(**job.arguments)
    return job


def moves() -> list[dict[str, Any]]:
    return [job.arguments for job in Job.objects.filter(kind="move_on")]


def test_phone_is_called_into_the_room_of_its_caller(call: Call, vonage: RestServer) -> None:
    run_dial_in()
    body = dialled(vonage)
    version = call.version_of(call.flow_id or 0)
    assert version is not None
    ref = body["event_url"][0].rpartition("/")[2]
    assert StepRef.read(ref) == StepRef(call.pk, version.id, "agent", 1)
    assert body == {
        "to": [{"type": "phone", "number": AGENT}],
        "from": {"type": "phone", "number": NUMBER},
        "ncco": [{"action": "conversation", "name": call.room_name, "endOnExit": True}],
        "event_url": [f"{BASE}/webhooks/events/{ref}"],
        "event_method": "POST",
        "ringing_timer": 60,
        "length_timer": 7200,
    }
    leg = call.legs.get(uuid=CREATED["uuid"])
    assert (leg.called, leg.direction, leg.kind) == (AGENT, "outbound", "phone")
    assert not moves()


def test_room_stays_when_something_comes_after(vonage: RestServer) -> None:
    call = in_a_room(make_joinable(dial_step(), talk("bye")))
    run_dial_in()
    assert dialled(vonage)["ncco"] == [{"action": "conversation", "name": call.room_name, "endOnExit": False}]


def test_options_of_a_connect_become_those_of_a_request(vonage: RestServer) -> None:
    step = dial_step(timeout=20, limit=600, machineDetection="hangup", randomFromNumber=True)
    in_a_room(make_joinable(step))
    run_dial_in()
    body = dialled(vonage)
    assert (body["ringing_timer"], body["length_timer"], body["machine_detection"]) == (20, 600, "hangup")
    assert body["random_from_number"] is True
    assert "from" not in body


@pytest.mark.parametrize(
    ("endpoint", "sent"),
    [
        (
            {"type": "sip", "uri": "sip:bob@example.com", "standardHeaders": {"User-to-User": "34;encoding=hex"}},
            {"type": "sip", "uri": "sip:bob@example.com", "standard_headers": {"User-to-User": "34;encoding=hex"}},
        ),
        ({"type": "app", "user": "jamie"}, {"type": "app", "user": "jamie"}),
        ({"type": "vbc", "extension": "123"}, {"type": "vbc", "extension": "123"}),
        (
            {"type": "phone", "number": AGENT, "dtmfAnswer": "1p2", "onAnswer": {"url": "https://x.example/hello"}},
            {"type": "phone", "number": AGENT, "dtmfAnswer": "1p2"},
        ),
    ],
)
def test_every_endpoint_can_be_called_into_a_room(
    vonage: RestServer, endpoint: dict[str, Any], sent: dict[str, Any]
) -> None:
    detection = {"behavior": "continue", "mode": "detect", "beep_timeout": 60}
    in_a_room(make_joinable(("agent", "connect", {"endpoint": endpoint, "advancedMachineDetection": detection})))
    run_dial_in()
    body = dialled(vonage)
    assert body["to"] == [sent]
    assert body["from"] == {"type": "phone", "number": NUMBER}
    assert body["advanced_machine_detection"] == detection


def test_socket_of_ours_is_expected_when_it_is_called(vonage: RestServer) -> None:
    endpoint = {"type": "websocket", "content-type": "audio/l16;rate=16000"}
    call = in_a_room(make_joinable(("bot", "connect", {"app": "echo", "endpoint": endpoint})))
    assert not Line.objects.exists()
    run_dial_in()
    line = Line.objects.get()
    assert dialled(vonage)["to"][0]["uri"].startswith(f"wss://calls.example.com/socket/{line.pk}/")
    assert (line.call, line.app, line.step) == (call, "echo", "bot")


def test_nobody_is_dialled_for_a_call_that_has_ended(call: Call, vonage: RestServer) -> None:
    Call.objects.update(status="completed")
    run_dial_in()
    dial_in(call=10**9, version=1, step="agent", attempt=1)
    assert not vonage.asked


def test_dialling_twice_calls_once(call: Call, vonage: RestServer) -> None:
    run_dial_in()
    run_dial_in()
    assert len(vonage.asked) == 1
    assert not moves()


def test_dialling_that_died_before_it_was_sent_goes_on_as_failed(call: Call, vonage: RestServer) -> None:
    vonage.answer = lambda asked: Reply(broken=True)
    run_dial_in()
    assert not moves()
    run_dial_in()
    assert len(vonage.asked) == 1
    assert moves() == [{"call": call.pk}]


def test_phone_that_cannot_be_dialled_takes_its_branch(vonage: RestServer) -> None:
    call = in_a_room(make_joinable(dial_step(), talk("sorry"), branches=(("agent", "failed", "sorry"),)))
    vonage.answer = lambda asked: Reply(400, payload("error_400_invalid_parameter"))
    run_dial_in()
    ((move),) = moves()
    assert (move["step"], move["attempt"]) == ("sorry", 1)
    texts = [each.text for each in call.timeline.all()]
    assert "Step agent: failed, on to sorry" in texts
    assert any(each.startswith("Step agent could not be dialled: Vonage answered 400") for each in texts)


def test_without_a_branch_the_next_step_comes(vonage: RestServer, settings: Settings) -> None:
    call = in_a_room(make_joinable(dial_step(), talk("bye")))
    settings.PUBLIC_URL = ""
    run_dial_in()
    assert [each["step"] for each in moves()] == ["bye"]
    assert any("PUBLIC_URL is not set" in each.text for each in call.timeline.all())


def test_value_that_is_no_number_is_not_dialled(vonage: RestServer) -> None:
    endpoint = {"type": "phone", "number": "{{ answers.who }}"}
    call = in_a_room(make_joinable(("agent", "connect", {"endpoint": endpoint}), prefixes="44"))
    run_dial_in()
    assert not vonage.asked
    assert moves() == [{"call": call.pk}]


# Going on


def move(call: Call, step: str) -> None:
    version = call.version_of(call.flow_id or 0)
    assert version is not None
    move_on(call=call.pk, version=version.id, step=step, attempt=1)


def test_caller_is_fetched_out_of_the_room(call: Call, vonage: RestServer) -> None:
    move(call, "hello")
    ((method, path, body),) = vonage.requests()
    assert (method, path) == ("PUT", "/v1/calls/caller")
    assert body["destination"]["ncco"][0] == {"action": "talk", "text": "Hello"}
    assert call.timeline.filter(name="move_on", text="Goes on with step hello").exists()
    # The document that was left would have dialled; the new one does.
    assert Job.objects.filter(kind="dial_in").count() == 1


def test_when_nothing_comes_the_caller_is_hung_up(call: Call, vonage: RestServer) -> None:
    move_on(call=call.pk)
    assert vonage.requests() == [("PUT", "/v1/calls/caller", {"action": "hangup"})]
    assert call.timeline.filter(text="Nothing comes after: hang up").exists()


def test_call_that_ended_meanwhile_needs_nothing(call: Call, vonage: RestServer) -> None:
    vonage.answer = lambda asked: Reply(404)
    move_on(call=call.pk)
    assert not call.timeline.filter(kind="problem").exists()
    Call.objects.update(status="completed")
    move_on(call=call.pk)
    assert len(vonage.asked) == 1


def test_what_vonage_may_do_later_is_tried_again(call: Call, vonage: RestServer) -> None:
    vonage.answer = lambda asked: Reply(503)
    with pytest.raises(TryAgain, match="platform has trouble"):
        move(call, "hello")
    vonage.answer = lambda asked: Reply(403)
    with pytest.raises(Hopeless, match="does not allow"):
        move(call, "hello")
    Application.objects.update(private_key_variable="")
    with pytest.raises(Hopeless, match="no private key"):
        move(call, "hello")
    assert call.timeline.filter(kind="problem", name="move_on").count() == 3


def test_step_that_is_not_there_any_more_ends_the_call(call: Call, vonage: RestServer) -> None:
    move(call, "gone")
    assert vonage.requests() == [("PUT", "/v1/calls/caller", {"action": "hangup"})]
