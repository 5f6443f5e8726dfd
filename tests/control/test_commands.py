"""Knows what `manage.py place_call` and `manage.py join_call` say, to people and to programs, and how they exit."""

from __future__ import annotations

import io
import json
import time
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from callflows.models import Call
from tests.control.test_rooms import dial_step, in_a_room, make_joinable
from tests.make import NUMBER, make_flow, make_number, make_prompt, talk
from tests.rest_server import CREATED, Reply, RestServer, payload

pytestmark = pytest.mark.django_db
CALLEE = "447700900222"


def say(name: str, *arguments: str) -> str:
    out = io.StringIO()
    call_command(name, *arguments, stdout=out)
    return out.getvalue()


def say_json(name: str, *arguments: str) -> tuple[Any, int]:
    """Return what a command printed as JSON, and its exit code."""
    out, code = io.StringIO(), 0
    try:
        call_command(name, *arguments, "--json", stdout=out)
    except SystemExit as ended:
        code = int(ended.code or 0)
    return json.loads(out.getvalue()), code


@pytest.fixture(autouse=True)
def survey(vonage: RestServer) -> None:
    make_number(make_flow(talk("hello"), name="Survey"))


def test_call_is_placed_and_told_in_words(vonage: RestServer) -> None:
    said = say("place_call", "--flow", "survey", "--to", "+44 7700 900222", "--ring", "20")
    call = Call.objects.get()
    assert said.splitlines() == [
        f"Vonage calls {CALLEE} from {NUMBER}: call {call.pk}, leg {CREATED['uuid']}.",
        "Who answers meets the flow Survey, version 1.",
    ]
    ((_, _, body),) = vonage.requests()
    assert (body["to"], body["ringing_timer"]) == ([{"type": "phone", "number": CALLEE}], 20)


def test_call_is_told_to_programs() -> None:
    told, code = say_json("place_call", "--flow", "Survey", "--to", "sip:bob@example.com", "--from", NUMBER)
    call = Call.objects.get()
    assert code == 0
    assert told == {
        "call": call.pk,
        "uuid": CREATED["uuid"],
        "conversation_uuid": CREATED["conversation_uuid"],
        "status": "started",
    }


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--flow", "Nobody", "--to", CALLEE), "there is no flow 'Nobody'; there are: Survey"),
        (("--flow", "Survey", "--to", "bob"), "expected a number such as 447700900123"),
        (("--flow", "Survey", "--to", CALLEE, "--from", "15550101234"), "15550101234 is not one of our numbers"),
        (("--flow", "Survey", "--to", CALLEE, "--ring", "121"), "--ring: expected 1 to 120 seconds, got 121"),
    ],
)
def test_mistakes_are_sentences(vonage: RestServer, arguments: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(CommandError) as failed:
        say("place_call", *arguments)
    assert str(failed.value).startswith(f"The call was not placed: {sentence}")
    told, code = say_json("place_call", *arguments)
    assert (told["error"].startswith(sentence), told["maybe_placed"], code) == (True, False, 1)
    assert not vonage.asked


def test_refusal_of_vonage_is_a_sentence(vonage: RestServer) -> None:
    vonage.answer = lambda asked: Reply(401, payload("error_401"))
    with pytest.raises(CommandError, match="The call was not placed: Vonage refused our token"):
        say("place_call", "--flow", "Survey", "--to", CALLEE)


def test_without_public_url_it_says_so(settings: Settings) -> None:
    settings.PUBLIC_URL = ""
    with pytest.raises(CommandError, match="PUBLIC_URL is not set"):
        say("place_call", "--flow", "Survey", "--to", CALLEE)


@pytest.mark.django_db(transaction=True)
def test_call_is_watched_to_its_end(vonage: RestServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def ring_out(seconds: float) -> None:
        """Instead of waiting: what happens meanwhile."""
        call = Call.objects.get()
        call.note("event", "busy")
        Call.objects.filter(pk=call.pk).update(status="completed", outcome="busy", ended=timezone.now())

    monkeypatch.setattr(time, "sleep", ring_out)
    said = say("place_call", "--flow", "Survey", "--to", CALLEE, "--watch").splitlines()
    assert said[-1] == "The call has ended: busy."
    assert [each[10:] for each in said[2:-1]] == [
        "Command: Call out for the command line: Survey from step hello",
        "Event: busy",
    ]


def test_app_joins_a_call(vonage: RestServer) -> None:
    call = in_a_room(make_joinable(dial_step(), name="Meeting"), number=None)
    said = say("join_call", "--call", str(call.pk), "--app", "echo")
    assert said.startswith("echo is on its way: line ")
    make_prompt(name="Music")
    vonage.answer = lambda asked: Reply(201, {**CREATED, "uuid": f"leg{len(vonage.asked)}"})
    assert "record listens" in say("join_call", "--call", "caller", "--app", "record", "--listen")
    told, code = say_json("join_call", "--call", "caller", "--app", "play", "--prompt", "music")
    assert (told["call"], told["app"], code) == (call.pk, "play", 0)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--call", "77", "--app", "echo"), "there is no call '77'"),
        (("--call", "9" * 30, "--app", "echo"), "there is no call '9999"),
        (("--call", "caller", "--app", "play", "--prompt", "None"), "there is no prompt 'None'"),
        (("--call", "caller", "--app", "sing"), "expected one of the apps echo, play, record"),
    ],
)
def test_nobody_joins_by_mistake(vonage: RestServer, arguments: tuple[str, ...], sentence: str) -> None:
    in_a_room(make_joinable(dial_step(), name="Meeting"), number=None)
    with pytest.raises(CommandError) as failed:
        say("join_call", *arguments)
    assert str(failed.value).startswith(f"Nobody joined the call: {sentence}")
    told, code = say_json("join_call", *arguments)
    assert (told["error"].startswith(sentence), code) == (True, 1)
    assert not vonage.asked
