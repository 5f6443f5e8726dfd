"""How long the actions before a socket can take: as long is its token good."""

from __future__ import annotations

from typing import Any

import pytest

from callflows.ncco.duration import longest

URL = "https://example.com/a.wav"


def seconds(*actions: dict[str, Any]) -> float | None:
    return longest(actions, {URL: 12.5})


def talk(text: str = "Hello", **options: Any) -> dict[str, Any]:
    return {"action": "talk", "text": text, **options}


def stream(url: str = URL, **options: Any) -> dict[str, Any]:
    return {"action": "stream", "streamUrl": [url], **options}


def test_nothing_takes_no_time() -> None:
    assert seconds() == 0


def test_slow_talk_is_within_the_bound() -> None:
    # 15 characters a second are usual, 4 of Chinese: 375 s for the longest text.
    assert seconds(talk("x" * 1500)) == 502


def test_repeats_are_counted() -> None:
    assert seconds(talk("x" * 30)) == 12
    assert seconds(talk("x" * 30, loop=3)) == 36
    assert seconds(talk("x" * 30, loop="3")) == 36
    assert seconds(stream(loop=2)) == 25


@pytest.mark.parametrize("action", [talk(loop=0), stream(loop=0), stream("https://example.com/other.mp3"), stream("")])
def test_what_goes_on_until_the_call_ends_or_has_no_known_length_has_no_bound(action: dict[str, Any]) -> None:
    assert seconds(action) is None


def test_ssml_can_pause_at_will_so_it_has_no_bound() -> None:
    assert seconds(talk("<speak>Hello <break time='60s'/></speak>")) is None


@pytest.mark.parametrize(
    ("options", "bound"),
    [
        ({}, 15),
        ({"dtmf": {}}, 15),
        ({"dtmf": {"timeOut": 10, "maxDigits": 20}}, 210),
        ({"dtmf": {"timeOut": "10", "maxDigits": "20"}}, 210),
        ({"type": ["speech"]}, 70),
        ({"type": ["speech"], "speech": {"startTimeout": 5, "maxDuration": 20}}, 25),
        ({"type": ["dtmf", "speech"], "dtmf": {"maxDigits": 1}, "speech": {"maxDuration": 5}}, 21),
        ({"mode": "asynchronous"}, 0),
    ],
)
def test_input_waits_for_the_first_key_and_after_each_and_for_speech(options: dict[str, Any], bound: float) -> None:
    assert seconds({"action": "input", "type": ["dtmf"], **options}) == bound


@pytest.mark.parametrize(("options", "bound"), [({}, 10), ({"timeout": 2.5}, 2.5), ({"timeout": 0}, 0.1)])
def test_wait_takes_as_long_as_it_says_within_what_vonage_allows(options: dict[str, Any], bound: float) -> None:
    assert seconds({"action": "wait", **options}) == bound
    assert seconds({"action": "wait", "timeout": 9999}) == 7200


@pytest.mark.parametrize(
    "action",
    [
        talk("x", loop="often"),
        {"action": "wait", "timeout": [5]},
        {"action": "input", "type": ["dtmf"], "dtmf": "all"},
        {"action": "record", "timeOut": "long"},
    ],
)
def test_value_that_is_no_number_gives_no_bound(action: dict[str, Any]) -> None:
    assert seconds(action) is None


def test_notify_takes_no_time() -> None:
    assert seconds({"action": "notify"}) == 0


@pytest.mark.parametrize(
    ("options", "bound"),
    [
        ({}, 0),
        ({"timeOut": 30}, 30),
        ({"endOnKey": "#", "timeOut": 30}, 30),
        ({"endOnSilence": 3, "timeOut": "30"}, 30),
        ({"endOnKey": "#"}, None),
        ({"endOnSilence": 3}, None),
        ({"endOnKey": None, "timeOut": None}, 0),
    ],
)
def test_recording_takes_as_long_as_it_may(options: dict[str, Any], bound: float | None) -> None:
    assert seconds({"action": "record", **options}) == bound


def test_other_actions_have_no_bound() -> None:
    assert seconds({"action": "connect"}) is None
    assert seconds({"action": "conversation"}) is None
    assert seconds({"action": "transfer"}) is None


def test_bounds_add_up_and_one_without_leaves_none() -> None:
    assert seconds(talk("x" * 30), stream()) == 24.5
    assert seconds(talk("x" * 60), stream(loop=0), stream()) is None
