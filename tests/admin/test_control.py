"""Knows what operators can do with a live call from its page: by POST, with the permission, told on the timeline."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from callflows.admin.control import ACTS
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


def problem(page: Any) -> tuple[str, str]:
    """Return at which form of a page it stands that something was not done, and what it says."""
    control = page.context["control"]
    assert unescape(page.content.decode()).count(control["problem"]) == 1
    return control["failed"], control["problem"]


def confirmed(client: Client, call: Call, **sent: Any) -> dict[str, Any]:
    """Ask to join; return what the page that asks back sends."""
    page = say(client, call, "join", **sent)
    return {**page.context["sent"], "once": page.context["once"]}


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


@pytest.mark.parametrize(
    ("sent", "told", "may_speak"),
    [
        ({}, "It hears everybody in the room, and everybody hears it.", None),
        ({"listen": "on"}, "It hears everybody in the room, and nobody hears it.", []),
    ],
)
def test_app_joins_once_it_was_said_that_this_costs_money(
    admin_client: Client, call: Call, vonage: RestServer, sent: dict[str, str], told: str, may_speak: list[str] | None
) -> None:
    page = say(admin_client, call, "join", app="echo", **sent)
    text = " ".join(page.content.decode().split())
    assert "“Echo: callers hear themselves”" in text
    assert told in text
    assert "This costs money" in text
    assert not vonage.asked
    assert messages(say(admin_client, call, "join", **confirmed(admin_client, call, app="echo", **sent))) == [DONE]
    assert vonage.requests()[0][2]["ncco"][0].get("canSpeak") == may_speak
    assert call.lines.get().app == "echo"


def test_second_click_calls_no_second_app(admin_client: Client, call: Call, vonage: RestServer) -> None:
    sent = confirmed(admin_client, call, app="echo")
    say(admin_client, call, "join", **sent)
    page = say(admin_client, call, "join", **sent)
    assert messages(page)[-1] == "It was called in already: it was not called again."
    assert len(vonage.asked) == 1


def test_who_changes_their_mind_finds_the_form_as_they_left_it(admin_client: Client, call: Call) -> None:
    version = make_prompt(name="Bell").newest
    assert version is not None
    asked = say(admin_client, call, "join", app="play", version=version.pk, listen="on")
    assert ", with the prompt Bell." in " ".join(asked.content.decode().split())
    address = f"{CALLS}{call.pk}/change/?{asked.context['back']}"
    assert address in unescape(asked.content.decode())
    page = " ".join(admin_client.get(address).content.decode().split())
    assert '<option value="play" selected>' in page
    assert f'<option value="{version.pk}" selected>Bell' in page
    assert 'name="listen" checked' in page


def test_playing_app_needs_its_prompt(admin_client: Client, call: Call, vonage: RestServer) -> None:
    sentence = "It was not done. Choose the prompt that is to be played."
    assert problem(say(admin_client, call, "join", app="play")) == ("join", sentence)
    version = make_prompt(name="Bell").newest
    assert version is not None
    say(admin_client, call, "join", **confirmed(admin_client, call, app="play", version=version.pk))
    assert call.lines.get().settings["prompt"]["version"] == version.pk


def test_joining_needs_the_permission_to_place_calls_too(call: Call, vonage: RestServer) -> None:
    operator = someone("view_call", "control_call")
    assert "End the call" in page_of(operator, call)
    assert "Join the call" not in page_of(operator, call)
    assert say(operator, call, "join", app="echo").status_code == 403
    caller = someone("view_call", "control_call", "place_call", name="ben")
    assert "Join the call" in page_of(caller, call)
    sent = confirmed(caller, call, app="echo")
    assert say(operator, call, "join", **sent).status_code == 403
    assert not vonage.asked


@pytest.mark.parametrize(
    ("do", "sent", "form", "sentence"),
    [
        ("transfer", {"flow": "77"}, "transfer", "Choose the flow that the caller is to enter."),
        ("transfer", {"flow": "²"}, "transfer", "Choose the flow that the caller is to enter."),
        ("play", {"version": "9" * 5000}, "prompt", "Choose the prompt that is to be played."),
        ("talk", {"text": ""}, "text", "Expected a text of 1 to 1500 characters, got 0."),
        ("digits", {"digits": "12x"}, "keys", "Expected keys 0 to 9, *, # and p for a pause, got '12x'."),
        ("join", {"app": "sing"}, "join", "Expected one of the apps echo, play, record, got 'sing'."),
    ],
)
def test_mistakes_are_sentences_at_their_forms(
    admin_client: Client, call: Call, vonage: RestServer, do: str, sent: dict[str, str], form: str, sentence: str
) -> None:
    assert problem(say(admin_client, call, do, **sent)) == (form, f"It was not done. {sentence}")
    assert not vonage.asked


def test_refusal_of_vonage_is_told_and_nothing_typed_is_lost(
    admin_client: Client, call: Call, agent: Leg, vonage: RestServer
) -> None:
    vonage.answer = lambda asked: Reply(404)
    sent = {"text": "It's <Anna>", "language": "de-DE", "leg": agent.pk}
    page = say(admin_client, call, "talk", **sent)
    form, sentence = problem(page)
    assert form == "text"
    assert sentence.startswith("It was not done. Vonage does not know this leg: it may have ended")
    text = " ".join(page.content.decode().split())
    assert 'value="It&#x27;s &lt;Anna&gt;"' in text
    assert 'value="de-DE"' in text
    assert f'<option value="{agent.pk}" selected>' in text
    assert call.timeline.filter(kind="problem", text__contains=" by admin failed").exists()


def test_what_may_have_been_done_is_not_called_undone(admin_client: Client, call: Call, vonage: RestServer) -> None:
    vonage.answer = lambda asked: Reply(broken=True)
    _, sentence = problem(say(admin_client, call, "digits", digits="1"))
    assert sentence.startswith("The connection to Vonage broke: ")
    assert sentence.endswith("It may have been done all the same: look at the timeline before you try again.")


def test_call_that_ended_meanwhile_says_so(admin_client: Client, call: Call, vonage: RestServer) -> None:
    Call.objects.update(status="completed")
    page = say(admin_client, call, "mute")
    assert "It was not done. The call has ended." in page.content.decode()
    assert not vonage.asked


def test_party_stays_chosen(admin_client: Client, call: Call, agent: Leg) -> None:
    page = say(admin_client, call, "mute", leg=agent.pk)
    assert f'<option value="{agent.pk}" selected>' in page.content.decode()


def test_audio_socket_is_named_by_its_app(admin_client: Client, call: Call) -> None:
    leg = call.legs.create(uuid="socket", kind="websocket", called="wss://x.example/socket/a/b", direction="outbound")
    call.lines.create(leg=leg, step="echo", app="echo", expires=timezone.now())
    assert f'<option value="{leg.pk}">audio socket: echo</option>' in page_of(admin_client, call)


def test_only_those_who_may_control_calls_do(call: Call, vonage: RestServer) -> None:
    reader = someone("view_call", "change_call", "place_call")
    assert "End the call" not in page_of(reader, call)
    for do in ACTS:
        assert say(reader, call, do, app="echo").status_code == 403
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
