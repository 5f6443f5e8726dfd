"""The NCCO that a call is served: the flow's options, our addresses, and the call's values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from callflows.ncco.document import errors, problems
from callflows.ncco.flow import Flow, Place, Step, Version
from callflows.ncco.served import FOREIGN, Context, build, compose, dial

CONTEXT = Context(
    values={"from": "447700900123", "to": "447700900001"},
    event_url=lambda place: f"https://example.com/events/{place.step.name}-{place.attempt}",
    socket_uri=lambda place: f"wss://example.com/socket/{place.step.name}",
    prompt_url=lambda version: f"https://example.com/prompts/{version}.wav",
    room="callflows-7",
)
EVENTS = ["https://example.com/events/it-1"]
PHONE = {"type": "phone", "number": "447700900222"}
SOCKET = {"type": "websocket", "uri": "wss://bot.example.com/s", "content-type": "audio/l16;rate=8000"}


def served(action: str, attempt: int = 1, **options: Any) -> dict[str, Any]:
    """Return the action that a step becomes; Vonage would take it."""
    step = Step("it", action, options)
    (found,) = build([Place(Version(1, 1, Flow((step,))), step, attempt)], CONTEXT)
    assert problems([found]) == []
    return found


def test_talk_is_served_as_it_is_with_the_calls_values() -> None:
    assert served("talk", text="Hello {{ from }}", loop=2) == {
        "action": "talk",
        "text": "Hello 447700900123",
        "loop": 2,
    }


def test_stream_of_a_prompt_has_the_address_of_its_version() -> None:
    found = served("stream", prompt={"version": 7, "name": "Tune"}, level=0.5)
    assert found == {"action": "stream", "streamUrl": ["https://example.com/prompts/7.wav"], "level": 0.5}


def test_stream_of_an_address_elsewhere_keeps_it() -> None:
    assert served("stream", streamUrl=["https://example.com/a.mp3"])["streamUrl"] == ["https://example.com/a.mp3"]


def test_input_collects_digits_and_reports_to_us() -> None:
    assert served("input", attempt=3, dtmf={"maxDigits": 1}) == {
        "action": "input",
        "type": ["dtmf"],
        "dtmf": {"maxDigits": 1},
        "eventUrl": ["https://example.com/events/it-3"],
    }


@pytest.mark.parametrize(
    ("action", "options"),
    [
        ("input", {}),
        ("input", {"type": ["speech"]}),
        ("record", {}),
        ("notify", {"payload": {}}),
        ("conversation", {"name": "room", "record": True}),
        ("connect", {"app": "echo"}),
        ("connect", {"endpoint": PHONE}),
    ],
)
def test_actions_with_a_result_report_to_the_address_of_their_step(action: str, options: dict[str, Any]) -> None:
    assert served(action, **options)["eventUrl"] == EVENTS


@pytest.mark.parametrize(
    ("action", "options"),
    [
        ("talk", {"text": "Hello"}),
        ("wait", {"timeout": 5}),
        ("conversation", {"name": "room"}),
        ("transfer", {"conversationId": "CON-1"}),
    ],
)
def test_actions_without_a_result_have_no_address(action: str, options: dict[str, Any]) -> None:
    assert served(action, **options) == {"action": action, **options}


@pytest.mark.parametrize("action", ["input", "record"])
def test_address_for_events_that_came_with_the_step_stays(action: str) -> None:
    assert served(action, eventUrl=["https://example.com/mine"])["eventUrl"] == ["https://example.com/mine"]


@pytest.mark.parametrize(("action", "options"), [("record", {}), ("conversation", {"name": "a", "record": True})])
def test_transcript_comes_to_where_the_recording_does(action: str, options: dict[str, Any]) -> None:
    found = served(action, transcription={"language": "en-GB"}, **options)
    assert found["transcription"] == {"language": "en-GB", "eventUrl": EVENTS}
    own = {"eventUrl": ["https://example.com/text"]}
    assert served(action, transcription=own, **options)["transcription"] == own
    elsewhere = served(action, transcription={}, eventUrl=["https://example.com/mine"], **options)
    assert elsewhere["transcription"] == {}


# Connect


def test_socket_app_is_reached_at_our_address_and_waits_for_replies() -> None:
    assert served("connect", app="play", settings={"prompt": {"version": 3}}, limit=60) == {
        "action": "connect",
        "from": "447700900001",
        "limit": 60,
        "eventType": "synchronous",
        "eventUrl": EVENTS,
        "endpoint": [
            {"type": "websocket", "uri": "wss://example.com/socket/it", "content-type": "audio/l16;rate=16000"}
        ],
    }


def test_socket_app_keeps_what_its_endpoint_says() -> None:
    endpoint = {"type": "websocket", "content-type": "audio/l16;rate=8000", "authorization": {"type": "vonage"}}
    found = served("connect", app="echo", endpoint=endpoint)["endpoint"]
    assert found == [{**endpoint, "uri": "wss://example.com/socket/it"}]


def test_socket_elsewhere_keeps_its_address_and_has_headers_with_the_calls_values() -> None:
    endpoint = {
        **SOCKET,
        "uri": "wss://bot.example.com/s?caller={{ from }}",
        "headers": {"caller": "{{ from }}", "n": 1},
    }
    assert served("connect", endpoint=endpoint)["endpoint"] == [
        {
            **SOCKET,
            "uri": "wss://bot.example.com/s?caller=447700900123",
            "headers": {"caller": "447700900123", "n": 1},
        }
    ]


@pytest.mark.parametrize(
    ("endpoint", "is_shown"),
    [
        (PHONE, True),
        ({**PHONE, "dtmfAnswer": "1p2", "onAnswer": {"url": "https://example.com/whisper"}}, True),
        ({"type": "sip", "uri": "sip:bob@pbx.example.com", "headers": {"Caller": "447700900123"}}, True),
        ({"type": "sip", "domain": "acme", "user": "bob"}, True),
        (SOCKET, True),
        ({"type": "app", "user": "alice"}, False),
        ({"type": "vbc", "extension": "1234"}, False),
    ],
)
def test_every_endpoint_is_served_as_it_is(endpoint: dict[str, Any], is_shown: bool) -> None:
    assert served("connect", endpoint=endpoint, timeout=20) == {
        "action": "connect",
        "endpoint": [endpoint],
        "timeout": 20,
        "eventType": "synchronous",
        "eventUrl": EVENTS,
        **({"from": "447700900001"} if is_shown else {}),
    }


def test_connect_whose_events_go_to_us_waits_for_replies_whatever_the_step_says() -> None:
    assert served("connect", app="echo", eventType=None)["eventType"] == "synchronous"


def test_connect_whose_events_go_elsewhere_is_served_as_it_came() -> None:
    options: dict[str, Any] = {"endpoint": SOCKET, "eventUrl": ["https://example.com/mine"]}
    assert served("connect", **options) == {"action": "connect", **options, "endpoint": [SOCKET]}


def test_connect_comes_from_the_number_that_was_called_unless_the_step_names_one() -> None:
    assert served("connect", app="echo")["from"] == "447700900001"
    own: dict[str, Any] = {"from": "447700900002"}
    assert served("connect", app="echo", **own)["from"] == "447700900002"


def test_connect_of_a_call_out_comes_from_our_number_too() -> None:
    step = Step("it", "connect", {"endpoint": PHONE})
    (found,) = build([Place(Version(1, 1, Flow((step,))), step)], replace(CONTEXT, own_number="{{ from }}"))
    assert found["from"] == "447700900123"


def test_connect_from_any_number_names_none() -> None:
    assert "from" not in served("connect", app="echo", randomFromNumber=True)


def test_nothing_of_ours_reaches_vonage() -> None:
    unused = {"type": "websocket", "uri": "wss://unused.example.com"}
    found = served("connect", app="echo", settings={"x": 1}, endpoint=unused)
    assert not {"app", "settings", "prompt", "headerSet"} & found.keys()
    assert found["endpoint"][0].keys() == {"type", "uri", "content-type"}
    assert found["endpoint"][0]["uri"] == "wss://example.com/socket/it"


def test_app_that_is_left_from_another_endpoint_changes_nothing() -> None:
    assert served("connect", app="echo", endpoint=PHONE)["endpoint"] == [PHONE]


# What an import brought


@pytest.mark.parametrize("action", ["talk", "connect"])
def test_options_that_are_only_called_like_ours_are_served(action: str) -> None:
    options = {"text": "Hello"} if action == "talk" else {"endpoint": SOCKET}
    step = Step("it", action, {**options, FOREIGN: {"app": "bot", "prompt": "x"}})
    (found,) = build([Place(Version(1, 1, Flow((step,))), step)], CONTEXT)
    assert (found["app"], found["prompt"]) == ("bot", "x")
    assert FOREIGN not in found


@pytest.mark.parametrize("prompt", ["a text", 5, None, {"id": 5, "version": None}])
def test_prompt_that_is_none_is_left_alone(prompt: Any) -> None:
    step = Step("it", "stream", {"prompt": prompt, "streamUrl": ["https://example.com/a.mp3"]})
    (found,) = build([Place(Version(1, 1, Flow((step,))), step)], CONTEXT)
    assert found["streamUrl"] == ["https://example.com/a.mp3"]


# Rooms


def test_connect_of_a_joinable_flow_lets_the_caller_wait_in_the_room() -> None:
    steps = (Step("hello", "talk", {"text": "Hello"}), Step("call", "connect", {"endpoint": PHONE}))
    version = Version(1, 1, Flow(steps, joinable=True))
    document = build([Place(version, step) for step in steps], CONTEXT)
    assert document[1] == {"action": "conversation", "name": "callflows-7", "endOnExit": True}
    assert problems(document) == []


def test_who_is_called_into_the_room_is_called_as_by_a_connect() -> None:
    step = Step("it", "connect", {"endpoint": {**PHONE, "number": "{{ answers.who }}"}})
    context = replace(CONTEXT, values={**CONTEXT.values, "answers.who": "447700900333"})
    found = dial(Place(Version(1, 1, Flow((step,), joinable=True)), step), context)
    assert found.document[0]["endpoint"] == [{"type": "phone", "number": "447700900333"}]
    assert found.document[0]["eventUrl"] == EVENTS


# The whole document


def test_the_flow_itself_is_not_changed() -> None:
    endpoint = {"headers": {"a": "{{ from }}"}, "content-type": "audio/l16;rate=8000"}
    step = Step("it", "connect", {"app": "echo", "endpoint": endpoint})
    place = Place(Version(1, 1, Flow((step,))), step)
    assert build([place], CONTEXT) == build([place], CONTEXT)
    assert step.options == {"app": "echo", "endpoint": endpoint}
    assert endpoint.keys() == {"headers", "content-type"}


def test_document_has_one_action_for_each_place_in_order() -> None:
    steps = (Step("a", "talk", {"text": "A"}), Step("b", "talk", {"text": "B"}))
    version = Version(1, 1, Flow(steps))
    assert [each["text"] for each in build([Place(version, step) for step in steps], CONTEXT)] == ["A", "B"]


def test_what_values_made_too_long_is_cut_and_told_with_its_step() -> None:
    steps = (
        Step("menu", "talk", {"text": "Hello {{ answers.name }}"}),
        Step("again", "talk", {"text": "{{ answers.other }}"}),
        Step("bot", "connect", {"endpoint": {**SOCKET, "headers": {"name": "{{ answers.name }}", "id": "{{ uuid }}"}}}),
    )
    version = Version(1, 1, Flow(steps))
    values = {"answers.name": "word " * 400, "uuid": "u" * 36}
    found = compose([Place(version, step) for step in steps], replace(CONTEXT, values=values))
    assert [each["action"] for each in found.document] == ["talk", "connect"]
    assert found.document[1]["endpoint"][0]["headers"] == {"id": "u" * 36}
    assert [note.partition(":")[0] for note in found.notes] == ["Step menu", "Step again", "Step bot", "Step bot"]
    assert errors(found.document) == []
