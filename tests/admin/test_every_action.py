"""Each action and each endpoint: typed into the form, stored as Vonage spells it, published, and served to a call."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from callflows.models import CallFlow, HeaderSet
from callflows.ncco.actions import ACTIONS
from callflows.ncco.endpoints import ENDPOINTS
from tests.admin.forms import FLOWS, field_errors, flow_data, messages, step
from tests.make import NUMBER, ask, make_number, make_prompt

pytestmark = pytest.mark.django_db(transaction=True)

ROOM = "CON-1c9e6f30-5a7b-4d28-9e40-2f8b6a1d7c53"
HOLD = "https://sounds.example/hold.mp3"

# What is typed, what is stored, and what else is served; without the third one it is served as it is stored.
Case = tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]
CASES: dict[str, Case] = {
    "talk": (
        "talk",
        {"talk.text": "Hello {{ from }}", "talk.style": "3", "talk.premium": "on", "talk.level": "-0.5"},
        {"text": "Hello {{ from }}", "style": 3, "premium": True, "level": -0.5},
        {"text": "Hello 447700900123"},
    ),
    "stream": (
        "stream",
        {"stream.streamUrl": HOLD, "stream.loop": "0", "stream.level": "0.3"},
        {"streamUrl": [HOLD], "loop": 0, "level": 0.3},
        {},
    ),
    "input of keys": (
        "input",
        {"input.type": ["dtmf"], "input.dtmf.maxDigits": "4", "input.dtmf.submitOnHash": "on"},
        {"type": ["dtmf"], "dtmf": {"maxDigits": 4, "submitOnHash": True}},
        {},
    ),
    "input of both": (
        "input",
        {
            "input.type": ["dtmf", "speech"],
            "input.dtmf.timeOut": "5",
            "input.speech.language": "en-GB",
            "input.speech.context": "sales\r\nsupport",
            "input.speech.endOnSilence": "1.5",
            "input.speech.startTimeout": "8",
            "input.speech.maxDuration": "30",
            "input.speech.saveAudio": "on",
            "input.speech.sensitivity": "50",
        },
        {
            "type": ["dtmf", "speech"],
            "dtmf": {"timeOut": 5},
            "speech": {
                "language": "en-GB",
                "context": ["sales", "support"],
                "endOnSilence": 1.5,
                "startTimeout": 8,
                "maxDuration": 30,
                "saveAudio": True,
                "sensitivity": 50,
            },
        },
        {},
    ),
    "asynchronous input": (
        "input",
        {"input.type": ["dtmf"], "input.mode": "asynchronous"},
        {"type": ["dtmf"], "mode": "asynchronous"},
        {},
    ),
    "record": (
        "record",
        {
            "record.format": "wav",
            "record.split": "conversation",
            "record.channels": "4",
            "record.endOnSilence": "3",
            "record.endOnKey": "#",
            "record.timeOut": "60",
            "record.beepStart": "on",
        },
        {
            "format": "wav",
            "split": "conversation",
            "channels": 4,
            "endOnSilence": 3,
            "endOnKey": "#",
            "timeOut": 60,
            "beepStart": True,
        },
        {},
    ),
    "conversation": (
        "conversation",
        {
            "conversation.name": "Team {{ to }}",
            "conversation.startOnEnter": "",
            "conversation.endOnExit": "on",
            "conversation.musicOnHoldUrl": HOLD,
            "conversation.canHear": "4f1d0c9b7a6e4a2f8c3b5d7e9f012345",
            "conversation.canSpeak": "nobody",
        },
        {
            "name": "Team {{ to }}",
            "startOnEnter": False,
            "endOnExit": True,
            "musicOnHoldUrl": [HOLD],
            "canHear": ["4f1d0c9b7a6e4a2f8c3b5d7e9f012345"],
            "canSpeak": [],
        },
        {"name": f"Team {NUMBER}"},
    ),
    "muted conversation": (
        "conversation",
        {"conversation.name": "Team", "conversation.startOnEnter": "on", "conversation.mute": "on"},
        {"name": "Team", "mute": True},
        {},
    ),
    "notify": (
        "notify",
        {"notify.payload": '{"caller": "{{ from }}", "menu": {"choice": [1, true, null]}}'},
        {"payload": {"caller": "{{ from }}", "menu": {"choice": [1, True, None]}}},
        {"payload": {"caller": "447700900123", "menu": {"choice": [1, True, None]}}},
    ),
    "wait": ("wait", {"wait.timeout": "2.5"}, {"timeout": 2.5}, {}),
    "transfer": (
        "transfer",
        {"transfer.conversationId": ROOM, "transfer.mute": "on", "transfer.canHear": "a\nb"},
        {"conversationId": ROOM, "mute": True, "canHear": ["a", "b"]},
        {},
    ),
}
ENDPOINT_CASES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "phone": (
        {
            "connect.phone.number": "447700900222",
            "connect.phone.dtmfAnswer": "1p2",
            "connect.phone.onAnswer.url": "https://app.example/whisper",
            "connect.phone.onAnswer.ringbackTone": HOLD,
            "connect.from": "442079460000",
            "connect.timeout": "20",
            "connect.limit": "600",
            "connect.machineDetection": "continue",
        },
        {
            "number": "447700900222",
            "dtmfAnswer": "1p2",
            "onAnswer": {"url": "https://app.example/whisper", "ringbackTone": HOLD},
        },
        {"from": "442079460000", "timeout": 20, "limit": 600, "machineDetection": "continue"},
    ),
    "app": (
        {"connect.app.user": "alice", "connect.ringbackTone": HOLD},
        {"user": "alice"},
        {"ringbackTone": HOLD},
    ),
    "websocket": (
        {
            "connect.websocket.uri": "wss://bot.example/ws?call=1",
            "connect.websocket.content-type": "audio/l16;rate=8000",
            "connect.websocket.authorization.type": "custom",
            "connect.websocket.authorization.value": "ApiKey 7c1e",
        },
        {
            "uri": "wss://bot.example/ws?call=1",
            "content-type": "audio/l16;rate=8000",
            "authorization": {"type": "custom", "value": "ApiKey 7c1e"},
        },
        {},
    ),
    "sip": (
        {
            "connect.sip.uri": "sip:bob@pbx.example",
            "connect.sip.standardHeaders.User-to-User": "342342ef34;encoding=hex",
            "connect.randomFromNumber": "on",
            "connect.advancedMachineDetection.behavior": "hangup",
            "connect.advancedMachineDetection.mode": "detect_beep",
            "connect.advancedMachineDetection.beep_timeout": "45",
        },
        {"uri": "sip:bob@pbx.example", "standardHeaders": {"User-to-User": "342342ef34;encoding=hex"}},
        {
            "randomFromNumber": True,
            "advancedMachineDetection": {"behavior": "hangup", "mode": "detect_beep", "beep_timeout": 45},
        },
    ),
    "vbc": ({"connect.vbc.extension": "1234"}, {"extension": "1234"}, {}),
}


def published(client: Client, name: str, action: str, fields: dict[str, Any], **more: Any) -> CallFlow:
    """Save and publish a new flow of one step, and give it a number."""
    page = client.post(f"{FLOWS}add/", flow_data(step(name, action, **fields), _publish="1", **more), follow=True)
    assert "Reception: version 1 is live." in messages(page), field_errors(page)
    flow = CallFlow.objects.get()
    make_number(flow)
    return flow


def served(client: Client) -> dict[str, Any]:
    """Ask as Vonage does; return the one action, without our own address in it."""
    (action,) = ask(client)
    action.pop("eventUrl", None)
    return dict(action)


@pytest.mark.parametrize("case", CASES)
def test_action_is_stored_as_vonage_spells_it_and_served(admin_client: Client, case: str) -> None:
    action, typed, stored, changed = CASES[case]
    flow = published(admin_client, "only", action, typed)
    assert flow.steps.get().options == stored
    assert served(admin_client) == {"action": action, **stored, **changed}


@pytest.mark.parametrize("kind", ENDPOINT_CASES)
def test_endpoint_is_stored_as_vonage_spells_it_and_served(admin_client: Client, kind: str) -> None:
    typed, endpoint, rest = ENDPOINT_CASES[kind]
    flow = published(admin_client, "away", "connect", {"connect.to": kind, **typed})
    assert flow.steps.get().options == {"endpoint": {"type": kind, **endpoint}, **rest}
    found = served(admin_client)
    assert found["endpoint"] == [{"type": kind, **endpoint}]
    assert {name: found[name] for name in rest} == rest
    assert ("from" in found) == (kind not in ("app", "vbc") and "randomFromNumber" not in rest)


def test_the_cases_are_all_actions_and_all_endpoints() -> None:
    assert {action for action, *_ in CASES.values()} | {"connect"} == ACTIONS.keys()
    assert ENDPOINT_CASES.keys() == ENDPOINTS.keys()


def test_sound_of_ours_is_streamed_and_played(admin_client: Client) -> None:
    prompt = make_prompt()
    flow = published(admin_client, "sound", "stream", {"stream.prompt": prompt.pk, "stream.bargeIn": ""})
    assert flow.steps.get().options == {"prompt": prompt.pk}
    (url,) = served(admin_client)["streamUrl"]
    assert url.startswith("http://testserver/sounds/")


@pytest.mark.parametrize(("kind", "typed"), [("vonage", {}), ("custom", {"value": "Bearer 7c1e"})])
def test_app_of_ours_is_connected_with_headers_and_authorization(
    admin_client: Client, kind: str, typed: dict[str, str]
) -> None:
    headers = HeaderSet.objects.create(name="Call")
    headers.rows.create(key="caller", value="{{ from }}")
    fields = {
        "connect.to": "ours.echo",
        "connect.websocket.content-type": "audio/l16;rate=24000",
        "connect.websocket.authorization.type": kind,
        "connect.headerSet": headers.pk,
        **{f"connect.websocket.authorization.{name}": value for name, value in typed.items()},
    }
    flow = published(admin_client, "echo", "connect", fields)
    endpoint = {
        "type": "websocket",
        "content-type": "audio/l16;rate=24000",
        "authorization": {"type": kind, **typed},
    }
    assert flow.steps.get().options == {"endpoint": endpoint, "app": "echo", "headerSet": headers.pk}
    (found,) = served(admin_client)["endpoint"]
    assert found.pop("uri").startswith("ws://testserver/socket/")
    assert found == {**endpoint, "headers": {"caller": "447700900123"}}


def test_header_set_becomes_headers_of_a_sip_call(admin_client: Client) -> None:
    headers = HeaderSet.objects.create(name="Call")
    headers.rows.create(key="caller", value="{{ from }}")
    typed = {"connect.to": "sip", "connect.sip.domain": "acme", "connect.sip.user": "bob"}
    published(admin_client, "sip", "connect", {**typed, "connect.headerSet": headers.pk})
    (found,) = served(admin_client)["endpoint"]
    assert found == {"type": "sip", "domain": "acme", "user": "bob", "headers": {"caller": "447700900123"}}


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ({}, {}),
        ({"transcription": "on"}, {"transcription": {}}),
        (
            {"transcription": "on", "transcription.language": "en-GB", "transcription.sentimentAnalysis": "on"},
            {"transcription": {"language": "en-GB", "sentimentAnalysis": True}},
        ),
        ({"transcription.language": "en-GB"}, {}),
    ],
)
def test_transcription_is_there_when_it_is_switched_on(
    admin_client: Client, typed: dict[str, str], stored: dict[str, Any]
) -> None:
    fields = {f"record.{name}": value for name, value in typed.items()}
    flow = published(admin_client, "tape", "record", {"record.endOnKey": "#", **fields})
    assert flow.steps.get().options == {"endOnKey": "#", **stored}


def test_flow_that_may_be_joined_lets_its_caller_wait_in_a_room(admin_client: Client) -> None:
    fields = {"connect.to": "phone", "connect.phone.number": "447700900222"}
    flow = published(admin_client, "phone", "connect", fields, joinable="on")
    assert flow.joinable
    assert served(admin_client)["action"] == "conversation"
