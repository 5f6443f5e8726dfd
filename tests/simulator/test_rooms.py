"""Knows conversations: who hears whom in a room, who waits for its start, and how it ends."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from callflows.audio.files import wav_bytes
from callflows.audio.format import FRAME_SECONDS, Format
from callflows.audio.tones import tone
from callflows.simulator.effects import Closed, Pressed
from callflows.simulator.knobs import Knobs
from callflows.simulator.mixing import Clip, Converter, Player, mixed
from callflows.simulator.party import Behaviour
from callflows.simulator.sound import Sound
from tests.simulator.tones import LEVEL, hears, loudness, voice
from tests.simulator.world import CALLEE, World, payload, socket

ANNA, BERT, BOT, MUSIC = 440.0, 700.0, 1100.0, 1500.0
ROOM = [{"action": "conversation", "name": "room-4711"}]
WIDE = Format(16000)


def speaks(hz: float, seconds: float = 5.0) -> Behaviour:
    return Behaviour(voice=voice(hz), seconds=seconds)


def bot(hz: float = BOT, rate: int = 16000) -> Any:
    """A socket application that says a tone, a frame for each that it gets."""
    frames = voice(hz).frames(Format(rate))

    def app(message: str | bytes) -> list[str | bytes | Closed]:
        return [next(frames)] if isinstance(message, bytes) else []

    return app


def sent(world: World, uuid: str, rate: int = 16000) -> Sound:
    """What a socket was sent."""
    sound = Sound()
    for message in world.sent_to[uuid]:
        if isinstance(message, bytes):
            sound.add("socket", rate, message)
    return sound


def two_and_a_socket(**options: Any) -> tuple[World, list[Any]]:
    """Anna and Bert in a room, and a bot that REST calls and moves there."""
    world = World(ROOM, app=bot())
    calls = [world.call_in(speaks(ANNA)), world.call_in(speaks(BERT), "447700900112")]
    end = {"type": "websocket", "uri": "ws://app.example/socket/1", "content-type": "audio/l16;rate=16000"}
    calls.append(world.create(to=[end], ncco=[{**ROOM[0], **options}]))
    return world, calls


def test_two_callers_and_a_socket_each_hear_the_mix_of_the_others() -> None:
    world, (anna, bert, robot) = two_and_a_socket()
    world.go(4.5)
    everybody = (ANNA, BERT, BOT)
    assert hears(world.sounds[anna.leg.uuid], *everybody) == {BERT, BOT}
    assert hears(world.sounds[bert.leg.uuid], *everybody) == {ANNA, BOT}
    assert hears(sent(world, robot.leg.uuid), *everybody) == {ANNA, BERT}
    world.at(4.6, lambda: world.platform.hang_up(robot.leg.uuid))
    world.go()
    assert world.platform.refusals == []
    assert len({anna.leg.conversation, bert.leg.conversation, robot.leg.conversation}) == 1


def test_the_mix_is_the_sum_sample_for_sample() -> None:
    world, (anna, *_) = two_and_a_socket()
    world.go(4.5)
    source, rate, frames = world.sounds[anna.leg.uuid].runs[-1]
    assert (source, rate) == ("mix", 16000)
    for hz in (BERT, BOT):
        assert loudness(b"".join(frames), rate, hz) == pytest.approx(LEVEL, abs=0.1)


def test_a_mix_beyond_full_scale_saturates() -> None:
    loud = Clip.of(voice(440.0, 1.0, 0.0).pcm)
    frames = [frame for frame in (Player("a", loud).next(), Player("b", loud).next()) if frame]
    one, both = (np.frombuffer(mixed(frames[:count], 8000), "<i2").astype(int) for count in (1, 2))
    assert np.array_equal(both, np.clip(one * 2, -32768, 32767))


def test_a_listener_is_heard_by_nobody() -> None:
    world, (anna, bert, robot) = two_and_a_socket(canSpeak=[])
    world.go(4.5)
    assert hears(world.sounds[anna.leg.uuid], ANNA, BERT, BOT) == {BERT}
    assert hears(world.sounds[bert.leg.uuid], ANNA, BERT, BOT) == {ANNA}
    assert hears(sent(world, robot.leg.uuid), ANNA, BERT, BOT) == {ANNA, BERT}


def test_whom_one_hears_can_be_chosen() -> None:
    world, (anna, _, robot) = two_and_a_socket(canHear=[])
    world.go(4.5)
    assert hears(sent(world, robot.leg.uuid), ANNA, BERT) == set()
    assert hears(world.sounds[anna.leg.uuid], BERT, BOT) == {BERT, BOT}


def test_who_enters_mute_is_not_heard() -> None:
    world, (anna, *_) = two_and_a_socket(mute=True)
    world.go(4.5)
    assert hears(world.sounds[anna.leg.uuid], BERT, BOT) == {BERT}


def test_entering_a_room_is_a_transfer_and_all_have_its_uuid() -> None:
    world, (anna, bert, _) = two_and_a_socket()
    world.go(4.5)
    event = world.event("transfer")
    example = payload("events/transfer")
    assert {key: type(value) for key, value in event.items()} == {key: type(value) for key, value in example.items()}
    assert event["conversation_uuid_to"] == anna.leg.conversation == bert.leg.conversation
    assert event["conversation_uuid_from"] != event["conversation_uuid_to"]


def test_a_named_room_outlives_its_calls() -> None:
    world = World(ROOM)
    first = world.call_in(speaks(ANNA, 1.0))
    world.go()
    second = world.call_in(speaks(BERT, 1.0))
    world.go()
    assert first.leg.conversation == second.leg.conversation


def test_rooms_of_other_names_do_not_hear_each_other() -> None:
    world = World(ROOM)
    anna = world.call_in(speaks(ANNA))
    world.go(0.3)
    world.pages["answer"] = [{"action": "conversation", "name": "another"}]
    world.at(0.5, lambda: world.call_in(speaks(BERT), "447700900112"))
    world.go(3.0)
    assert not world.sounds[anna.leg.uuid].frames


def test_music_plays_until_the_moderator_comes() -> None:
    url = "http://app.example/hold.wav"
    attendee = [{**ROOM[0], "startOnEnter": False, "musicOnHoldUrl": [url]}]
    world = World(attendee, files={url: wav_bytes(voice(MUSIC, 1.0).pcm[16000], 16000)})
    anna = world.call_in(speaks(ANNA, 8.0))
    world.go(2.0)
    assert hears(world.sounds[anna.leg.uuid], MUSIC, BERT) == {MUSIC}
    world.pages["answer"] = ROOM
    bert = world.call_in(speaks(BERT, 8.0), "447700900112")
    world.go(4.0)
    assert hears(world.sounds[anna.leg.uuid], MUSIC, BERT) == {BERT}
    assert hears(world.sounds[bert.leg.uuid], MUSIC, ANNA) == {ANNA}


def test_the_room_ends_with_its_moderator_and_the_documents_go_on() -> None:
    world = World([*ROOM, {"action": "talk", "text": "It is over."}])
    anna = world.call_in(speaks(ANNA, 30.0))
    world.go(0.3)
    world.pages["answer"] = [{**ROOM[0], "endOnExit": True}]
    world.at(0.5, lambda: world.call_in(speaks(BERT, 2.0), "447700900112"))
    world.go()
    assert "It is over." in world.noted("talk")
    assert world.events(anna.leg.uuid)[-1]["disconnected_by"] == "platform"
    assert world.events(anna.leg.uuid)[-1]["duration"] == "3"


def test_a_room_that_is_recorded_sends_its_recording_when_the_last_one_leaves() -> None:
    world = World([{**ROOM[0], "record": True, "eventUrl": ["http://app.example/webhooks/room"]}])
    for seconds, hz, number in ((2.0, ANNA, "447700900111"), (4.0, BERT, "447700900112")):
        world.call_in(speaks(hz, seconds), number)
    world.go()
    record = world.event("record")
    assert [fetch.url for fetch in world.requests if fetch.body == record] == ["http://app.example/webhooks/room"]
    assert record["size"] == pytest.approx(4.0 * 4000, rel=0.1)


def test_all_legs_of_a_conversation_move_with_the_transfer_action() -> None:
    world = World(ROOM)
    host = world.call_in(speaks(ANNA, 10.0))
    world.go(1.0)
    connect = {"action": "connect", "endpoint": [{"type": "phone", "number": CALLEE}]}
    world.platform.parties[CALLEE] = speaks(BOT, 10.0)
    world.pages["answer"] = [{**connect, "limit": 1}, {"action": "transfer", "conversationId": host.leg.conversation}]
    bert = world.call_in(speaks(BERT, 5.0), "447700900112")
    world.go(6.0)
    assert bert.leg.conversation == host.leg.conversation
    assert hears(world.sounds[host.leg.uuid], BERT, BOT) == {BERT}


def test_a_transfer_to_a_conversation_that_is_none_is_an_error() -> None:
    world = World([{"action": "transfer", "conversationId": "CON-8e0b7d62-3c1f-4a95-b7d8-51f0c2a9e364"}])
    call = world.call_in(speaks(ANNA))
    world.go()
    assert "there is no conversation" in world.event("error")["reason"]
    assert call.leg.ended


def test_a_party_that_mutes_itself_by_rest_is_silent_and_comes_back() -> None:
    world, (anna, bert, _) = two_and_a_socket()
    world.at(1.6, lambda: world.platform.mute(bert.leg.uuid))
    world.go(3.0)
    assert hears(world.sounds[anna.leg.uuid], BERT, BOT) == {BOT}
    world.platform.unmute(bert.leg.uuid)
    world.go(4.5)
    assert hears(world.sounds[anna.leg.uuid], BERT, BOT) == {BERT, BOT}


def test_an_earmuffed_leg_hears_nothing() -> None:
    world, (anna, bert, _) = two_and_a_socket()
    world.go(2.5)
    before = world.sounds[anna.leg.uuid].frames
    world.platform.earmuff(anna.leg.uuid)
    world.go(3.5)
    assert world.sounds[anna.leg.uuid].frames == before
    assert hears(world.sounds[bert.leg.uuid], ANNA, BOT) == {ANNA, BOT}


def test_sockets_of_other_rates_hear_each_other() -> None:
    end = {"type": "websocket", "uri": "ws://app.example/socket/1", "content-type": "audio/l16;rate=8000"}
    world = World(ROOM, app=bot(1100.0, 8000))
    world.call_in(speaks(ANNA))
    narrow = world.create(to=[end], ncco=ROOM)
    world.go(2.0)
    world.app = None
    assert hears(sent(world, narrow.leg.uuid, 8000), ANNA) == {ANNA}


@pytest.mark.parametrize(("rate", "to"), [(8000, 16000), (8000, 24000), (16000, 8000), (16000, 24000), (24000, 16000)])
def test_live_sound_is_brought_to_another_rate_frame_by_frame(rate: int, to: int) -> None:
    converter, made = Converter(rate, to), b""
    for frame in voice(1000.0, 2.0).frames(Format(rate)):
        out = converter.push(frame)
        assert len(out) == Format(to).frame_bytes
        made += out
    middle = made[to : -to // 2]
    assert loudness(middle, to, 1000.0) == pytest.approx(LEVEL, abs=0.1)
    rest = np.frombuffer(middle, "<i2") / 32768
    time = np.arange(rest.size) / to
    best = np.linalg.lstsq(np.stack([np.sin(2 * np.pi * 1000 * time), np.cos(2 * np.pi * 1000 * time)], 1), rest)[0]
    residue = rest - np.stack([np.sin(2 * np.pi * 1000 * time), np.cos(2 * np.pi * 1000 * time)], 1) @ best
    assert 20 * np.log10(np.sqrt(np.mean(residue**2))) < -70


def test_what_a_lower_rate_cannot_hold_is_not_folded_down() -> None:
    converter, made = Converter(16000, 8000), b""
    wave = (tone(6000, 1.0, 16000) * 32768).astype("<i2").tobytes()
    for start in range(0, len(wave), 640):
        made += converter.push(wave[start : start + 640])
    assert loudness(made[4000:], 8000, 2000.0) < LEVEL - 50


def test_a_key_is_heard_by_every_socket_of_the_conversation() -> None:
    world, (anna, _, robot) = two_and_a_socket()
    world.tell(2.0, Pressed(anna.leg.uuid, "7"))
    world.go(3.0)
    texts = [json.loads(each) for each in world.sent_to[robot.leg.uuid] if isinstance(each, str)]
    assert texts[-1] == {"event": "websocket:dtmf", "digit": "7", "duration": 260}


def test_a_room_without_sound_takes_no_ticks() -> None:
    world = World([{"action": "wait", "timeout": 7200}])
    world.call_in(Behaviour())
    world.go(5.0)
    assert world.platform.next_time > 5 + FRAME_SECONDS


def test_silence_may_be_left_out() -> None:
    world = World([socket()], knobs=Knobs(dtx=True), app=lambda message: [])
    world.call_in(Behaviour(seconds=2.0))
    world.go()
    assert [message for message in world.sent if isinstance(message, bytes)] == []
