"""What Vonage takes although it is not as documented: a warning, and served as it is."""

from __future__ import annotations

from typing import Any

import pytest

from callflows.ncco.document import errors
from tests.ncco.documents import Action, connect, only, phone, sip, socket, told

TALK = {"action": "talk", "text": "a"}


def dtmf(**settings: Any) -> Action:
    return {"action": "input", "type": ["dtmf"], "dtmf": settings}


def speech(**settings: Any) -> Action:
    return {"action": "input", "type": ["speech"], "speech": settings}


def detection(**settings: Any) -> Action:
    return {**phone(), "advancedMachineDetection": settings}


# Written otherwise


@pytest.mark.parametrize(
    ("action", "path", "message"),
    [
        ({**TALK, "loop": "2"}, "$[0].loop", "expected a whole number, got '2'"),
        ({**TALK, "style": 1.0}, "$[0].style", "expected a whole number, got 1.0"),
        ({**TALK, "level": "0.5"}, "$[0].level", "expected a number, got '0.5'"),
        ({**TALK, "level": "-1"}, "$[0].level", "expected a number, got '-1'"),
        ({**TALK, "premium": "true"}, "$[0].premium", "expected true or false, got 'true'"),
        ({**TALK, "premium": "false"}, "$[0].premium", "expected true or false, got 'false'"),
        (dtmf(maxDigits="5"), "$[0].dtmf.maxDigits", "expected a whole number, got '5'"),
        (
            phone(number="+447700900123"),
            "$[0].endpoint[0].number",
            "expected 7 to 15 digits that begin with the country code, got '+447700900123'",
        ),
        (
            connect([{"type": "app", "user": "alice"}], {"ringbackTone": ["https://a.example"]}),
            "$[0].ringbackTone",
            "expected text, got ['https://a.example']",
        ),
    ],
)
def test_value_that_can_only_mean_one_thing_is_warned_of(action: Action, path: str, message: str) -> None:
    assert only(action) == (path, "warning", message)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(
            ("loop", quoted)
            for quoted in ("x", "", " 2", "2 ", "1_000", "02", "+2", "1.5", "1.0", "1e3", "9" * 30, "²")
        ),
        *(("level", quoted) for quoted in ("", ".5", "1.", "NaN", "1e-1")),
        *(("premium", quoted) for quoted in ("True", "yes", "1", "on", "")),
        *(("text", other) for other in (["a"], 5, True)),
    ],
)
def test_value_that_could_mean_anything_is_an_error(option: str, value: object) -> None:
    assert only({**TALK, option: value})[:2] == (f"$[0].{option}", "error")


@pytest.mark.parametrize(
    "action",
    [
        {**TALK, "loop": "-1"},
        {**TALK, "level": "1.5"},
        phone(number="+4477"),
        phone(number="++447700900123"),
        connect([{"type": "app", "user": "alice"}], {"ringbackTone": ["ftp://a.example"]}),
        connect([{"type": "app", "user": "alice"}], {"ringbackTone": ["https://a.example"] * 2}),
        connect([{"type": "app", "user": "alice"}], {"ringbackTone": [5]}),
    ],
)
def test_what_was_meant_is_checked_as_if_it_were_written_so(action: Action) -> None:
    assert only(action)[1] == "error"


def test_quoted_number_is_also_looked_at_as_a_number() -> None:
    found = told(dtmf(maxDigits="21"))
    assert found == [("$[0].dtmf.maxDigits", "warning"), ("$[0].dtmf.maxDigits", "warning")]


# Ranges


@pytest.mark.parametrize(
    ("action", "path", "usual"),
    [
        (dtmf(timeOut=0), "$[0].dtmf.timeOut", "1 to 10, got 0"),
        (dtmf(maxDigits=22), "$[0].dtmf.maxDigits", "1 to 20, got 22"),
        (speech(startTimeout=11), "$[0].speech.startTimeout", "1 to 10, got 11"),
        (speech(startTimeout=60), "$[0].speech.startTimeout", "1 to 10, got 60"),
        (speech(sensitivity=9), "$[0].speech.sensitivity", "10 to 100, got 9"),
        (detection(beep_timeout=30), "$[0].advancedMachineDetection.beep_timeout", "45 to 120, got 30"),
        ({**phone(), "timeout": 0}, "$[0].timeout", "3 to 7200, got 0"),
        ({**phone(), "timeout": 7201}, "$[0].timeout", "3 to 7200, got 7201"),
        ({**phone(), "limit": 0}, "$[0].limit", "1 to 7200, got 0"),
    ],
)
def test_number_about_which_sources_disagree_is_warned_of(action: Action, path: str, usual: str) -> None:
    assert only(action) == (path, "warning", f"expected {usual}: Vonage's sources disagree about that")


@pytest.mark.parametrize("seconds", [0, 0.09, -5, 7200.5, 7201])
def test_wait_that_vonage_makes_longer_or_shorter_is_warned_of(seconds: float) -> None:
    message = f"expected 0.1 to 7200, got {seconds!r}: Vonage takes the nearest that it allows"
    assert only({"action": "wait", "timeout": seconds}) == ("$[0].timeout", "warning", message)


