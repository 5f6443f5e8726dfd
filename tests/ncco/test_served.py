"""The NCCO that a call is served: the flow's options, our addresses, and the call's values."""

from __future__ import annotations

from typing import Any

import pytest

from callflows.ncco.document import problems
from callflows.ncco.flow import Flow, Place, Step, Version
from callflows.ncco.served import Context, build

CONTEXT = Context(
    values={"from": "447700900123", "to": "447700900001"},
    event_url=lambda place: f"https://example.com/events/{place.step.name}-{place.attempt}",
    socket_uri=lambda place: f"wss://example.com/socket/{place.step.name}",
    prompt_url=lambda version: f"https://example.com/prompts/{version}.wav",
)


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


@pytest.mark.parametrize(("action", "options"), [("input", {}), ("record", {}), ("connect", {"app": "echo"})])
def test_actions_with_a_result_report_to_the_address_of_their_step(action: str, options: dict[str, Any]) -> None:
    assert served(action, **options)["eventUrl"] == ["https://example.com/events/it-1"]


@pytest.mark.parametrize("action", ["input", "record"])
def test_address_for_events_that_came_with_the_step_stays(action: str) -> None:
    assert served(action, eventUrl=["https://example.com/mine"])["eventUrl"] == ["https://example.com/mine"]


def test_socket_app_is_reached_at_our_address_and_waits_for_replies() -> None:
    assert served("connect", app="play", settings={"prompt": {"version": 3}}, limit=60) == {
        "action": "connect",
        "from": "447700900001",
        "limit": 60,
        "eventType": "synchronous",
        "eventUrl": ["https://example.com/events/it-1"],
        "endpoint": [
            {"type": "websocket", "uri": "wss://example.com/socket/it", "content-type": "audio/l16;rate=16000"}
        ],
    }


def test_socket_elsewhere_keeps_its_address_and_has_headers_with_the_calls_values() -> None:
    options: dict[str, Any] = {"content-type": "audio/l16;rate=8000", "headers": {"caller": "{{ from }}", "n": 1}}
    found = served("connect", uri="wss://bot.example.com/s?caller={{ from }}", **options)
    assert found["endpoint"] == [
        {
            "type": "websocket",
            "uri": "wss://bot.example.com/s?caller=447700900123",
            "content-type": "audio/l16;rate=8000",
            "headers": {"caller": "447700900123", "n": 1},
        }
    ]


def test_connect_waits_for_replies_whatever_the_step_says() -> None:
    assert served("connect", app="echo", eventType=None)["eventType"] == "synchronous"


def test_connect_comes_from_the_number_that_was_called_unless_the_step_names_one() -> None:
    assert served("connect", app="echo")["from"] == "447700900001"
    own: dict[str, Any] = {"from": "447700900002"}
    assert served("connect", app="echo", **own)["from"] == "447700900002"


def test_connect_from_any_number_names_none() -> None:
    assert "from" not in served("connect", app="echo", randomFromNumber=True)


def test_nothing_of_ours_reaches_vonage() -> None:
    found = served("connect", app="echo", settings={"x": 1}, uri="wss://unused.example.com", headers={})
    assert not {"app", "settings", "uri", "prompt", "headers", "content-type"} & found.keys()
    assert found["endpoint"][0].keys() == {"type", "uri", "content-type"}


def test_the_flow_itself_is_not_changed() -> None:
    step = Step("it", "connect", {"app": "echo", "headers": {"a": "{{ from }}"}, "content-type": "audio/l16;rate=8000"})
    place = Place(Version(1, 1, Flow((step,))), step)
    assert build([place], CONTEXT) == build([place], CONTEXT)
    assert step.options.keys() == {"app", "headers", "content-type"}


def test_document_has_one_action_for_each_place_in_order() -> None:
    steps = (Step("a", "talk", {"text": "A"}), Step("b", "talk", {"text": "B"}))
    version = Version(1, 1, Flow(steps))
    assert [each["text"] for each in build([Place(version, step) for step in steps], CONTEXT)] == ["A", "B"]
