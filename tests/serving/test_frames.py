"""The usual audio message, by its bytes."""

from __future__ import annotations

import pytest
from websockets.frames import Frame, Opcode

from callflows.serving.frames import BEFORE, HEADS, MASKED, SIZES, unmask
from tests.serving.messages import audio, client


@pytest.mark.parametrize("size", SIZES)
def test_their_head_is_the_one_of_another_implementation(size: int) -> None:
    assert Frame(Opcode.BINARY, audio(1, size)).serialize(mask=True)[:4] == MASKED[size]


@pytest.mark.parametrize("mask", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\1", b"\1\0\0\0", b"\x5a\x17\xc3\xe8"])
def test_every_mask_is_taken_off(mask: bytes) -> None:
    assert unmask(client(Opcode.BINARY, audio(2), mask=mask)[BEFORE:], mask) == audio(2)


@pytest.mark.parametrize("size", SIZES)
def test_our_head_is_the_one_of_another_implementation(size: int) -> None:
    assert Frame(Opcode.BINARY, audio(1, size)).serialize(mask=False) == HEADS[size] + audio(1, size)