@pytest.mark.parametrize(
    "action",
    [
        dtmf(timeOut=1, maxDigits=1),
        dtmf(timeOut=10, maxDigits=20),
        speech(startTimeout=1, sensitivity=10, maxDuration=1, endOnSilence=0.4),
        speech(startTimeout=10, sensitivity=100, maxDuration=60, endOnSilence=10),
        detection(beep_timeout=45),
        detection(beep_timeout=120, mode="detect_beep", behavior="hangup"),
        {**phone(), "timeout": 3, "limit": 1},
        {**phone(), "timeout": 7200, "limit": 7200},
        {"action": "wait"},
        {"action": "wait", "timeout": 0.1},
        {"action": "wait", "timeout": 7200},
        *({"action": "record", "endOnSilence": silence} for silence in (3, 10)),
        *({"action": "record", "timeOut": seconds} for seconds in (3, 7200)),
        *({**TALK, "level": level} for level in (-1, -0.7, 0, 0.1, 0.3, 1, 1.0)),
    ],
)
def test_number_within_all_sources_is_taken(action: Action) -> None:
    assert told(action) == []


@pytest.mark.parametrize(
    ("action", "path"),
    [
        (dtmf(timeOut=-1), "$[0].dtmf.timeOut"),
        (dtmf(timeOut=11), "$[0].dtmf.timeOut"),
        (dtmf(maxDigits=0), "$[0].dtmf.maxDigits"),
        (speech(startTimeout=0), "$[0].speech.startTimeout"),
        (speech(maxDuration=0), "$[0].speech.maxDuration"),
        (speech(sensitivity=101), "$[0].speech.sensitivity"),
        (speech(endOnSilence=10.1), "$[0].speech.endOnSilence"),
        (detection(beep_timeout=29), "$[0].advancedMachineDetection.beep_timeout"),
        ({**phone(), "timeout": -1}, "$[0].timeout"),
        ({**phone(), "limit": 7201}, "$[0].limit"),
    ],
)
def test_number_beyond_all_sources_is_an_error(action: Action, path: str) -> None:
    assert only(action)[:2] == (path, "error")


@pytest.mark.parametrize("level", [0.25, -0.05, 0.55])
def test_level_between_two_steps_is_warned_of(level: float) -> None:
    assert only({**TALK, "level": level}) == ("$[0].level", "warning", f"expected steps of 0.1, got {level}")


# Texts


@pytest.mark.parametrize(
    ("action", "path", "message"),
    [
        ({"action": "record", "endOnKey": "0"}, "$[0].endOnKey", "one of Vonage's SDKs refuses 0, got '0'"),
        (
            {"action": "input", "type": ["dtmf"], "mode": "asyncronous"},
            "$[0].mode",
            "one of Vonage's SDKs misspells asynchronous so, got 'asyncronous'",
        ),
        (
            {**TALK, "provider": "Acme", "providerOptions": {}},
            "$[0].provider",
            "expected ElevenLabs or Google or Polly, got 'Acme'",
        ),
        ({**TALK, "voiceName": "Amy"}, "$[0].voiceName", "an old option: expected language and style instead"),
        (
            {**TALK, "eventUrl": ["https://a.example"]},
            "$[0].eventUrl",
            "an old option: Vonage took it out again in 2025",
        ),
        (
            phone(onAnswer={"url": "https://a.example", "ringback": "https://a.example/1.mp3"}),
            "$[0].endpoint[0].onAnswer.ringback",
            "an old option: expected ringbackTone, its name now",
        ),
    ],
)
def test_doubtful_text_or_option_is_warned_of(action: Action, path: str, message: str) -> None:
    assert only(action) == (path, "warning", message)


@pytest.mark.parametrize("provider", ["Google", "google", "Polly", "ElevenLabs"])
def test_name_of_a_provider_is_known_in_any_case(provider: str) -> None:
    assert told({**TALK, "provider": provider, "providerOptions": {"a": 1}}) == []


# Unknown options


@pytest.mark.parametrize(
    ("action", "path"),
    [
        ({**TALK, "colour": 1}, "$[0].colour"),
        (dtmf(colour=1), "$[0].dtmf.colour"),
        (socket(colour=1), "$[0].endpoint[0].colour"),
        (socket(authorization={"type": "vonage", "colour": 1}), "$[0].endpoint[0].authorization.colour"),
        (
            sip(uri="sip:b@example.com", standardHeaders={"Reason": "busy"}),
            "$[0].endpoint[0].standardHeaders.Reason",
        ),
    ],
)
def test_unknown_option_is_warned_of_and_the_known_ones_are_named(action: Action, path: str) -> None:
    found = only(action)
    assert found[:2] == (path, "warning")
    assert found[2].startswith("an option that Vonage does not document; known are ")


@pytest.mark.parametrize(
    ("action", "meant"),
    [
        ({"action": "record", "event_url": ["https://a.example"]}, "eventUrl"),
        ({"action": "record", "EventURL": ["https://a.example"]}, "eventUrl"),
        ({"action": "input", "type": ["dtmf"], "maxDigits": 1}, "dtmf.maxDigits"),
        (socket(contentType="audio/l16;rate=8000"), "content-type"),
        (detection(beepTimeout=45), "beep_timeout"),
    ],
)
def test_name_that_is_nearly_right_is_told_the_right_one(action: Action, meant: str) -> None:
    assert only(action)[2].endswith(f"; perhaps {meant} is meant")


def test_options_of_the_payload_and_of_headers_are_free() -> None:
    notify = {"action": "notify", "payload": {"any": {"thing": None}}, "eventUrl": ["https://a.example"]}
    assert told(notify, socket(headers={"any": [1, True, None]})) == []


def test_machine_detection_in_the_words_of_net_and_ruby_is_known_and_warned_of() -> None:
    path, severity, message = only({**phone(), "advanced_machine_detection": {"mode": "detect", "beep_timeout": 50}})
    assert (path, severity) == ("$[0].advanced_machine_detection", "warning")
    assert "expected advancedMachineDetection" in message
    assert [each.path for each in errors([{**phone(), "advanced_machine_detection": {"mode": "guess"}}])] == [
        "$[0].advanced_machine_detection.mode"
    ]
