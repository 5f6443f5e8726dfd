from __future__ import annotations

import pytest
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from benchmarks.harness.client import (
    BINARY,
    CLOSE,
    ECHO_BYTES,
    ECHO_HEAD,
    FRAME_HEAD,
    FRAME_REST,
    MASK,
    NOISE,
    NUMBER_MASK,
    PING,
    TEXT,
    masked,
    take_messages,
)


def parsed(message: bytes) -> Frame:
    """Read what a client sent as the websockets package does."""
    reader = StreamReader()
    reader.feed_data(message)
    steps = Frame.parse(reader.read_exact, mask=True)
    with pytest.raises(StopIteration) as end:
        next(steps)
    frame: Frame = end.value.value
    return frame


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 125, 126, 640, 65535])
def test_message_is_read_by_another_implementation(size: int) -> None:
    payload = bytes(number % 251 for number in range(size))
    assert parsed(masked(BINARY, payload)) == Frame(Opcode.BINARY, payload)


def test_numbered_frame_is_one_whole_masked_message() -> None:
    frame = parsed(FRAME_HEAD + (7 ^ NUMBER_MASK).to_bytes(4) + FRAME_REST)
    assert frame.data == (7).to_bytes(4) + NOISE
    assert len(frame.data) == 640
    assert bytes(4) != MASK


def test_server_sends_an_echo_in_the_shape_that_we_look_for() -> None:
    sent = Frame(Opcode.BINARY, bytes(640)).serialize(mask=False)
    assert len(sent) == ECHO_BYTES
    assert sent.startswith(ECHO_HEAD)


def test_messages_are_cut_whatever_the_pieces_they_come_in() -> None:
    messages = [(TEXT, b"{}"), (BINARY, bytes(640)), (PING, b""), (BINARY, bytes(70_000)), (CLOSE, b"\x03\xe8")]
    stream = b"".join(Frame(Opcode(opcode), payload).serialize(mask=False) for opcode, payload in messages)
    buffer, found = bytearray(), []
    for start in range(0, len(stream), 1000):
        buffer += stream[start : start + 1000]
        found += list(take_messages(buffer))
    assert found == messages
    assert not buffer
