"""Knows the bytes of the usual audio message on the wire, in both directions, and which bytes are none."""

from __future__ import annotations

try:
    from websockets.speedups import apply_mask
except ImportError:  # there is no wheel for this platform
    from websockets.utils import apply_mask

# 20 ms of L16 at 8, 16 and 24 kHz.
SIZES = (320, 640, 960)
# Whole (FIN) binary messages without compression, their length in 16 bits: what a server sends first of each, and what
# a client does, which masks all it sends.
HEADS = {size: b"\x82\x7e" + size.to_bytes(2) for size in SIZES}
MASKED = {b"\x82\xfe" + size.to_bytes(2): size for size in SIZES}
# Head and mask.
BEFORE = 8


def take(data: bytes) -> tuple[list[bytes], bytes, bool]:
    """Cut usual messages off the front of what a client sent.

    Returns their payloads, what is left, and whether that is only the beginning of another one, so worth waiting for.
    """
    payloads: list[bytes] = []
    begin, end = 0, len(data)
    while (size := MASKED.get(data[begin : begin + 4])) and (after := begin + BEFORE + size) <= end:
        # In C, of a package that is installed anyway: 0.2 microseconds; as whole numbers of Python's 1.3.
        payloads.append(apply_mask(data[begin + BEFORE : after], data[begin + 4 : begin + BEFORE]))
        begin = after
    return payloads, data[begin:], size is not None
