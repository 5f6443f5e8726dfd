"""Knows what REST does to a running call: transfer, talk, stream, keys, hang up, and what it forbids."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
import soundfile

from callflows.audio.files import wav_bytes
from callflows.simulator.effects import Pressed, Spoke
from callflows.simulator.party import Behaviour
from callflows.simulator.platform import NotPossible
from callflows.simulator.sound import level
from tests.simulator.tones import hears, voice
from tests.simulator.world import CALLEE, NUMBER, World, payload, socket

ANNA, BERT, MUSIC = 440.0, 700.0, 1500.0
CONNECT = {"action": "connect", "from": NUMBER, "endpoint": [{"type": "phone", "number": CALLEE}]}
MOVED = [{"action": "talk", "text": "Moved."}]
LONG = [{"action": "wait", "timeout": 60}]
URL = "http://app.example/music.wav"


def together() -> tuple[World, Any, Any]:
    """Anna and Bert, connected by Anna's document for 2 s already."""
    world = World([CONNECT], files={URL: wav_bytes(voice(MUSIC, 3.0).pcm[16000], 16000)})
    world.platform.parties[CALLEE] = Behaviour(voice=voice(BERT), seconds=8.0)
    anna = world.call_in(Behaviour(voice=voice(ANNA), seconds=20.0))
    world.go(3.0)
    return world, anna, next(leg for leg in world.platform.legs.values() if leg.to == CALLEE)


def test_a_transferred_leg_runs_its_document_and_the_other_one_stays() -> None:
    world, anna, bert = together()
    before = anna.leg.conversation
    world.platform.transfer(anna.leg.uuid, payload("rest/modify_transfer_ncco")["destination"]["ncco"])
    world.go(3.3)
    assert (bert.ended, bert.conversation) == (None, before)
    event = world.event("transfer")
    assert (event["conversation_uuid_from"], event["conversation_uuid_to"]) == (before, anna.leg.conversation)
    assert event["uuid"] == anna.leg.uuid
    world.go()
    assert world.noted("talk") == ["Moved."]
    assert world.events(anna.leg.uuid)[-1]["disconnected_by"] == "platform"
    assert [body["status"] for body in world.events(bert.uuid)][-1] == "completed"


def test_a_transfer_to_an_address_asks_it_with_the_parameters_of_an_answer() -> None:
    world, anna, _ = together()
    world.pages["next"] = MOVED
    world.platform.transfer(anna.leg.uuid, url="http://app.example/next")
    world.go()
    asked = next(fetch for fetch in world.requests if fetch.url.endswith("next"))
    assert (asked.method, asked.query["uuid"]) == ("GET", anna.leg.uuid)
    assert asked.query["conversation_uuid"] == world.event("transfer")["conversation_uuid_to"]
    assert world.noted("talk") == ["Moved."]


def test_a_callee_can_be_transferred_and_the_caller_stays() -> None:
    world, anna, bert = together()
    world.platform.transfer(bert.uuid, MOVED)
    world.go(5.0)
    assert bert.ended
    assert anna.leg.ended is None
    world.go()
    assert anna.leg.ended


def test_both_can_be_parked_in_a_room_one_after_the_other() -> None:
    world, anna, bert = together()
    room = [{"action": "conversation", "name": "room"}]
    world.platform.transfer(bert.uuid, room)
    world.go(3.5)
    world.platform.transfer(anna.leg.uuid, room)
    world.go(6.0)
    assert anna.leg.conversation == bert.conversation
    assert hears(world.sounds[anna.leg.uuid], BERT) == {BERT}


def test_a_transfer_with_an_invalid_document_is_an_error_event_and_the_end() -> None:
    world, anna, _ = together()
    world.platform.transfer(anna.leg.uuid, [{"action": "text"}])
    world.go(4.0)
    assert "Syntax error" in world.event("error")["reason"]
    assert anna.leg.ended


