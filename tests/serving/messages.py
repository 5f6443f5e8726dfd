"""Knows what clients may put on the wire, right and wrong."""

from __future__ import annotations

import random
from collections.abc import Iterable

UPGRADE = (
    b"GET /line HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def client(opcode: int, data: bytes, fin: bool = True, rsv1: bool = False, mask: bytes = b"\x5a\x17\xc3\xe8") -> bytes:
    """Return one frame of a client, which need not be right."""
    head = bytes([0x80 * fin | 0x40 * rsv1 | opcode])
    size = len(data)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2)
    return head + length + mask + bytes(one ^ mask[place % 4] for place, one in enumerate(data))


def audio(number: int, size: int = 640) -> bytes:
    """Return sound that is known by its number."""
    return random.Random(number).randbytes(size)


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """Return the pieces between places, as a network may deliver them."""
    ends = sorted({each % (len(data) + 1) for each in places} | {len(data)})
    return [piece for begin, end in zip([0, *ends], ends, strict=False) if (piece := data[begin:end])]
