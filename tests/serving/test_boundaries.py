"""Where messages end, whatever the pieces that they come in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Opcode

from callflows.serving.boundaries import Boundaries
from tests.serving.messages import audio, client, cut

MESSAGES = [client(Opcode.BINARY, audio(1, size)) for size in (0, 1, 125, 126, 640, 65_535)] + [
    client(Opcode.TEXT, b"{}"),
    client(Opcode.PING, b"?"),
    client(Opcode.BINARY, audio(1), fin=False) + client(Opcode.PING, b"") + client(Opcode.CONT, audio(2)),
]


@pytest.mark.parametrize("number", range(len(MESSAGES)))
def test_message_ends_with_its_last_byte_and_not_before(number: int) -> None:
    message = MESSAGES[number]
    for end in sorted({1, 2, 3, 5, 7, len(message) // 2, len(message) - 1} & set(range(1, len(message)))):
        boundaries = Boundaries()
        boundaries.pass_by(message[:end])
        assert not boundaries.between, end
        boundaries.pass_by(message[end:])
        assert boundaries.between


@given(st.lists(st.sampled_from(MESSAGES), min_size=1, max_size=5), st.lists(st.integers(0, 200_000), max_size=8))
def test_pieces_of_any_size_end_where_the_messages_do(messages: list[bytes], places: list[int]) -> None:
    stream, boundaries = b"".join(messages), Boundaries()
    assert boundaries.between
    for piece in cut(stream, places):
        boundaries.pass_by(piece)
    assert boundaries.between
    boundaries.pass_by(messages[0][:1])
    assert not boundaries.between


def test_message_of_64_kib_and_more_has_a_longer_head() -> None:
    boundaries = Boundaries()
    boundaries.pass_by(b"\x82\xff" + (70_000).to_bytes(8) + b"mask" + bytes(69_999))
    assert not boundaries.between
    boundaries.pass_by(b"\0")
    assert boundaries.between


@pytest.mark.parametrize(
    ("message", "cost"),
    [
        *((client(Opcode.BINARY, audio(1, size)), 0) for size in (320, 640, 960)),
        *((client(Opcode.BINARY, audio(1, size)), 1) for size in (0, 8, 319, 641)),
        (client(Opcode.BINARY, audio(1, 40_960)), 11),
        (client(Opcode.TEXT, b"{}"), 1),
        (client(Opcode.TEXT, b"a" * 640), 1),
        (client(Opcode.PING, b""), 1),
        (client(Opcode.BINARY, audio(1), fin=False) + client(Opcode.CONT, b""), 2),
    ],
)
def test_what_is_no_audio_costs(message: bytes, cost: int) -> None:
    boundaries = Boundaries()
    assert boundaries.pass_by(message * 10, 10 * cost)
    assert boundaries.cost == 10 * cost
    if cost:
        assert not boundaries.pass_by(message, cost - 1)


def test_nothing_is_looked_at_beyond_what_may_be_spent() -> None:
    boundaries = Boundaries()
    assert not boundaries.pass_by(client(Opcode.PING, b"") * 10_000, 100)
    assert boundaries.cost == 101
