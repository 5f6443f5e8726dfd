"""Knows how a call runs: its legs, the order and the fields of its events, and what each action does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from callflows.audio.files import wav_bytes
from callflows.audio.format import Format
from callflows.audio.tones import tone
from callflows.simulator.effects import Closed, HangUp
from callflows.simulator.knobs import Knobs
from callflows.simulator.sound import Voice, speaking_seconds
from tests.simulator.world import World, caller, echo, payload, shape, socket

WIDE = Format(16000)
CHAIN = ["started", "ringing", "answered"]
TALK = {"action": "talk", "text": "x" * 30}
GOODBYE = [{"action": "talk", "text": "Goodbye."}]
HELLO = Voice.of(tone(440, 2.0, 16000), 16000)


def keys(**options: Any) -> dict[str, Any]:
    return {"action": "input", "type": ["dtmf"], "dtmf": options}


def hears_nothing(message: str | bytes) -> list[str | bytes | Closed]:
    return []


def closes_after(frames: int) -> Callable[[str | bytes], list[str | bytes | Closed]]:
    left = [frames]

    def app(message: str | bytes) -> list[str | bytes | Closed]:
        left[0] -= isinstance(message, bytes)
        return [Closed("", 1000)] if left[0] == 0 else []

    return app


# Events


@pytest.mark.parametrize(
    ("document", "example", "name"),
    [
        ([], "started", "started"),
        ([], "completed_by_platform_2026", "completed"),
        ([keys()], "input_dtmf_nothing_pressed", "input"),
        ([{**keys(), "mode": "asynchronous", "dtmf": None}, TALK], "input_async_single_digit", "input"),
        ([{"action": "record", "endOnKey": "1"}], "record", "record"),
    ],
)
def test_events_of_the_phone_leg_have_the_fields_of_real_ones(document: Any, example: str, name: str) -> None:
    world = World([{key: value for key, value in action.items() if value is not None} for action in document])
    world.run(caller("1@1.5" if name != "input" or "async" in example else "1@7"))
    body = next(body for body, own in zip(world.events(), world.names(), strict=True) if own == name)
    assert shape(body) == shape(payload(f"events/{example}"))


@pytest.mark.parametrize(
    ("example", "name"),
    [
        ("websocket_started", "started"),
        ("websocket_answered", "answered"),
        ("websocket_disconnected", "disconnected"),
    ],
)
def test_events_of_the_socket_leg_have_the_fields_of_real_ones(example: str, name: str) -> None:
    expected = payload(f"events/{example}")
    world = World([socket(headers=expected["headers"])], app=closes_after(10))
    world.run(caller())
    body = next(body for body in world.events("websocket") if body["status"] == name)
    assert shape(body) == shape(expected)
    assert body["headers"] == expected["headers"]
    assert (body["from"], body["to"]) == (world.call.leg.to, "ws://app.example/socket/1")


def test_completed_of_a_socket_leg_has_the_fields_of_a_real_one_and_the_new_ones() -> None:
    world = World([socket()])
    world.run(caller())
    expected = shape(payload("events/websocket_completed")) | {"disconnected_by": "str", "sip_code": "int"}
    assert shape(world.events("websocket")[-1]) == expected


def test_duration_and_price_of_a_call() -> None:
    world = World([{"action": "talk", "text": "x" * 15 * 27}])
    world.run(caller(seconds=100))
    completed, expected = world.events()[-1], payload("events/completed_by_platform_2026")
    names = ("duration", "rate", "price", "network", "disconnected_by", "sip_code", "direction")
    assert {name: completed[name] for name in names} == {name: expected[name] for name in names}


# The socket


def test_caller_hears_his_echo_frame_by_frame_and_hangs_up() -> None:
    world = World([socket()])
    call = world.run(caller(voice=HELLO, seconds=2.5))
    said = b"".join(HELLO.frames(WIDE))
    assert world.sound.of("socket")[: len(said)] == said
    assert (call.refusals, call.lost, call.bad) == ([], 0, 0)
    assert world.names("websocket") == [*CHAIN, "completed"]
    assert world.names("phone") == [*CHAIN, "completed"]
    assert [body["disconnected_by"] for body in world.events() if body.get("status") == "completed"] == [
        "user",
        "platform",
    ]
    assert [close.abort for close in world.closes] == [False]
    assert json.loads(str(world.sent[0])) == {"event": "websocket:connected", "content-type": "audio/l16;rate=16000"}


def test_fifty_frames_a_second_are_sent() -> None:
    world = World([socket()], app=hears_nothing)
    world.run(caller(seconds=10.0))
    # The one at the very end leaves or not: the caller hangs up at that moment.
    assert sum(isinstance(message, bytes) for message in world.sent) in (500, 501)


def test_keys_reach_the_socket_when_they_are_pressed() -> None:
    world = World([TALK, socket()])
    world.run(caller("5@1.0"))
    digits = [each for each in map(json.loads, (m for m in world.sent if isinstance(m, str))) if "digit" in each]
    assert digits == [payload("websocket/dtmf")]
    before = world.sent.index(next(m for m in world.sent if isinstance(m, str) and "dtmf" in m))
    assert before == pytest.approx(51, abs=1)


def test_a_socket_closed_by_the_application_is_disconnected_and_the_reply_runs() -> None:
    world = World([socket()], app=closes_after(50), replies={"disconnected": [GOODBYE]})
    call = world.run(caller(seconds=30))
    assert world.names("websocket") == [*CHAIN, "disconnected", "completed"]
    assert [note.text for note in world.notes if note.kind == "talk"] == ["Goodbye."]
    assert world.events()[-1]["disconnected_by"] == "platform"
    assert call.refusals == []


def test_without_a_reply_to_disconnected_the_call_ends() -> None:
    world = World([socket()], app=closes_after(50))
    world.run(caller(seconds=30))
    assert world.events()[-1]["duration"] == "1"


def test_a_socket_that_is_refused_has_failed_and_the_reply_runs() -> None:
    world = World([socket()], app=None, replies={"failed": [GOODBYE]})
    call = world.run(caller())
    assert world.names("websocket") == ["started", "ringing", "failed", "completed"]
    failed = next(body for body in world.events() if body["status"] == "failed")
    assert shape(failed) == shape(payload("events/failed_number_out_of_service_2026"))
    assert call.refusals == []


def test_a_refused_socket_without_a_branch_is_a_refusal() -> None:
    call = World([socket()], app=None).run(caller())
    assert "HTTP 403" in call.refusals[0]


def test_a_socket_where_nobody_answers_is_unanswered_after_its_timeout() -> None:
    world = World([socket(timeout=20)], handshakes=False, replies={"unanswered": [GOODBYE]})
    assert world.run(caller()).refusals == []
    assert world.names("websocket") == ["started", "ringing", "unanswered", "completed"]
    unanswered = world.events("websocket")[2]
    assert shape(unanswered) == shape(payload("events/websocket_unanswered")) | {"detail": "str", "sip_code": "int"}
    assert next(note.t for note in world.notes if "not opened" in note.text) == pytest.approx(20.01)


def test_failed_of_an_asynchronous_connect_is_not_answered() -> None:
    connect = {name: value for name, value in socket().items() if name != "eventType"}
    world = World([connect], app=None, replies={"failed": [GOODBYE]})
    world.run(caller())
    assert not [note for note in world.notes if note.kind == "talk"]


def test_a_wrong_sized_frame_drops_the_connection_and_ends_the_leg() -> None:
    world = World([socket()], app=lambda message: [b"\0" * 639] if isinstance(message, bytes) else [])
    call = world.run(caller())
    assert world.closes[0].abort
    # The first one stood before any audio, and the second could have been the last.
    assert call.bad == 2
    assert call.refusals == ["expected 640 bytes of audio in mid-stream, got 639: Vonage drops the leg"]
    assert world.names("websocket") == [*CHAIN, "completed"]


def test_a_leg_lasts_no_longer_than_its_limit() -> None:
    world = World([socket(limit=2), TALK])
    world.run(caller(seconds=60))
    assert sum(isinstance(message, bytes) for message in world.sent) == 100
    assert [note.kind for note in world.notes if note.kind == "talk"]


def test_knobs_reach_the_socket() -> None:
    world = World([socket()], app=hears_nothing)
    world.run(caller(), knobs=Knobs(connected_form="old"))
    assert json.loads(str(world.sent[0])) == {"content-type": "audio/l16;rate=16000"}


@pytest.mark.parametrize("method", ["POST", "post"])
def test_an_events_own_address_gets_the_events_of_its_action(method: str) -> None:
    own = {"eventUrl": ["http://app.example/webhooks/events/step"], "eventMethod": method}
    world = World([socket(**own)])
    world.run(caller())
    sent = {(fetch.method, fetch.url) for fetch in world.requests if fetch.body and "ws://" in fetch.body["to"]}
    assert sent == {("POST", own["eventUrl"][0])}


# talk, stream


def test_a_talk_lasts_its_speaking_time() -> None:
    world = World([TALK])
    world.run(caller())
    assert world.sound.seconds == pytest.approx(2.0)
    assert not any(world.sound.of("talk"))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("Hi", 0.5), ("x" * 150, 10.0), ("<speak>" + "x" * 30 + "<break time='1s'/></speak>", 2.0)],
)
def test_speaking_time(text: str, seconds: float) -> None:
    assert speaking_seconds(text) == pytest.approx(seconds)


def test_a_talk_can_be_said_twice() -> None:
    world = World([{**TALK, "loop": 2}])
    world.run(caller())
    assert world.sound.seconds == pytest.approx(4.0)


def test_a_talk_for_ever_ends_with_the_callers_patience() -> None:
    world = World([{**TALK, "loop": 0}])
    world.run(caller(seconds=7))
    assert world.events()[-1]["duration"] == "7"
    assert world.events()[-1]["disconnected_by"] == "user"


def test_a_stream_is_heard_as_it_is() -> None:
    pcm = np.arange(-8000, 8000, dtype="<i2").tobytes()
    url = "http://app.example/prompt.wav"
    world = World([{"action": "stream", "streamUrl": [url]}], files={url: wav_bytes(pcm, 16000)})
    world.run(caller())
    assert world.sound.of("stream") == pcm


def test_a_stream_that_cannot_be_fetched_is_skipped_and_refused() -> None:
    world = World([{"action": "stream", "streamUrl": ["http://app.example/missing.wav"]}, TALK])
    call = world.run(caller())
    assert "cannot fetch" in call.refusals[0]
    assert world.sound.seconds == pytest.approx(2.0)


# The end


def test_a_caller_may_hang_up_before_the_answer() -> None:
    world = World("hangs")
    call = world.call_in()
    world.tell(0.5, HangUp(call.leg.uuid))
    world.go()
    assert (call.leg.status, call.leg.answered) == ("completed", None)
    assert world.names() == ["started", "ringing", "completed"]


def test_echo_keeps_the_order_of_everything() -> None:
    world = World([TALK, socket()], app=echo)
    call = world.run(caller(voice=HELLO, seconds=1))
    assert world.names() == [*CHAIN, *CHAIN, "completed", "completed"]
    assert call.leg.status == "completed"


def test_what_is_doubtful_in_a_document_is_accepted_with_a_warning() -> None:
    world = World([socket(), TALK])
    assert world.run(caller()).refusals == []
    assert [note.text for note in world.notes if note.kind == "warning"]
