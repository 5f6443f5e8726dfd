"""Our end of an audio socket: what each message means, and that none can make it fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflows.audio.format import Format
from callflows.wire.connection import CLEAR, MAX_TEXT, Connection, notify
from callflows.wire.events import Audio, Cleared, Connected, Digit, Event, Played, Rubbish, Unknown

PAYLOADS = Path(__file__).parent.parent / "payloads" / "websocket"
HELLO = '{"event":"websocket:connected","content-type":"audio/l16;rate=16000"}'


def text(name: str) -> str:
    return (PAYLOADS / f"{name}.json").read_text()


def greeted(rate: int = 16000) -> Connection:
    connection = Connection()
    connection.receive(HELLO.replace("16000", str(rate)))
    return connection


def receive(message: str | bytes) -> Event:
    return greeted().receive(message)


# The first message


@pytest.mark.parametrize(
    ("name", "rate", "headers"),
    [
        ("connected_new", 16000, {"call_ref": "ref-20931", "caller-id": "447700900111"}),
        ("connected_new_24k", 24000, {"uuid": "4f1d0c9b7a6e4a2f8c3b5d7e9f012345", "tenant": 7}),
        (
            "connected_new_nested_headers",
            16000,
            {"name": "R. Weir", "vip": True, "age": 51, "address": {"line_1": "3 Quay Row", "city": "Leith"}},
        ),
        ("connected_new_no_headers", 8000, {}),
        ("connected_old", 16000, {"app": "demo"}),
        ("connected_old_with_metadata", 16000, {"prop1": "value1", "prop2": "value2"}),
    ],
)
def test_first_message_of_either_form_tells_format_and_headers(name: str, rate: int, headers: dict[str, Any]) -> None:
    connection = Connection()
    assert connection.receive(text(name)) == Connected(Format(rate), headers)
    assert connection.fmt == Format(rate)


@pytest.mark.parametrize("content_type", ["null", '"audio/mulaw"', '"audio/l16;rate=11025"', "16000"])
def test_first_message_with_another_format_is_rubbish_and_the_next_may_be_right(content_type: str) -> None:
    connection = Connection()
    found = connection.receive(f'{{"event":"websocket:connected","content-type":{content_type}}}')
    assert isinstance(found, Rubbish)
    assert "expected" in found.reason
    assert isinstance(connection.receive(HELLO), Connected)


def test_second_first_message_changes_nothing() -> None:
    connection = greeted()
    assert connection.receive(HELLO.replace("16000", "8000")) == Rubbish("a second first message")
    assert connection.receive(bytes(640)) == Audio(bytes(640))


def test_space_before_the_first_message_is_no_harm() -> None:
    assert isinstance(Connection().receive(f" {HELLO}\n"), Connected)


# Audio


@pytest.mark.parametrize(("rate", "size"), [(8000, 320), (16000, 640), (24000, 960)])
def test_frame_of_the_right_size_is_audio(rate: int, size: int) -> None:
    assert greeted(rate).receive(b"\1\2" * (size // 2)) == Audio(b"\1\2" * (size // 2))


@pytest.mark.parametrize("size", [0, 1, 320, 639, 641, 960, 1280, 2_000_000])
def test_frame_of_another_size_is_rubbish_with_both_sizes(size: int) -> None:
    assert receive(bytes(size)) == Rubbish(f"expected 640 bytes of audio, got {size}")


@pytest.mark.parametrize("size", [0, 320, 640])
def test_audio_before_the_first_message_is_rubbish(size: int) -> None:
    assert Connection().receive(bytes(size)) == Rubbish("audio before the first message")


# Keys


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (text("dtmf"), Digit("5", 260)),
        (text("dtmf_hash"), Digit("#", 100)),
        (text("dtmf_star"), Digit("*", 240)),
        (text("dtmf_legacy_no_event"), Digit("5", 260)),
        ('{"event":"websocket:dtmf","dtmf":{"digit":"7","duration":80}}', Digit("7", 80)),
        ('{"dtmf":{"digit":"7"}}', Digit("7")),
        ('{"event":"websocket:dtmf","digit":"0","duration":"long"}', Digit("0")),
    ],
)
def test_key_is_read_in_all_its_shapes(message: str, expected: Digit) -> None:
    assert receive(message) == expected


@pytest.mark.parametrize("digit", ['""', '"A"', '"12"', "5", "null", '["5"]', '"٣"'])
def test_key_that_no_phone_has_is_only_noted(digit: str) -> None:
    found = receive(f'{{"event":"websocket:dtmf","digit":{digit}}}')
    assert isinstance(found, Unknown)
    assert found.name == "websocket:dtmf"


# Answers to our commands


def test_cleared_is_understood() -> None:
    assert receive(text("cleared")) == Cleared()


def test_played_carries_what_we_sent() -> None:
    assert receive(text("notify")) == Played({"utterance": 17, "last": True})


@pytest.mark.parametrize("payload", ["", ',"payload":null', ',"payload":5', ',"payload":[1]'])
def test_played_without_an_object_carries_nothing(payload: str) -> None:
    assert receive(f'{{"event":"websocket:notify"{payload}}}') == Played({})


def test_commands_are_those_of_the_documentation() -> None:
    assert json.loads(CLEAR) == json.loads(text("command_clear"))
    assert json.loads(notify({"utterance": 17, "last": True})) == json.loads(text("command_notify"))
    assert json.loads(notify({})) == json.loads(text("command_notify_empty_payload"))


# What we do not know


def test_unknown_event_is_only_noted() -> None:
    assert receive(text("unknown_event")) == Unknown(
        "websocket:something-new", {"event": "websocket:something-new", "value": 1}
    )


def test_name_of_an_unknown_event_is_short() -> None:
    found = receive(json.dumps({"event": "x" * 10_000}))
    assert isinstance(found, Unknown)
    assert found.name == "x" * 100


@pytest.mark.parametrize("size", [MAX_TEXT + 1, 1_000_000])
def test_text_that_is_too_long_is_rubbish_unread(size: int) -> None:
    message = '{"event":"' + "x" * (size - 12) + '"}'
    assert receive(message) == Rubbish(f"expected at most {MAX_TEXT} characters of text, got {size}")
    assert isinstance(receive('{"event":"' + "x" * (MAX_TEXT - 12) + '"}'), Unknown)


@pytest.mark.parametrize("message", ["{}", '{"event":null}', '{"event":5}', '{"event":{}}', '{"x":1}'])
def test_object_without_a_known_event_is_only_noted(message: str) -> None:
    assert isinstance(receive(message), Unknown)


@pytest.mark.parametrize(
    "message", ["", "rubbish", '{"event":', "[]", "null", "5", '"websocket:cleared"', "\0", "[" * 100_000]
)
def test_text_that_is_no_object_is_rubbish_and_quoted_shortly(message: str) -> None:
    found = receive(message)
    assert isinstance(found, Rubbish)
    assert found.reason.startswith("expected ")
    assert len(found.reason) < 250


@pytest.mark.parametrize(
    "value",
    ["NaN", "-Infinity", "1e999", r'"\u0000"', r'"\ud800"', r'{"\u0000":1}', "[" * 300 + "]" * 300],
)
@pytest.mark.parametrize("message", ['{"event":"new","x":%s}', '{"content-type":"audio/l16;rate=16000","x":%s}'])
def test_message_that_no_database_could_keep_is_rubbish(message: str, value: str) -> None:
    assert isinstance(Connection().receive(message % value), Rubbish)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
MEMBERS = st.sampled_from(["event", "content-type", "digit", "dtmf", "duration", "payload"])
NAMES = st.sampled_from([f"websocket:{each}" for each in ("connected", "dtmf", "notify", "cleared")])
MESSAGES = st.binary() | st.text() | JSON.map(json.dumps) | st.dictionaries(MEMBERS, JSON | NAMES).map(json.dumps)


@given(st.lists(MESSAGES, max_size=4))
def test_no_message_makes_the_connection_fail(messages: list[str | bytes]) -> None:
    connection = greeted()
    for message in messages:
        assert isinstance(connection.receive(message), Event)
    assert connection.receive(bytes(640)) == Audio(bytes(640))
