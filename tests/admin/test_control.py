"""Knows what operators can do with a live call from its page: by POST, with the permission, told on the timeline."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from callflows.models import Call, Leg
from tests.admin.forms import messages, someone
from tests.control.test_rooms import dial_step, in_a_room, make_joinable
from tests.make import make_prompt, talk
from tests.rest_server import CREATED, Reply, RestServer, payload

pytestmark = pytest.mark.django_db
CALLS = "/admin/callflows/call/"
CONTROL = "/v1/calls/caller"
DONE = "Vonage was told. What comes of it stands on the timeline."


@pytest.fixture
def call(vonage: RestServer) -> Call:
    make_prompt(name="Music")
    return in_a_room(make_joinable(talk("hello"), dial_step(), name="Meeting"))


@pytest.fixture
def agent(call: Call) -> Leg:
    return call.legs.create(uuid="agent", kind="phone", called="447700900333", direction="outbound", status="answered")


def page_of(client: Client, call: Call) -> str:
    response = client.get(f"{CALLS}{call.pk}/change/")
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def say(client: Client, call: Call, do: str, **sent: Any) -> Any:
    return client.post(f"{CALLS}{call.pk}/control/", {"do": do, **sent}, follow=True)


@pytest.mark.parametrize(
    ("do", "sent", "request_"),
    [
        ("end", {}, ("PUT", CONTROL, payload("modify_hangup"))),
        ("mute", {}, ("PUT", CONTROL, payload("modify_mute"))),
        ("unmute", {}, ("PUT", CONTROL, payload("modify_unmute"))),
        ("earmuff", {}, ("PUT", CONTROL, payload("modify_earmuff"))),
        ("unearmuff", {}, ("PUT", CONTROL, payload("modify_unearmuff"))),
        (
            "talk",
            {"text": "One moment", "language": "en-GB"},
            ("PUT", f"{CONTROL}/talk", payload("talk_start_request")),
        ),
        ("hush", {}, ("DELETE", f"{CONTROL}/talk", None)),
        ("stop", {}, ("DELETE", f"{CONTROL}/stream", None)),
        ("digits", {"digits": " 17p13# "}, ("PUT", f"{CONTROL}/dtmf", payload("dtmf_request"))),
    ],
)
def test_button_reaches_the_caller(
    admin_client: Client, call: Call, vonage: RestServer, do: str, sent: dict[str, str], request_: Any
) -> None:
    page = say(admin_client, call, do, **sent)
    assert messages(page) == [DONE]
    assert page.redirect_chain == [(f"{CALLS}{call.pk}/change/", 302)]
    assert vonage.requests() == [request_]
    assert call.timeline.filter(kind="command", text__endswith=" by admin").count() == 1


def test_party_can_be_chosen(admin_client: Client, call: Call, agent: Leg, vonage: RestServer) -> None:
    page = page_of(admin_client, call)
    assert f'<option value="{agent.pk}">phone +44 7700 900333</option>' in page
    say(admin_client, call, "hang_up", leg=agent.pk)
    say(admin_client, call, "mute", leg=agent.pk)
    assert {each.path for each in vonage.asked} == {"/v1/calls/agent"}


def test_leg_of_another_call_is_not_found(admin_client: Client, call: Call, vonage: RestServer) -> None:
    other = Call.objects.create(uuid="other").legs.create(uuid="other")
    assert say(admin_client, call, "mute", leg=other.pk).status_code == 404
    assert not vonage.asked


def test_prompt_is_played(admin_client: Client, call: Call, vonage: RestServer) -> None:
    version = make_prompt(name="Bell").newest
    assert version is not None
    assert messages(say(admin_client, call, "play", version=version.pk)) == [DONE]
    assert f"/sounds/{version.pk}-" in vonage.requests()[0][2]["stream_url"][0]


def test_caller_is_transferred(admin_client: Client, call: Call, vonage: RestServer) -> None:
    assert messages(say(admin_client, call, "transfer", flow=call.flow_id)) == [DONE]
    assert vonage.requests()[0][2]["destination"]["ncco"][0] == {"action": "talk", "text": "Hello"}
    assert call.timeline.filter(text="Transfer to Meeting by admin").exists()


@pytest.mark.parametrize(("sent", "may_speak"), [({}, None), ({"listen": "on"}, [])])
def test_app_joins(
    admin_client: Client, call: Call, vonage: RestServer, sent: dict[str, str], may_speak: list[str] | None
) -> None:
    assert "This is a call out, which costs money." in page_of(admin_client, call)
    assert messages(say(admin_client, call, "join", app="echo", **sent)) == [DONE]
    assert vonage.requests()[0][2]["ncco"][0].get("canSpeak") == may_speak
    assert call.lines.get().app == "echo"


def test_playing_app_needs_its_prompt(admin_client: Client, call: Call, vonage: RestServer) -> None:
    assert messages(say(admin_client, call, "join", app="play")) == [
        "It was not done: choose the prompt that is to be played."
    ]
    version = make_prompt(name="Bell").newest
    assert version is not None
    say(admin_client, call, "join", app="play", version=version.pk)
    assert call.lines.get().settings["prompt"]["version"] == version.pk


@pytest.mark.parametrize(
    ("do", "sent", "sentence"),
    [
        ("transfer", {"flow": "77"}, "choose the flow that the caller is to enter"),
        ("talk", {"text": ""}, "expected a text of 1 to 1500 characters, got 0"),
        ("join", {"app": "sing"}, "expected one of the apps echo, play, record, got 'sing'"),
    ],
)
def test_mistakes_are_sentences(
    admin_client: Client, call: Call, vonage: RestServer, do: str, sent: dict[str, str], sentence: str
) -> None:
    assert messages(say(admin_client, call, do, **sent)) == [f"It was not done: {sentence}."]
    assert not vonage.asked


def test_refusal_of_vonage_is_told(admin_client: Client, call: Call, vonage: RestServer) -> None:
    vonage.answer = lambda asked: Reply(404)
    (message,) = messages(say(admin_client, call, "mute"))
    assert message.startswith("It was not done: Vonage does not know this leg: it may have ended")
    assert call.timeline.filter(kind="problem", text__startswith="Mute by admin failed").exists()


def test_only_those_who_may_control_calls_do(call: Call, vonage: RestServer) -> None:
    reader = someone("view_call", "change_call", "place_call")
    assert "End the call" not in page_of(reader, call)
    assert say(reader, call, "end").status_code == 403
    operator = someone("view_call", "control_call", name="ben")
    assert "End the call" in page_of(operator, call)
    assert say(operator, call, "end").status_code == 200
    assert call.timeline.filter(text="Hang up by ben").exists()
    assert len(vonage.asked) == 1


def test_it_is_done_by_post_and_by_name_only(
    admin_client: Client, admin_user: User, call: Call, vonage: RestServer
) -> None:
    assert admin_client.get(f"{CALLS}{call.pk}/control/").status_code == 405
    assert say(admin_client, call, "explode").status_code == 400
    assert admin_client.post(f"{CALLS}77/control/", {"do": "end"}).status_code == 404
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(admin_user)
    assert strict.post(f"{CALLS}{call.pk}/control/", {"do": "end"}).status_code == 403
    assert not vonage.asked


def test_call_that_has_ended_shows_no_controls(admin_client: Client, call: Call) -> None:
    Call.objects.update(status="completed")
    assert "End the call" not in page_of(admin_client, call)


def test_call_in_no_room_cannot_be_joined_from_its_page(admin_client: Client, call: Call) -> None:
    assert "Join the call" in page_of(admin_client, call)
    call.timeline.all().delete()
    assert "Join the call" not in page_of(admin_client, call)


def test_leg_of_a_called_party_is_named(admin_client: Client, call: Call, agent: Leg) -> None:
    Call.objects.update(direction="outbound")
    page = page_of(admin_client, call)
    assert "who was called" in page
    assert CREATED["uuid"] not in page
