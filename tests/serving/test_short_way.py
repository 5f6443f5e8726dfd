"""The short way of one connection: which frames take it, and what becomes of a peer that does not read, or live."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from websockets.frames import Opcode

from callflows import serving
from callflows.serving.frames import HEADS, PING
from callflows.serving.short_way import ShortWay
from tests.serving.messages import audio, client

FRAME = client(Opcode.BINARY, audio(1))
TEXT = client(Opcode.TEXT, b"{}")


class Wire:
    """A transport: what was written, whether it reads, and whether it was ended."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.unsent = 0
        self.reading = True
        self.aborted = False
        self.options: list[Any] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def set_write_buffer_limits(self, high: int) -> None:
        self.options.append(high)

    def get_extra_info(self, name: str) -> Wire:
        return self

    def setsockopt(self, *option: int) -> None:
        self.options.append(option[2])

    def is_closing(self) -> bool:
        return self.aborted

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.aborted = True


class Pair:
    """A short way over a wire, and what it handed over."""

    def __init__(self, size: int = 640) -> None:
        self.wire = Wire()
        self.way = ShortWay(asyncio.get_running_loop(), cast(asyncio.Transport, self.wire))
        self.heard: list[bytes] = []
        self.way.connected()
        self.way.opened(b"")
        if size:
            self.way.begin(size, self.heard.append)


@pytest.fixture
async def pair() -> Any:
    found = Pair()
    yield found
    found.way.disconnected()


async def test_frames_of_the_chosen_size_take_it_and_others_do_not(pair: Pair) -> None:
    other = client(Opcode.BINARY, audio(2, 320))
    assert pair.way.received(FRAME + FRAME) == b""
    assert pair.way.received(other) == other
    assert pair.heard == [audio(1), audio(1)]


async def test_nothing_takes_it_before_it_was_asked_for(pair: Pair) -> None:
    quiet = Pair(size=0)
    assert quiet.way.received(FRAME) == FRAME
    quiet.way.begin(640, quiet.heard.append)
    assert quiet.way.received(FRAME) == b""
    quiet.way.end()
    assert quiet.way.received(FRAME) == FRAME
    assert quiet.heard == [audio(1)]
    quiet.way.disconnected()


async def test_frame_in_pieces_is_handed_over_once_with_its_last_byte(pair: Pair) -> None:
    for byte in FRAME[4:-1]:
        assert pair.way.received(bytes([byte]) if pair.way._begun else FRAME[:5]) == b""
        assert not pair.heard
    pair.way.received(FRAME[-1:])
    assert pair.heard == [audio(1)]


async def test_frames_behind_a_text_wait_with_it(pair: Pair) -> None:
    assert pair.way.received(FRAME + TEXT + FRAME) == TEXT + FRAME
    # As the library does with the text.
    pair.way.queue.put_nowait({"type": "websocket.receive", "text": "{}"})
    assert pair.way.received(FRAME) == FRAME
    await pair.way.queue.get()
    assert pair.way.received(FRAME) == b""
    assert pair.heard == [audio(1)] * 2


async def test_frame_whose_hearing_ends_it_all_is_the_last(pair: Pair) -> None:
    def hear(frame: bytes) -> None:
        pair.heard.append(frame)
        pair.way.end()

    pair.way.begin(640, hear)
    assert pair.way.received(FRAME * 3) == FRAME * 2
    assert len(pair.heard) == 1


async def test_what_the_library_held_before_the_handshake_ended_is_not_cut_short(pair: Pair) -> None:
    early = Pair(size=0)
    early.way.opened(FRAME[:100])
    early.way.begin(640, early.heard.append)
    assert early.way.received(FRAME[100:] + FRAME) == FRAME[100:] + FRAME
    assert early.way.received(FRAME) == b""
    early.way.disconnected()


async def test_frame_is_written_with_its_head_until_the_closing(pair: Pair) -> None:
    pair.way.send(audio(3))
    pair.way.finish()
    pair.way.send(audio(4))
    assert pair.wire.written == [HEADS[640] + audio(3)]
    assert pair.way.received(FRAME) == FRAME