def test_a_waiting_caller_hears_what_rest_streams_to_him_alone() -> None:
    world, anna, bert = together()
    world.platform.stream(anna.leg.uuid, {"stream_url": [URL], "loop": 0, "level": "0"})
    world.go(5.0)
    assert hears(world.sounds[anna.leg.uuid], MUSIC, BERT) == {MUSIC, BERT}
    assert hears(world.sounds[bert.uuid], MUSIC, ANNA) == {ANNA}
    world.platform.stop_stream(anna.leg.uuid)
    world.go(6.5)
    assert hears(world.sounds[anna.leg.uuid], MUSIC, BERT) == {BERT}


def test_a_level_makes_a_stream_softer() -> None:
    world = World(LONG, files={URL: wav_bytes(voice(MUSIC, 3.0).pcm[16000], 16000)})
    call = world.call_in(Behaviour(seconds=5.0))
    world.at(1.0, lambda: world.platform.stream(call.leg.uuid, {"stream_url": [URL], "level": "-0.5"}))
    world.go()
    loud = voice(MUSIC).level(0, 1)
    assert level(world.sound.of("rest stream")) == pytest.approx(loud - 6.0, abs=0.2)


@pytest.mark.parametrize(
    ("made", "why"),
    [
        ({"samplerate": 8000}, ""),
        ({"samplerate": 16000}, ""),
        ({"samplerate": 24000}, "one channel at 8 or 16 kHz, got PCM_16, 1 channels at 24,000 Hz"),
        ({"samplerate": 16000, "subtype": "ULAW"}, "16 bits and one channel"),
        ({"samplerate": 16000, "channels": 2}, "got PCM_16, 2 channels"),
        ({"samplerate": 44100, "format": "MP3"}, ""),
        ({"samplerate": 16000, "format": "FLAC"}, "expected a WAV or an MP3 file, got FLAC"),
    ],
)
def test_stream_of_rest_takes_fewer_files_than_an_action(made: dict[str, Any], why: str) -> None:
    """Contract 11.4."""
    file, sound = io.BytesIO(), voice(MUSIC, 1.0).pcm[16000]
    samples = np.frombuffer(sound, np.int16)
    how = {"format": "WAV", **made}
    soundfile.write(file, np.stack([samples] * how.pop("channels", 1), 1), **how)
    world = World(LONG, files={URL: file.getvalue()})
    call = world.call_in(Behaviour(seconds=5.0))
    world.at(1.0, lambda: world.platform.stream(call.leg.uuid, {"stream_url": [URL]}))
    world.go()
    assert bool(world.sound.of("rest stream")) == (not why)
    assert [why in each for each in world.platform.refusals] == [True] * bool(why)


def test_rest_speaks_and_stops() -> None:
    world = World(LONG)
    call = world.call_in(Behaviour(seconds=10.0))
    world.at(1.0, lambda: world.platform.talk(call.leg.uuid, {"text": "x" * 75, "loop": 1}))
    world.at(3.0, lambda: world.platform.stop_talk(call.leg.uuid))
    world.go()
    assert len(world.sound.runs[0][2]) == pytest.approx(100, abs=2)


def test_keys_that_rest_sends_reach_the_socket() -> None:
    world = World([socket()])
    world.call_in(Behaviour(seconds=6.0))
    world.go(1.0)
    leg = next(leg for leg in world.platform.legs.values() if leg.kind == "websocket")
    world.platform.dtmf(leg.uuid, "17p13#")
    world.go()
    digits = [json.loads(each).get("digit") for each in world.sent if isinstance(each, str)][1:]
    assert "".join(digits) == "1713#"


def test_a_socket_that_rest_hangs_up_has_no_disconnected_event() -> None:
    world = World([socket(), *MOVED])
    world.call_in(Behaviour(seconds=20.0))
    world.go(3.0)
    leg = next(leg for leg in world.platform.legs.values() if leg.kind == "websocket")
    world.platform.hang_up(leg.uuid)
    world.go()
    assert world.names("websocket") == ["started", "ringing", "answered", "completed"]
    assert world.events("websocket")[-1]["disconnected_by"] == "platform"
    assert [close.abort for close in world.closes] == [False]
    assert world.noted("talk") == ["Moved."]


