"""Knows recordings: their files, channels and transcripts, and speech that is recognised."""

from __future__ import annotations

import io
import json
import wave
from typing import Any

import numpy as np
import pytest
import soundfile

from callflows.audio.files import wav_bytes
from callflows.simulator.account import APPLICATION
from callflows.simulator.knobs import Knobs
from callflows.simulator.party import Behaviour, GoAway, Keys, Say, Step
from callflows.simulator.recording import File
from tests.simulator.tones import LEVEL, loudness, voice
from tests.simulator.world import CALLEE, NUMBER, World, payload

ANNA, BERT, CAROL = 440.0, 700.0, 1100.0
CONNECT = {"action": "connect", "from": NUMBER, "endpoint": [{"type": "phone", "number": CALLEE}]}


def recorded(*document: Any, seconds: float = 4.0, **options: Any) -> tuple[World, File]:
    """Record Anna, connected to Bert, and return the file."""
    world = World([{"action": "record", **options}, *(document or [CONNECT])])
    world.platform.parties[CALLEE] = Behaviour(voice=voice(BERT), seconds=60.0, rings=0.0)
    says = Step(Say(voice(ANNA, 0.1), "Hello there."), 1.0)
    world.call_in(Behaviour(voice=voice(ANNA), seconds=seconds, steps=(says,)))
    world.go()
    url = world.event("record")["recording_url"]
    return world, world.platform.recordings[url.rpartition("/")[2]]


def channels(file: File) -> list[bytes]:
    with wave.open(io.BytesIO(file.content)) as wav:
        assert (wav.getframerate(), wav.getsampwidth()) == (16000, 2)
        samples = np.frombuffer(wav.readframes(wav.getnframes()), "<i2").reshape(-1, wav.getnchannels())
    return [samples[16000:48000, place].tobytes() for place in range(samples.shape[1])]


def loud(pcm: bytes, *tones: float) -> set[float]:
    return {hz for hz in tones if loudness(pcm, 16000, hz) > LEVEL - 1}


def test_a_recording_holds_everybody() -> None:
    world, file = recorded(format="wav")
    (only,) = channels(file)
    assert loud(only, ANNA, BERT) == {ANNA, BERT}
    assert (file.content_type, file.application) == ("audio/wav", APPLICATION)
    record, example = world.event("record"), payload("events/record")
    assert {key: type(value) for key, value in record.items()} == {key: type(value) for key, value in example.items()}
    assert record["size"] == len(file.content)


def test_a_split_recording_has_the_caller_left_and_what_he_hears_right() -> None:
    _, file = recorded(format="wav", split="conversation")
    left, right = channels(file)
    assert (loud(left, ANNA, BERT), loud(right, ANNA, BERT)) == ({ANNA}, {BERT})


def test_each_party_has_a_channel_and_the_last_one_is_shared() -> None:
    room = {"action": "conversation", "name": "room"}
    world = World([{"action": "record", "split": "conversation", "channels": 3, "format": "wav"}, room])
    world.call_in(Behaviour(voice=voice(ANNA), seconds=6.0))
    world.go(0.2)
    world.pages["answer"] = [room]
    for hz, number in ((BERT, "447700900112"), (CAROL, "447700900113")):
        world.call_in(Behaviour(voice=voice(hz), seconds=9.0), number)
    world.go()
    file = next(iter(world.platform.recordings.values()))
    assert [loud(each, ANNA, BERT, CAROL) for each in channels(file)] == [{ANNA}, {BERT}, {CAROL}]


@pytest.mark.parametrize(("kind", "content_type"), [("mp3", "audio/mpeg"), ("ogg", "audio/ogg"), ("wav", "audio/wav")])
def test_each_format_can_be_read(kind: str, content_type: str) -> None:
    _, file = recorded(format=kind)
    samples, rate = soundfile.read(io.BytesIO(file.content))
    assert (rate, file.content_type) == (16000, content_type)
    assert samples.size / rate == pytest.approx(4.0, abs=0.2)
    assert loudness((samples[16000:32000] * 32767).astype("<i2").tobytes(), 16000, ANNA) > LEVEL - 2


def test_an_mp3_has_32_kilobits_a_second() -> None:
    _, file = recorded(seconds=20.0)
    assert len(file.content) == pytest.approx(20 * 4000, rel=0.05)


def test_an_empty_recording_has_no_address() -> None:
    world = World([{"action": "record", "format": "wav"}])
    world.call_in(Behaviour())
    world.go()
    assert (world.event("record")["recording_url"], world.event("record")["size"]) == (None, 0)
    assert world.event("record").keys() == payload("events/record_empty").keys()


def test_a_transcript_follows_the_recording() -> None:
    own = {"eventUrl": ["http://app.example/webhooks/transcript"]}
    world, _ = recorded(transcription=own)
    event, example = world.event("transcribed"), payload("events/transcribed")
    assert {key: type(value) for key, value in event.items()} == {key: type(value) for key, value in example.items()}
    assert event["recording_uuid"] == world.event("record")["recording_uuid"]
    assert [fetch.url for fetch in world.requests if fetch.body == event] == own["eventUrl"]
    file = world.platform.recordings[event["transcription_url"].rpartition("/")[2]]
    found, form = json.loads(file.content), payload("downloads/transcript")
    sentence = found["channels"][0]["transcript"][0]
    assert (file.content_type, found.keys()) == ("application/json", form.keys())
    assert sentence.keys() == form["channels"][0]["transcript"][0].keys()
    assert sentence["sentence"] == "Hello there."
    assert [word["word"] for word in sentence["words"]] == ["hello", "there"]


