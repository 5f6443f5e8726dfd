"""Which fields a step shows, what choosing something else gives up, and where each error stands."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from callflows.models import HeaderSet
from tests.admin.forms import FLOWS, flow_data, saved_again, step, wrong
from tests.make import make_flow

pytestmark = pytest.mark.django_db

PHONE = {"connect.to": "phone", "connect.phone.number": "447700900222"}


def errors_of(client: Client, action: str, fields: dict[str, Any]) -> dict[str, str]:
    """Return the first error of each field of one new step."""
    return {name.removeprefix("steps-0-"): each[0] for name, each in wrong(client, step("a", action, **fields)).items()}


@pytest.mark.parametrize(
    ("action", "fields", "field", "told"),
    [
        ("connect", {"connect.to": "phone"}, "connect.phone.number", "is required"),
        ("connect", {**PHONE, "connect.phone.number": "12"}, "connect.phone.number", "7 to 15 digits"),
        ("connect", {**PHONE, "connect.phone.dtmfAnswer": "1w2"}, "connect.phone.dtmfAnswer", "p for a pause"),
        (
            "connect",
            {**PHONE, "connect.phone.onAnswer.ringbackTone": "https://tones.example/a.wav"},
            "connect.phone.onAnswer.url",
            "is required",
        ),
        ("connect", {**PHONE, "connect.limit": "7201"}, "connect.limit", "at most 7200"),
        (
            "connect",
            {**PHONE, "connect.advancedMachineDetection.beep_timeout": "121"},
            "connect.advancedMachineDetection.beep_timeout",
            "at most 120",
        ),
        ("connect", {"connect.to": "sip"}, "connect.to", "expected uri, or domain and user; got none of them"),
        ("connect", {"connect.to": "sip", "connect.sip.domain": "acme"}, "connect.sip.user", "is required with domain"),
        ("connect", {"connect.to": "sip", "connect.sip.uri": "bob"}, "connect.sip.uri", "a SIP address"),
        ("connect", {"connect.to": "app"}, "connect.app.user", "is required"),
        ("connect", {"connect.to": "vbc"}, "connect.vbc.extension", "is required"),
        ("connect", {"connect.to": "websocket"}, "connect.websocket.uri", "is required"),
        (
            "connect",
            {"connect.to": "ours.echo", "connect.websocket.authorization.type": "custom"},
            "connect.websocket.authorization.value",
            "is required with type 'custom'",
        ),
        ("notify", {}, "notify.payload", "is required"),
        ("notify", {"notify.payload": "[1]"}, "notify.payload", "expected an object"),
        ("notify", {"notify.payload": "{"}, "notify.payload", "expected JSON"),
        ("input", {}, "input.type", "choose what it waits for: keys, speech, or both"),
        (
            "input",
            {"input.type": ["dtmf", "speech"], "input.mode": "asynchronous"},
            "input.type",
            "expected only 'dtmf', because mode is asynchronous",
        ),
        (
            "input",
            {"input.type": ["speech"], "input.speech.maxDuration": "61"},
            "input.speech.maxDuration",
            "at most 60",
        ),
        ("conversation", {}, "conversation.name", "is required"),
        ("transfer", {}, "transfer.conversationId", "is required"),
        ("wait", {"wait.timeout": "long"}, "wait.timeout", "expected a number"),
        ("pay", {}, "action", "Select a valid choice"),
    ],
)
def test_error_stands_on_its_own_field(
    admin_client: Client, action: str, fields: dict[str, Any], field: str, told: str
) -> None:
    found = errors_of(admin_client, action, fields)
    assert list(found) == [field]
    assert told in found[field]


def test_headers_that_are_too_long_are_told_where_their_set_is_chosen(admin_client: Client) -> None:
    headers = HeaderSet.objects.create(name="Long")
    headers.rows.create(key="k", value="x" * 600)
    found = errors_of(admin_client, "connect", {"connect.to": "ours.echo", "connect.headerSet": headers.pk})
    assert list(found) == ["connect.headerSet"]


def test_leading_elsewhere_gives_up_what_belonged_to_the_old_endpoint_only(admin_client: Client) -> None:
    phone = {"type": "phone", "number": "447700900222", "shaken": "kept while it is a phone"}
    options = {"endpoint": phone, "machineDetection": "continue", "timeout": 20, "mood": "glad"}
    flow = make_flow(("away", "connect", options), publish=False)
    assert saved_again(admin_client, flow, **{"connect.timeout": "30"}) == {**options, "timeout": 30}
    changed = saved_again(admin_client, flow, **{"connect.to": "app", "connect.app.user": "alice"})
    assert changed == {"endpoint": {"type": "app", "user": "alice"}, "timeout": 30, "mood": "glad"}


def test_showing_any_number_gives_up_the_chosen_one(admin_client: Client) -> None:
    options = {"endpoint": {"type": "phone", "number": "447700900222"}, "from": "442079460000"}
    flow = make_flow(("away", "connect", options), publish=False)
    changed = saved_again(admin_client, flow, **{"connect.randomFromNumber": "on"})
    assert changed == {"endpoint": options["endpoint"], "randomFromNumber": True}


def test_going_on_while_keys_are_pressed_gives_up_how_they_are_collected(admin_client: Client) -> None:
    flow = make_flow(("ask", "input", {"type": ["dtmf"], "dtmf": {"maxDigits": 1}}), publish=False)
    changed = saved_again(admin_client, flow, **{"input.mode": "asynchronous"})
    assert changed == {"type": ["dtmf"], "mode": "asynchronous"}


def test_authorization_can_be_taken_off(admin_client: Client) -> None:
    authorization = {"type": "custom", "value": "ApiKey 7c1e"}
    socket = {"type": "websocket", "uri": "wss://bot.example/a", "content-type": "audio/l16;rate=16000"}
    flow = make_flow(("bot", "connect", {"endpoint": {**socket, "authorization": authorization}}), publish=False)
    assert saved_again(admin_client, flow, **{"connect.websocket.authorization.type": ""}) == {"endpoint": socket}


@pytest.mark.parametrize(
    ("action", "options"),
    [
        ("input", {"dtmf": {"maxDigits": 1}}),
        ("input", {"type": ["speech"], "speech": {"uuid": ["a"], "provider": "Deepgram"}}),
        ("record", {"transcription": {}, "endOnKey": "#"}),
        ("record", {"transcription": {"eventUrl": ["https://other.example"], "language": "en-GB"}}),
        ("conversation", {"name": "Team", "canSpeak": [], "canHear": ["a", "b"], "mute": False}),
        ("connect", {"app": "echo"}),
        ("connect", {"app": "echo", "endpoint": {"type": "websocket", "authorization": {"type": "vonage"}}}),
        ("connect", {"endpoint": {"type": "websocket", "uri": "wss://a.example", "headers": {"a": 1}}, "mood": 1}),
        ("connect", {"endpoint": {"type": "sip", "uri": "sip:a@b.example", "headers": {"a": "1"}}, "timeout": "45"}),
        ("notify", {"payload": {"a": [1, {"b": None}]}, "eventMethod": "GET"}),
        ("wait", {"timeout": 2}),
        ("transfer", {"conversationId": "CON-1", "canSpeak": ["{{ uuid }}"]}),
    ],
)
def test_saving_a_step_of_any_kind_unchanged_changes_nothing(
    admin_client: Client, action: str, options: dict[str, Any]
) -> None:
    flow = make_flow(("only", action, options), publish=False)
    assert saved_again(admin_client, flow) == options


def test_failed_form_shows_everything_that_was_typed(admin_client: Client) -> None:
    fields = {
        "connect.to": "sip",
        "connect.sip.domain": "a domain that was typed",
        "connect.limit": "a limit that was typed",
        "connect.advancedMachineDetection.mode": "detect_beep",
    }
    steps = (
        step("away", "connect", **fields),
        step("tell", "notify", **{"notify.payload": "{a payload that was typed"}),
        step("ask", "input", **{"input.type": ["speech"], "input.speech.context": "words that\nwere typed"}),
    )
    page = admin_client.post(f"{FLOWS}add/", flow_data(*steps)).content.decode()
    for typed in ("a domain that was typed", "a limit that was typed", "{a payload that was typed", "words that\nwere"):
        assert typed in page
    assert '<option value="detect_beep" selected>' in page
    assert '<option value="sip" selected>' in page
    # What folds away is open where something is wrong with it.
    assert page.count('<details class="more" open>') == 1


def test_rare_options_that_are_set_are_counted_where_they_fold_away(admin_client: Client) -> None:
    flow = make_flow(("hello", "talk", {"text": "Hello", "style": 3, "loop": 2, "level": 0}), publish=False)
    page = admin_client.get(f"{FLOWS}{flow.pk}/change/").content.decode()
    assert "(2 set)" in page
