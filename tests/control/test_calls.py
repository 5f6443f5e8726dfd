"""Knows that what operators do to a live call reaches the right leg, and stands on its timeline, also when it fails."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from callflows.control import calls
from callflows.models import Application, Call, Job, Leg, Line, PromptVersion
from callflows.vonage.account import VonageError
from tests.make import CALLER, ECHO, NUMBER, ROOM, make_flow, make_number, make_prompt, talk
from tests.rest_server import Reply, RestServer, payload

pytestmark = pytest.mark.django_db
CONTROL = "/v1/calls/caller"


def make_call(**fields: Any) -> Call:
    """A live call: its caller, and whom they talk to."""
    facts = {"uuid": "caller", "status": "answered", "caller": CALLER, "called": NUMBER, "direction": "inbound"}
    call = Call.objects.create(application=Application.objects.get(), **{**facts, **fields})
    call.legs.create(uuid="caller", room=ROOM, kind="phone", status="answered")
    return call


def add_leg(call: Call, uuid: str, **fields: Any) -> Leg:
    return call.legs.create(uuid=uuid, room=ROOM, **{"kind": "phone", "status": "answered", **fields})


def told(call: Call) -> list[tuple[str, str, str]]:
    return [(each.kind, each.name, each.text) for each in call.timeline.all()]


@pytest.mark.parametrize(
    ("act", "request_", "entry"),
    [
        (
            lambda call: calls.hang_up(call, "ada"),
            ("PUT", CONTROL, payload("modify_hangup")),
            ("hang_up", "Hang up by ada"),
        ),
        (lambda call: calls.switch(call, "mute"), ("PUT", CONTROL, payload("modify_mute")), ("mute", "Mute")),
        (lambda call: calls.switch(call, "unmute"), ("PUT", CONTROL, payload("modify_unmute")), ("unmute", "Unmute")),
        (
            lambda call: calls.switch(call, "earmuff", "ada"),
            ("PUT", CONTROL, payload("modify_earmuff")),
            ("earmuff", "Earmuff by ada"),
        ),
        (
            lambda call: calls.switch(call, "unearmuff"),
            ("PUT", CONTROL, payload("modify_unearmuff")),
            ("unearmuff", "Unearmuff"),
        ),
        (
            lambda call: calls.talk(call, " One moment ", "ada"),
            ("PUT", f"{CONTROL}/talk", payload("talk_start_request")),
            ("talk", "Say “One moment” by ada"),
        ),
        (calls.stop_talking, ("DELETE", f"{CONTROL}/talk", None), ("hush", "Stop what is said")),
        (calls.stop_playing, ("DELETE", f"{CONTROL}/stream", None), ("stop", "Stop what is played")),
        (
            lambda call: calls.send_digits(call, "17p13#", "ada"),
            ("PUT", f"{CONTROL}/dtmf", payload("dtmf_request")),
            ("digits", "Send keys 17p13# by ada"),
        ),
    ],
)
def test_caller_is_who_it_happens_to(
    vonage: RestServer, act: Callable[[Call], str], request_: tuple[str, str, Any], entry: tuple[str, str]
) -> None:
    call = make_call()
    assert act(call) == entry[1]
    assert vonage.requests() == [request_]
    assert told(call) == [("command", *entry)]
    assert call.timeline.get().leg in (None, call.legs.get())


def test_another_leg_can_be_named(vonage: RestServer) -> None:
    call = make_call()
    other = add_leg(call, "other")
    calls.switch(call, "mute", "ada", other)
    calls.hang_up(call, "ada", other)
    assert [each.path for each in vonage.asked] == ["/v1/calls/other", "/v1/calls/other"]
    assert [each.leg for each in call.timeline.all()] == [other, other]


def test_prompt_is_played_from_our_public_address(vonage: RestServer) -> None:
    call, version = make_call(), make_prompt(name="Music").newest
    assert isinstance(version, PromptVersion)
    assert calls.play(call, version, "ada", loop=0) == "Play Music by ada"
    ((method, path, body),) = vonage.requests()
    assert (method, path) == ("PUT", f"{CONTROL}/stream")
    assert body["stream_url"][0].startswith(f"https://calls.example.com/sounds/{version.pk}-")
    assert (body["loop"], body["level"]) == (0, "0")


def test_whole_call_ends_with_its_caller_first(vonage: RestServer) -> None:
    call = make_call()
    add_leg(call, "gone", status="completed")
    add_leg(call, "bot")
    call.legs.create(uuid=None, room=ROOM)
    vonage.answer = lambda asked: Reply(404 if asked.path.endswith("/bot") else 204)
    calls.hang_up(call, "ada")
    assert [each.path for each in vonage.asked] == [CONTROL, "/v1/calls/bot"]
    assert told(call) == [("command", "hang_up", "Hang up by ada")]


def test_leg_that_stays_is_told(vonage: RestServer) -> None:
    call = make_call()
    add_leg(call, "bot")
    vonage.answer = lambda asked: Reply(403 if asked.path.endswith("/bot") else 204)
    calls.hang_up(call)
    assert "A leg of the call could not be hung up: Vonage does not allow this" in call.timeline.all()[0].text


def test_failure_stands_on_the_timeline_and_is_raised(vonage: RestServer) -> None:
    call = make_call()
    vonage.answer = lambda asked: Reply(404, payload("error_404_inferred"))
    with pytest.raises(VonageError, match="does not know this leg"):
        calls.switch(call, "mute", "ada")
    (entry,) = call.timeline.all()
    assert (entry.kind, entry.name) == ("problem", "mute")
    assert entry.text.startswith("Mute by ada failed: Vonage does not know this leg: it may have ended")


@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        (lambda call: calls.talk(call, "  "), "expected a text of 1 to 1500 characters, got 0"),
        (lambda call: calls.talk(call, "x" * 1501), "expected a text of 1 to 1500 characters, got 1501"),
        (lambda call: calls.send_digits(call, "1 2"), "expected keys 0 to 9, *, # and p for a pause, got '1 2'"),
        (lambda call: calls.send_digits(call, ""), "expected keys 0 to 9, *, # and p for a pause, got ''"),
    ],
)
def test_what_vonage_would_refuse_is_not_asked(vonage: RestServer, act: Callable[[Call], str], sentence: str) -> None:
    call = make_call()
    with pytest.raises(VonageError) as failed:
        act(call)
    assert str(failed.value).startswith(sentence)
    assert not vonage.asked
    assert sentence in call.timeline.get().text


def test_call_that_has_ended_is_left_alone(vonage: RestServer) -> None:
    call = make_call(status="completed")
    with pytest.raises(VonageError, match="the call has ended"):
        calls.hang_up(call)
    assert not vonage.asked


def test_call_without_a_leg_says_so(vonage: RestServer) -> None:
    call = make_call()
    call.legs.all().delete()
    with pytest.raises(VonageError, match="no event has named a leg of this call yet"):
        calls.hang_up(call)
    assert call.timeline.get().kind == "problem"


# Transfers


def test_transfer_serves_the_flow_inline(vonage: RestServer) -> None:
    call, flow = make_call(), make_flow(talk("hello", "You came from {{ from }}."), name="Other")
    Call.objects.update(created=timezone.now())
    call.refresh_from_db()
    assert calls.transfer_to_flow(call, flow, "ada") == "Transfer to Other by ada"
    document = [{"action": "talk", "text": f"You came from {CALLER}."}]
    assert vonage.requests() == [
        ("PUT", CONTROL, {"action": "transfer", "destination": {"type": "ncco", "ncco": document}})
    ]
    entry = call.timeline.get()
    assert (entry.kind, entry.text) == ("command", "Transfer to Other by ada")
    assert entry.data["ncco"] == document


def test_transfer_into_a_socket_expects_its_line_and_hides_its_token(vonage: RestServer) -> None:
    flow = make_flow(ECHO)
    call = make_call()
    calls.transfer_to_flow(call, flow)
    line = Line.objects.get()
    ((_, _, body),) = vonage.requests()
    uri = body["destination"]["ncco"][0]["endpoint"][0]["uri"]
    assert uri.startswith(f"wss://calls.example.com/socket/{line.pk}/")
    assert uri.rpartition("/")[2] not in str(call.timeline.get().data)


def test_socket_that_the_caller_leaves_is_hung_up_and_a_phone_is_not(vonage: RestServer) -> None:
    flow = make_flow(talk("hello"))
    call = make_call()
    bot, _ = add_leg(call, "bot", kind="websocket"), add_leg(call, "agent")
    past = timezone.now() - timedelta(seconds=9)
    Line.objects.create(call=call, leg=bot, step="x", app="echo", expires=past, opened=past, state=Line.State.OPEN)
    calls.transfer_to_flow(call, flow)
    assert [each.path for each in vonage.asked] == [CONTROL, "/v1/calls/bot"]


def test_flow_that_was_published_later_is_not_this_call_s(vonage: RestServer) -> None:
    call, flow = make_call(created=timezone.now() - timedelta(minutes=5)), make_flow(talk("hello"), name="New")
    with pytest.raises(VonageError, match="New had no published version when this call began"):
        calls.transfer_to_flow(call, flow)
    assert not vonage.asked


def test_transfer_needs_our_public_address(vonage: RestServer, settings: Settings) -> None:
    flow, settings.PUBLIC_URL = make_flow(talk("hello")), ""
    with pytest.raises(VonageError, match="PUBLIC_URL is not set"):
        calls.transfer_to_flow(make_call(), flow)


@pytest.mark.parametrize(("status", "left"), [(404, 0), (503, 1)])
def test_transfer_that_failed_dials_nobody(vonage: RestServer, status: int, left: int) -> None:
    flow = make_flow(ECHO, joinable=True)
    call = make_call()
    vonage.answer = lambda asked: Reply(status)
    with pytest.raises(VonageError):
        calls.transfer_to_flow(call, flow)
    assert Job.objects.filter(kind="dial_in").count() == left


def test_document_that_cannot_be_served_is_a_sentence(vonage: RestServer) -> None:
    number = make_number()
    flow = make_flow(("dial", "connect", {"endpoint": {"type": "phone", "number": "{{ answers.who }}"}}), prefixes="44")
    with pytest.raises(VonageError, match="the document cannot be served"):
        calls.transfer_to_flow(make_call(number=number), flow)
    assert not vonage.asked