def test_a_time_out_alone_may_hold_up_the_call() -> None:
    world = World([{"action": "record", "timeOut": 3}], knobs=Knobs(record_timeout_blocks=True))
    world.call_in(Behaviour(seconds=20.0))
    world.go()
    assert world.events()[-1]["duration"] == "3"


# Speech


def asked(behaviour: Behaviour, **options: Any) -> dict[str, Any]:
    kinds = options.pop("kinds", ["speech"])
    world = World([{"action": "input", "type": kinds, "speech": options}])
    world.call_in(behaviour)
    world.go()
    event = world.event("input")
    for name in ("from", "to", "uuid", "conversation_uuid", "timestamp"):
        event.pop(name)
    return event


def test_speech_is_what_the_party_says() -> None:
    found = asked(Behaviour(voice=voice(ANNA, 2.0), text="book a table"))
    example = payload("events/input_speech")
    assert found["dtmf"] == example["dtmf"]
    assert found["speech"]["timeout_reason"] == example["speech"]["timeout_reason"]
    assert found["speech"]["results"][0]["text"] == "book a table"
    assert isinstance(found["speech"]["results"][0]["confidence"], str)


def test_who_says_nothing_times_out_at_the_start() -> None:
    found = asked(Behaviour())
    example = payload("events/input_speech_start_timeout")
    assert found == {"speech": example["speech"], "dtmf": example["dtmf"]}


def test_who_never_stops_is_cut_off() -> None:
    found = asked(Behaviour(voice=voice(ANNA), text="and so on"), maxDuration=3)
    assert found["speech"]["timeout_reason"] == "max_duration"


def test_either_keys_or_speech_are_taken() -> None:
    both: Any = {"kinds": ["dtmf", "speech"]}
    assert asked(Behaviour(steps=(Step(Keys("42"), 1.0),)), **both) == {
        "speech": {"results": []},
        "dtmf": {"digits": "42", "timed_out": True},
    }
    spoken = asked(Behaviour(voice=voice(ANNA, 1.0), text="forty-two"), **both)
    assert (spoken["dtmf"]["digits"], spoken["speech"]["results"][0]["text"]) == (None, "forty-two")


def test_speech_can_be_kept() -> None:
    world = World([{"action": "input", "type": ["speech"], "speech": {"saveAudio": True}}])
    world.call_in(Behaviour(voice=voice(ANNA, 2.0), text="yes"))
    world.go()
    url = world.event("input")["speech"]["recording_url"]
    (only,) = channels(world.platform.recordings[url.rpartition("/")[2]])
    assert loudness(only[:32000], 16000, ANNA) > LEVEL - 1


def test_speech_stops_a_talk_before_an_input_that_wants_speech() -> None:
    menu = {"action": "talk", "text": "x" * 150, "bargeIn": True}
    listen = {"action": "input", "type": ["speech"]}
    steps = (Step(Say(voice(ANNA, 1.0), "sales"), 2.0, "answered"),)
    world = World([menu, listen])
    world.call_in(Behaviour(steps=steps))
    world.go()
    assert len(world.sound.runs[0][2]) == pytest.approx(100, abs=3)
    assert world.event("input")["speech"]["results"][0]["text"] == "sales"


# What a party waits for


def test_a_party_speaks_when_it_is_asked_and_goes_when_it_is_quiet() -> None:
    ask = {"action": "input", "type": ["dtmf"], "dtmf": {"maxDigits": 1}}
    steps = (Step(Keys("1"), 0.5, "input"), Step(Keys("2"), 0.5, "input", 2), Step(GoAway(), 0.0, "quiet"))
    world = World([{"action": "talk", "text": "x" * 15}, ask, ask, {"action": "wait", "timeout": 60}])
    world.call_in(Behaviour(steps=steps))
    world.at(5.0, lambda: world.platform.stream(world.call.leg.uuid, {"stream_url": ["http://app.example/t.wav"]}))
    world.files = {"http://app.example/t.wav": wav_bytes(voice(BERT, 2.0).pcm[16000], 16000)}
    world.go()
    assert [body["dtmf"]["digits"] for body in world.events() if "dtmf" in body] == ["1", "2"]
    assert world.platform.now == pytest.approx(8.1, abs=0.1)


def test_a_message_is_left_after_the_beep_that_a_party_hears() -> None:
    world = World([{"action": "record", "beepStart": True, "endOnSilence": 3, "format": "wav"}])
    world.call_in(Behaviour(steps=(Step(Say(voice(ANNA, 2.0), "Call me."), 0.5, "beep"),)))
    world.go()
    assert world.event("record")["size"] == pytest.approx(32000 * 5.2, rel=0.05)
