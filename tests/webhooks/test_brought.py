"""Knows what a caller brings, that it is kept, and that documents can say it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from callflows.models import Call
from tests import dates
from tests.dates import stamp
from tests.make import CALLER, NUMBER, ROOM, UUID, Step, ask, event_url, make_flow, make_number, talk, tell

pytestmark = pytest.mark.django_db(transaction=True)

REGION = "https://api-eu-1.vonage.com"
DIGITS: Step = ("account", "input", {"dtmf": {"maxDigits": 6}})
SPEECH: Step = ("name", "input", {"type": ["speech"], "speech": {}})


def post(client: Client, **more: Any) -> Any:
    body = {"to": NUMBER, "from": CALLER, "uuid": UUID, "conversation_uuid": ROOM, **more}
    return client.post("/webhooks/answer", json.dumps(body), content_type="application/json").json()


def said(document: list[dict[str, Any]]) -> list[str]:
    return [action["text"] for action in document if action["action"] == "talk"]


def test_answer_keeps_what_came_with_the_caller(client: Client) -> None:
    make_number(make_flow(talk("hello")))
    long_ago = timezone.now() - timedelta(hours=1)
    tell(client, status="started", direction="inbound")
    Call.objects.update(news=long_ago)
    ask(client, region_url=REGION, custom_data='{"tier": "gold"}', **{"SipHeader_X-Customer": "20931"})
    call = Call.objects.get()
    assert call.brought == {"SipHeader_X-Customer": "20931", "custom_data": {"tier": "gold"}}
    assert call.region_url == REGION
    assert call.news > long_ago


def test_news_of_any_event_is_news_of_its_call(client: Client) -> None:
    ask(client)
    for event in ({"status": "ringing"}, {"uuid": None, "reason": "noise"}):
        long_ago = timezone.now() - timedelta(hours=1)
        Call.objects.update(news=long_ago)
        tell(client, **event)
        assert Call.objects.get().news > long_ago


@pytest.mark.parametrize("by", ["get", "post"])
def test_headers_and_custom_data_reach_the_document(client: Client, by: str) -> None:
    text = "{{ SipHeader_X-Customer }} is {{ custom_data.tier }}, {{ custom_data.none|default:'alone' }}"
    make_number(make_flow(talk("hello", text)))
    header = {"SipHeader_X-Customer": "20931"}
    if by == "get":
        document = ask(client, custom_data='{"tier":"gold"}', **header)
    else:
        document = post(client, custom_data={"tier": "gold"}, **header)
    assert said(document) == ["20931 is gold, alone"]


def test_what_a_caller_brings_cannot_break_out_of_its_text(client: Client) -> None:
    make_number(make_flow(talk("hello", "Hi {{ custom_data.name }}")))
    mean = '"}, {"action": "talk", "text": "{{ from }}'
    assert said(post(client, custom_data={"name": mean})) == [f"Hi {mean}"]


def test_what_a_caller_brings_reaches_the_documents_of_branches(client: Client) -> None:
    steps = (DIGITS, talk("thanks", "{{ custom_data.tier }}: {{ answers.account }}"))
    make_number(make_flow(*steps, branches=(("account", "wrong", "thanks"),)))
    action = post(client, custom_data={"tier": "gold"})[0]
    reply = tell(client, event_url(action), dtmf={"digits": "4711", "timed_out": False})
    assert said(reply.json()) == ["gold: 4711"]


def test_answers_are_kept_by_their_steps_the_newest_of_each(client: Client) -> None:
    steps = (DIGITS, SPEECH, talk("thanks", "{{ answers.account }}, {{ answers.name }}"))
    branches = (("account", "wrong", "name"), ("name", "wrong", "thanks"))
    make_number(make_flow(*steps, branches=branches))
    url = event_url(ask(client)[0])
    tell(client, url, dtmf={"digits": "1", "timed_out": False})
    document = tell(client, url, dtmf={"digits": "22", "timed_out": False}, timestamp=stamp(9)).json()
    spoken = {"results": [{"text": "Ada", "confidence": "0.9"}, {"text": "Eider", "confidence": "0.2"}]}
    reply = tell(client, event_url(document[0]), speech=spoken, timestamp=stamp(12))
    assert said(reply.json()) == ["22, Ada"]
    assert Call.objects.get().answers == {"account": "22", "name": "Ada"}


def test_silence_is_no_answer(client: Client) -> None:
    make_number(make_flow(DIGITS, talk("thanks", "{{ answers.account|default:'nothing' }}")))
    url = event_url(ask(client)[0])
    tell(client, url, dtmf={"digits": "", "timed_out": True})
    assert Call.objects.get().answers == {}


@pytest.mark.parametrize(
    ("zone", "told"),
    [
        ("UTC", (0, "23:30 Saturday")),
        ("Europe/Berlin", (1, "00:30 Sunday")),
        ("America/New_York", (0, "18:30 Saturday")),
    ],
)
def test_date_and_time_are_those_of_the_number(client: Client, zone: str, told: tuple[int, str]) -> None:
    (days, time), at = told, dates.winter_saturday(23, 30)
    make_number(make_flow(talk("hello", "{{ date }} {{ time }} {{ weekday }}")), time_zone=zone)
    with time_machine.travel(at):
        assert said(ask(client)) == [f"{at + timedelta(days):%Y-%m-%d} {time}"]


def test_headers_of_an_event_reach_the_document_of_its_branch(client: Client) -> None:
    echo: Step = ("echo", "connect", {"app": "echo"})
    sorry = talk("sorry", "Sorry, {{ headers.name|default:'you' }}")
    make_number(make_flow(echo, sorry, branches=(("echo", "failed", "sorry"),), then={"echo": "end"}))
    url = event_url(ask(client)[0])
    reply = tell(client, url, uuid="b" * 32, status="failed", headers={"name": "Ada"})
    assert said(reply.json()) == ["Sorry, Ada"]


@pytest.mark.parametrize("seconds", [-30, 30])
def test_call_starts_at_the_same_time_whether_its_event_or_its_answer_comes_first(client: Client, seconds: int) -> None:
    make_number(make_flow(talk("hello")))
    with time_machine.travel(dates.tomorrow(14, 5), tick=False):
        at = f"{timezone.now() + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.000Z"
        for leg, order in (("first", "ea"), ("second", "ae")):
            for each in order:
                if each == "a":
                    ask(client, uuid=leg, conversation_uuid=leg)
                else:
                    tell(client, uuid=leg, conversation_uuid=leg, status="started", timestamp=at)
    first, second = Call.objects.order_by("uuid")
    assert first.started == second.started
    assert first.legs.get().started == second.legs.get().started