async def test_two_seconds_unread_are_the_most_and_ten_of_it_the_end(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "STUCK_SECONDS", 0.05)
    pair.wire.unsent = 100 * 648
    pair.way.send(audio(1))
    pair.wire.unsent += 1
    for _ in range(3):
        pair.way.send(audio(2))
    assert (len(pair.wire.written), pair.way.dropped) == (1, 3)
    # It reads again, in time.
    pair.wire.unsent = 0
    pair.way.send(audio(3))
    await asyncio.sleep(0.1)
    assert not pair.wire.aborted
    pair.wire.unsent = 1_000_000
    pair.way.send(audio(4))
    await until(lambda: pair.wire.aborted)
    assert pair.way.ended == "it did not read for 0.05 s"


async def test_reading_rests_while_too_much_waits_and_goes_on_at_half_of_it(pair: Pair) -> None:
    for number in range(serving.WAITING + 1):
        assert pair.wire.reading, number
        pair.way.queue.put_nowait({"type": "websocket.receive", "text": "{}"})
    assert not pair.wire.reading
    while pair.way.queue.qsize() > serving.WAITING // 2:
        assert not pair.wire.reading
        await pair.way.queue.get()
    assert pair.wire.reading


async def test_closing_reads_on_to_hear_its_answer(pair: Pair) -> None:
    for _ in range(serving.WAITING + 1):
        pair.way.queue.put_nowait({"type": "websocket.receive", "text": "{}"})
    pair.way.finish()
    assert pair.wire.reading


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "PING_SECONDS", 0.05)
    monkeypatch.setattr(serving, "PONG_SECONDS", 0.1)


async def test_silent_peer_is_asked_once_and_then_ended(quick: None) -> None:
    pair = Pair()
    await until(lambda: pair.wire.aborted)
    assert pair.wire.written == [PING]
    assert pair.way.ended == "neither a frame nor a pong came for 0 s"
    pair.way.disconnected()


async def test_connection_that_does_not_close_is_ended_without_a_ping(quick: None) -> None:
    pair = Pair()
    pair.way.finish()
    await until(lambda: pair.wire.aborted)
    assert pair.wire.written == []
    pair.way.disconnected()


async def test_peer_that_we_do_not_read_is_not_silent(quick: None) -> None:
    pair = Pair()
    for _ in range(serving.WAITING + 1):
        pair.way.queue.put_nowait({"type": "websocket.receive", "text": "{}"})
    await asyncio.sleep(0.4)
    assert not pair.wire.aborted
    pair.way.disconnected()


async def test_watch_that_fails_ends_its_connection(quick: None, caplog: pytest.LogCaptureFixture) -> None:
    pair = Pair()

    def fail(data: bytes) -> None:
        raise RuntimeError("closed")

    pair.wire.write = fail  # type: ignore[method-assign]
    await until(lambda: pair.wire.aborted)
    assert pair.way.ended == "it could not be watched: closed"
    assert "a socket could not be watched" in caplog.text
    pair.way.disconnected()


async def test_gone_connection_is_watched_no_more(quick: None) -> None:
    pair = Pair()
    pair.way.disconnected()
    await asyncio.sleep(0.3)
    assert not pair.wire.aborted


async def until(is_so: Any) -> None:
    for _ in range(1000):
        if is_so():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("waited 10 s in vain")


@pytest.mark.parametrize(
    "message",
    [
        client(Opcode.PING, b""),
        TEXT,
        client(Opcode.BINARY, b""),
        client(Opcode.BINARY, b"", fin=False) + client(Opcode.CONT, b""),
    ],
)
async def test_peer_that_sends_too_much_else_is_closed_with_1008(pair: Pair, message: bytes) -> None:
    flood = message * 3000
    assert pair.way.received(flood) == b""
    assert pair.wire.written == [b"\x88\x02\x03\xf0"]
    assert (pair.wire.aborted, pair.way.ended) == (
        True,
        "it sent more than 200 messages a second that are no audio",
    )
    assert pair.way.received(flood) == b""
    assert len(pair.wire.written) == 1


async def test_budget_fills_again_with_time(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    now = pair.way.heard_at
    monkeypatch.setattr("callflows.serving.short_way.time", SimpleNamespace(monotonic=lambda: now))
    for _ in range(20):
        now += 1.0
        assert pair.way.received(TEXT * 200 + FRAME * 50) == TEXT * 200 + FRAME * 50
    assert pair.way.received(TEXT * 250)
    assert not pair.way.received(TEXT * 250)


async def test_audio_costs_nothing_whichever_way_it_takes(pair: Pair) -> None:
    assert pair.way.received(FRAME * 10_000) == b""
    pair.way.queue.put_nowait({"type": "x"})
    assert len(pair.way.received(FRAME * 10_000)) == 10_000 * len(FRAME)
    assert not pair.way.ended
