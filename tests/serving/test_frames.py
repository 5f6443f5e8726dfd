"""The usual audio message, by its bytes."""

from __future__ import annotations

import pytest
from websockets.frames import Frame, Opcode

from callflows.serving.frames import HEADS, SIZES, take
from tests.serving.messages import audio, client


@pytest.mark.parametrize("size", SIZES)
def test_a_whole_message_is_taken_without_its_mask(size: int) -> None:
    assert take(client(Opcode.BINARY, audio(1, size))) == ([audio(1, size)], b"", False)


@pytest.mark.parametrize("mask", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\1", b"\1\0\0\0", b"\x5a\x17\xc3\xe8"])
def test_every_mask_is_taken_off(mask: bytes) -> None:
    assert take(client(Opcode.BINARY, audio(2), mask=mask)) == ([audio(2)], b"", False)


def test_several_messages_come_in_one_piece() -> None:
    stream = b"".join(client(Opcode.BINARY, audio(each, SIZES[each % 3])) for each in range(7))
    assert take(stream) == ([audio(each, SIZES[each % 3]) for each in range(7)], b"", False)


@pytest.mark.parametrize("end", [4, 8, 100, 647])
def test_the_beginning_of_a_message_is_worth_waiting_for(end: int) -> None:
    begun = client(Opcode.BINARY, audio(1))[:end]
    assert take(client(Opcode.BINARY, audio(0)) + begun) == ([audio(0)], begun, True)


@pytest.mark.parametrize(
    "other",
    [
        b"",
        b"\x82\xfe\x02",
        client(Opcode.TEXT, audio(1)),
        client(Opcode.BINARY, audio(1), fin=False),
        client(Opcode.CONT, audio(1)),
        client(Opcode.BINARY, audio(1), rsv1=True),
        client(Opcode.BINARY, bytes(639)),
        client(Opcode.BINARY, b""),
        client(Opcode.PING, b"?"),
        client(Opcode.CLOSE, b"\x03\xe8"),
        Frame(Opcode.BINARY, audio(1)).serialize(mask=False),
    ],
    ids=["nothing", "half", "text", "begun", "continued", "compressed", "short", "empty", "ping", "close", "unmasked"],
)
def test_anything_else_is_left_as_it_came(other: bytes) -> None:
    after = other + client(Opcode.BINARY, audio(2)) if other else other
    assert take(client(Opcode.BINARY, audio(0)) + after) == ([audio(0)], after, False)


@pytest.mark.parametrize("size", SIZES)
def test_our_head_is_the_one_of_another_implementation(size: int) -> None:
    assert Frame(Opcode.BINARY, audio(1, size)).serialize(mask=False) == HEADS[size] + audio(1, size)
