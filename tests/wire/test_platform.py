"""Knows how Vonage's end of an audio socket must behave, in simulated time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from callflows.audio.format import Format
from callflows.wire.platform import Knobs, Platform, PlatformError, first_message

WIDE = Format(16000)
PAYLOADS = Path(__file__).parent.parent / "payloads" / "websocket"
CLEAR = '{"action":"clear"}'


def payload(name: str) -> Any:
    return json.loads((PAYLOADS / f"{name}.json").read_text())


def numbered(count: int, start: int = 0) -> list[bytes]:
    """Frames that can be told apart: each holds its own number."""
    return [(start + place).to_bytes(2, "little") * WIDE.frame_samples for place in range(count)]


def opened(voice: Iterable[bytes] = (), **knobs: Any) -> Platform:
    platform = Platform(WIDE, {}, iter(voice), Knobs(**{"prebuffer": 0, **knobs}))
    platform.open(0.0)
    return platform


def texts(messages: list[str | bytes]) -> list[Any]:
    return [json.loads(message) for message in messages if isinstance(message, str)]


def audio(messages: list[str | bytes]) -> list[bytes]:
    return [message for message in messages if isinstance(message, bytes)]


def notify(number: int) -> str:
    return json.dumps({"action": "notify", "payload": {"mark": number}})


@pytest.mark.parametrize("name", ["connected_new", "connected_new_no_headers", "connected_new_nested_headers"])
def test_first_message_holds_the_headers_at_its_top(name: str) -> None:
    expected = payload(name)
    headers = {key: value for key, value in expected.items() if key not in ("event", "content-type")}
    platform = Platform(Format.parse(expected["content-type"]), headers, iter(()))
    assert json.loads(platform.open(0.0)) == expected


def test_old_first_message_has_no_event() -> None:
    expected = payload("connected_old_with_metadata")
    assert first_message(WIDE, {"prop1": "value1", "prop2": "value2"}, "old") == expected


def test_own_members_win_over_headers_of_the_same_name() -> None:
    message = first_message(WIDE, {"content-type": "text/plain", "event": "mine"})
    assert message == {"event": "websocket:connected", "content-type": "audio/l16;rate=16000"}


def test_voice_is_sent_frame_by_frame_and_then_silence() -> None:
    platform = opened(numbered(2, start=1))
    assert platform.advance(0.07) == [*numbered(2, start=1), WIDE.silence, WIDE.silence]


def test_late_calls_get_the_frames_they_missed_and_no_drift() -> None:
    platform = opened()
    sent = sum(len(platform.advance(now)) for now in (0.0, 0.5, 0.513, 9.999))
    assert sent == 500
    assert platform.next_due == pytest.approx(10.0)


def test_played_frames_come_out_in_order_and_one_each_20_ms() -> None:
    platform = opened()
    for frame in numbered(3):
        platform.receive(frame, 0.1)
    platform.advance(0.119)
    assert platform.take_heard() == numbered(1)
    platform.advance(0.2)
    assert platform.take_heard() == numbered(2, start=1)
    assert (platform.played, platform.lost, platform.unplayed) == (3, 0, 0)


def test_sound_starts_when_the_prebuffer_is_over() -> None:
    platform = opened(prebuffer=3)
    platform.receive(numbered(1)[0], 1.0)
    platform.advance(1.059)
    assert platform.take_heard() == []
    platform.advance(1.0601)
    assert platform.take_heard() == numbered(1)


def test_a_gap_in_the_middle_of_sound_is_counted_as_lost_frames() -> None:
    platform = opened()
    platform.receive(numbered(1)[0], 0.0)
    platform.receive(numbered(1)[0], 0.07)
    assert platform.lost == 3


def test_a_pause_between_two_sounds_is_no_loss() -> None:
    platform = opened()
    platform.receive(numbered(1)[0], 0.0)
    platform.receive(numbered(1)[0], 2.0)
    assert platform.lost == 0


@pytest.mark.parametrize("buffer", [3072, 1024])
def test_full_buffer_drops_the_newest_and_counts(buffer: int) -> None:
    platform = opened(buffer=buffer)
    for frame in numbered(buffer + 10):
        platform.receive(frame, 0.0)
    # The first one plays at once and makes room for another.
    assert (platform.unplayed, platform.lost) == (buffer, 9)
    platform.advance(100.0)
    assert platform.take_heard() == numbered(buffer + 1)


def test_clear_drops_what_waits_and_is_acknowledged() -> None:
    platform = opened()
    for frame in numbered(10):
        platform.receive(frame, 0.0)
    platform.advance(0.05)
    assert texts(platform.receive(CLEAR, 0.05)) == [payload("cleared")]
    platform.advance(1.0)
    assert platform.take_heard() == numbered(3)


def test_clear_that_takes_its_time_drops_what_came_meanwhile() -> None:
    platform = opened(clear_seconds=0.1)
    for frame in numbered(10):
        platform.receive(frame, 0.0)
    assert texts(platform.receive(CLEAR, 0.05)) == []
    platform.receive(numbered(1, start=90)[0], 0.1)
    assert texts(platform.advance(0.149)) == []
    assert texts(platform.advance(0.151)) == [payload("cleared")]
    platform.receive(numbered(1, start=99)[0], 0.2)
    platform.advance(1.0)
    assert platform.take_heard() == [*numbered(8), *numbered(1, start=99)]


def test_clear_that_is_not_known_changes_nothing() -> None:
    platform = opened(clear="ignored")
    for frame in numbered(10):
        platform.receive(frame, 0.0)
    assert texts(platform.receive(CLEAR, 0.05)) == []
    platform.advance(1.0)
    assert (platform.take_heard(), platform.ignored) == (numbered(10), 1)


def test_frame_that_is_being_played_is_held_until_its_end() -> None:
    platform = opened()
    for frame in numbered(2):
        platform.receive(frame, 0.0)
    held = []
    for now in (0.0, 0.019, 0.021, 0.039, 0.041):
        platform.advance(now)
        held.append(platform.held)
    assert held == [2, 2, 1, 1, 0]


def test_sound_after_clear_is_no_loss() -> None:
    platform = opened()
    platform.receive(numbered(1)[0], 0.0)
    platform.receive(CLEAR, 0.1)
    platform.receive(numbered(1)[0], 0.3)
    assert platform.lost == 0


def test_notify_comes_back_when_all_before_it_was_played() -> None:
    platform = opened()
    for frame in numbered(2):
        platform.receive(frame, 0.0)
    assert texts(platform.receive(json.dumps(payload("command_notify")), 0.0)) == []
    assert texts(platform.advance(0.039)) == []
    assert texts(platform.advance(0.0401)) == [payload("notify")]


def test_notify_on_an_empty_queue_comes_back_at_once() -> None:
    command = json.dumps(payload("command_notify_empty_payload"))
    assert texts(opened().receive(command, 0.0))[-1:] == [{"event": "websocket:notify", "payload": {}}]


@pytest.mark.parametrize(("fires", "marks"), [(False, []), (True, [1])])
def test_clear_drops_a_pending_notify_unless_told_otherwise(fires: bool, marks: list[int]) -> None:
    platform = opened(clear_fires_notify=fires)
    platform.receive(numbered(1)[0], 0.0)
    platform.receive(notify(1), 0.0)
    answers = texts(platform.receive(CLEAR, 0.001)) + texts(platform.advance(1.0))
    assert [each["payload"]["mark"] for each in answers if "payload" in each] == marks
    assert payload("cleared") in answers


@pytest.mark.parametrize("size", [0, 320, 639, 641, 1280])
def test_frame_of_wrong_size_ends_the_leg_where_it_is_told_to(size: int) -> None:
    platform = opened(bad_frame="close")
    with pytest.raises(PlatformError, match=f"expected 640 bytes of audio, got {size}"):
        platform.receive(b"\0" * size, 0.0)
    assert platform.bad == 1


@pytest.mark.parametrize("size", [0, 8, 148, 639])
def test_short_last_message_is_filled_and_all_is_heard(size: int) -> None:
    """As vendor samples send it: 369 whole frames and one of 148 bytes."""
    platform, sound = opened(), numbered(369)
    for message in (*sound, b"\1" * size):
        platform.receive(message, 0.0)
    platform.advance(10.0)
    assert platform.take_heard() == [*sound, (b"\1" * size).ljust(640, b"\0")]
    assert (platform.bad, platform.held) == (1, 0)


def test_short_message_before_any_audio_is_filled() -> None:
    platform = opened()
    platform.receive(bytes(8), 0.0)
    for message in numbered(3):
        platform.receive(message, 0.0)
    platform.advance(1.0)
    assert platform.take_heard() == [bytes(640), *numbered(3)]


def test_short_message_in_mid_stream_ends_the_leg() -> None:
    platform = opened()
    platform.receive(numbered(1)[0], 0.0)
    platform.receive(bytes(320), 0.001)
    with pytest.raises(PlatformError, match="expected 640 bytes of audio in mid-stream, got 320"):
        platform.receive(numbered(1)[0], 0.002)


def test_short_message_that_was_the_last_one_may_be_followed_by_more_sound() -> None:
    platform = opened()
    for begin in (0.0, 5.0):
        platform.receive(numbered(1)[0], begin)
        platform.receive(b"\2", begin)
        platform.advance(begin + 1.0)
    platform.receive(CLEAR, 10.0)
    assert platform.take_heard() == 2 * [numbered(1)[0], b"\2".ljust(640, b"\0")]


def test_clear_forgets_a_short_message() -> None:
    platform = opened()
    for message in (numbered(1)[0], b"\2", CLEAR, numbered(1)[0]):
        platform.receive(message, 0.0)


@pytest.mark.parametrize("size", [641, 1280])
def test_long_message_ends_the_leg(size: int) -> None:
    with pytest.raises(PlatformError, match=f"expected 640 bytes of audio, got {size}"):
        opened().receive(bytes(size), 0.0)


def test_frame_of_wrong_size_can_be_padded_like_the_old_bridge_did() -> None:
    platform = opened(bad_frame="pad")
    platform.receive(b"\1", 0.0)
    platform.advance(0.01)
    assert platform.take_heard() == [b"\1".ljust(640, b"\0")]


@pytest.mark.parametrize("text", ["{", "[]", "7", '{"action":"notify"}', '{"action":"notify","payload":1}'])
def test_unknown_and_malformed_text_is_ignored(text: str) -> None:
    platform = opened()
    platform.advance(0.0)
    assert platform.receive(text, 0.0) == []
    assert platform.receive(json.dumps(payload("command_unknown")), 0.0) == []
    assert platform.ignored == 2


def test_a_key_becomes_a_message() -> None:
    assert json.loads(opened().press("5")) == payload("dtmf")
