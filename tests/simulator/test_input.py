"""Knows the input and record actions: keys, what ends them, and what the application is told."""

from __future__ import annotations

from typing import Any

import pytest

from callflows.audio.format import Format
from callflows.audio.tones import tone
from callflows.simulator.sound import Voice
from tests.simulator.world import JSON, World, caller

WIDE = Format(16000)
CHAIN = ["started", "ringing", "answered"]
TALK = {"action": "talk", "text": "x" * 30}
GOODBYE = [{"action": "talk", "text": "Goodbye."}]
HELLO = Voice.of(tone(440, 2.0, 16000), 16000)


def keys(**options: Any) -> dict[str, Any]:
    return {"action": "input", "type": ["dtmf"], "dtmf": options}


def inputs(world: World) -> list[dict[str, Any]]:
    return [body for body in world.events() if "dtmf" in body]


def test_digits_end_at_their_greatest_number() -> None:
    world = World([keys(maxDigits=2), TALK])
    world.run(caller("123@0.5"))
    assert inputs(world)[0]["dtmf"] == {"digits": "12", "timed_out": False}


def test_digits_end_some_seconds_after_the_last_key() -> None:
    world = World([keys(timeOut=2)])
    world.run(caller("12@1.5"))
    assert inputs(world)[0]["dtmf"] == {"digits": "12", "timed_out": True}


def test_hash_submits_and_is_no_digit() -> None:
    world = World([keys(submitOnHash=True)])
    world.run(caller("12#@0.5"))
    assert inputs(world)[0]["dtmf"] == {"digits": "12", "timed_out": False}


def test_without_submit_a_hash_is_a_digit() -> None:
    world = World([keys(maxDigits=2)])
    world.run(caller("1#@0.5"))
    assert inputs(world)[0]["dtmf"]["digits"] == "1#"


def test_three_seconds_without_a_key_are_an_answer_too() -> None:
    world = World([{"action": "input", "type": ["dtmf"]}])
    world.run(caller())
    assert inputs(world)[0]["dtmf"] == {"digits": "", "timed_out": True}
    assert world.events()[-1]["duration"] == "3"


def test_the_reply_to_an_input_replaces_the_rest() -> None:
    world = World([keys(maxDigits=1), TALK], replies={"input": [GOODBYE]})
    world.run(caller("1@0.5"))
    assert [note.text for note in world.notes if note.kind == "talk"] == ["Goodbye."]


def test_an_empty_reply_goes_on_with_the_next_action() -> None:
    world = World([keys(maxDigits=1), TALK], replies={"input": [(200, JSON, b"")]})
    world.run(caller("1@0.5"))
    assert [note.text for note in world.notes if note.kind == "talk"] == [TALK["text"]]


def test_a_key_stops_a_talk_that_may_be_stopped_and_counts_for_the_input() -> None:
    menu = {"action": "talk", "text": "x" * 150, "bargeIn": True}
    world = World([keys(timeOut=1), menu, TALK, keys(maxDigits=1)])
    world.run(caller("7@2.0", seconds=60))
    assert inputs(world)[1]["dtmf"]["digits"] == "7"
    assert world.sound.seconds == pytest.approx(1.0, abs=0.05)


def test_a_key_does_not_stop_another_talk() -> None:
    world = World([keys(timeOut=1), TALK])
    world.run(caller("7@1.5"))
    assert world.sound.seconds == pytest.approx(2.0)


def test_presses_count_from_the_moment_the_flow_first_listens() -> None:
    world = World([TALK, keys(maxDigits=1)])
    world.run(caller("4@1.0"))
    pressed = next(note.t for note in world.notes if note.kind == "key")
    assert pressed == pytest.approx(3.01, abs=0.02)


def test_without_anything_that_listens_they_count_from_the_answer() -> None:
    world = World([{**TALK, "loop": 0}])
    world.run(caller("4@1.0"))
    assert next(note.t for note in world.notes if note.kind == "key") == pytest.approx(1.01, abs=0.02)


# record


def test_a_recording_ends_with_its_key() -> None:
    world = World([{"action": "record", "endOnKey": "#", "beepStart": True, "format": "wav"}])
    world.run(caller("1#@2.0", voice=HELLO))
    record = next(body for body in world.events() if "recording_url" in body)
    assert record["size"] == pytest.approx(2.3 * 32000, rel=0.05)
    assert world.sound.of("beep")


def test_a_recording_ends_when_the_caller_is_silent() -> None:
    world = World([{"action": "record", "endOnSilence": 3}])
    world.run(caller(voice=HELLO, seconds=30))
    record = next(body for body in world.events() if "recording_url" in body)
    assert record["size"] == pytest.approx(5.0 * 4000, rel=0.05)


def test_a_recording_in_the_background_ends_with_the_call() -> None:
    world = World([{"action": "record"}, TALK])
    world.run(caller())
    assert world.names()[-2:] == ["record", "completed"]


def test_a_recordings_time_out_alone_does_not_hold_up_the_call() -> None:
    world = World([{"action": "record", "timeOut": 3}, {"action": "talk", "text": "x" * 15 * 6}])
    world.run(caller(seconds=20))
    record = next(body for body in world.events() if "recording_url" in body)
    assert record["size"] == pytest.approx(3.0 * 4000, rel=0.05)
    assert world.events()[-1]["duration"] == "6"