def test_a_caller_that_rest_hangs_up_takes_his_socket_along() -> None:
    world = World([socket()])
    call = world.call_in(Behaviour(seconds=20.0))
    world.go(3.0)
    world.platform.hang_up(call.leg.uuid)
    world.go()
    ends = [body["disconnected_by"] for body in world.events() if body.get("status") == "completed"]
    assert ends == ["platform", "platform"]


def test_keys_of_an_asynchronous_input_go_where_rest_wants_them() -> None:
    world = World([{"action": "input", "type": ["dtmf"], "mode": "asynchronous"}, *LONG])
    call = world.call_in(Behaviour(seconds=9.0))
    world.tell(1.0, Pressed(call.leg.uuid, "1"))
    world.at(2.0, lambda: world.platform.subscribe_dtmf(call.leg.uuid, "http://app.example/keys"))
    world.tell(3.0, Pressed(call.leg.uuid, "2"))
    world.at(4.0, lambda: world.platform.unsubscribe_dtmf(call.leg.uuid))
    world.tell(5.0, Pressed(call.leg.uuid, "3"))
    world.go()
    sent = [(fetch.url.rpartition("/")[2], fetch.body) for fetch in world.requests]
    keys = [(place, body["dtmf"]["digits"]) for place, body in sent if body and "dtmf" in body]
    assert keys == [("events", "1"), ("keys", "2")]


@pytest.mark.parametrize("seconds", [0.5, 1.9])
def test_a_leg_cannot_be_hung_up_while_it_is_being_made(seconds: float) -> None:
    world = World(LONG)
    call = world.call_in(Behaviour(seconds=9.0))
    world.go(seconds)
    with pytest.raises(NotPossible) as refused:
        world.platform.hang_up(call.leg.uuid)
    assert refused.value.kind == "too early"
    world.go(2.1)
    world.platform.hang_up(call.leg.uuid)
    world.go()
    assert call.leg.ended


def test_a_leg_that_still_rings_cannot_be_transferred() -> None:
    world = World()
    world.platform.parties[CALLEE] = Behaviour(rings=5.0)
    call = world.create(ncco=LONG)
    world.go(1.0)
    with pytest.raises(NotPossible) as refused:
        world.platform.transfer(call.leg.uuid, MOVED)
    assert refused.value.kind == "too early"


def test_a_callee_who_was_transferred_is_asked_for_keys_and_his_key_counts() -> None:
    world, _, bert = together()
    world.platform.transfer(bert.uuid, [{"action": "input", "type": ["dtmf"], "dtmf": {"maxDigits": 1}}])
    world.tell(4.0, Pressed(bert.uuid, "5"))
    world.go(4.5)
    assert world.event("input")["uuid"] == bert.uuid
    assert world.event("input")["dtmf"] == {"digits": "5", "timed_out": False}


def test_what_is_over_or_was_never_there_cannot_be_steered() -> None:
    world = World(MOVED)
    call = world.call_in(Behaviour())
    world.go()
    for uuid, kind in ((call.leg.uuid, "over"), ("no-such-leg", "not found")):
        with pytest.raises(NotPossible) as refused:
            world.platform.mute(uuid)
        assert refused.value.kind == kind


def test_a_fourth_call_in_a_second_is_refused() -> None:
    world = World()
    for _ in range(3):
        world.create(ncco=MOVED)
    with pytest.raises(NotPossible) as refused:
        world.create(ncco=MOVED)
    assert refused.value.kind == "too many calls"
    world.go(1.1)
    world.create(ncco=MOVED)
    world.go()


def test_a_number_without_an_application_answers_nobody() -> None:
    world = World(MOVED)
    world.platform.account.numbers[NUMBER].application = ""
    with pytest.raises(NotPossible) as refused:
        world.call_in()
    assert refused.value.kind == "no application"


def test_live_speech_is_heard_by_a_socket() -> None:
    world = World([socket()], app=lambda message: [])
    call = world.call_in(Behaviour(seconds=5.0))
    frames = [bytes([place + 1, 1] * 320) for place in range(20)]
    for place, frame in enumerate(frames):
        world.tell(1.0 + place * 0.02, Spoke(call.leg.uuid, frame, 16000))
    world.go()
    said = [each for each in world.sent if isinstance(each, bytes) and any(each)]
    assert said == frames
