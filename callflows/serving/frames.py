"""Knows the bytes of the usual audio message on the wire, in both directions."""

from __future__ import annotations

try:
    # In C, of a package that is installed anyway: 0.2 microseconds; as whole numbers of Python's 1.3.
    from websockets.speedups import apply_mask as unmask
except ImportError:  # there is no wheel for this platform
    from websockets.utils import apply_mask as unmask

__all__ = ["BEFORE", "HEADS", "MASKED", "PING", "SIZES", "unmask"]

# 20 ms of L16 at 8, 16 and 24 kHz.
SIZES = (320, 640, 960)
# Whole (FIN) binary messages without compression, their length in 16 bits: what a server sends first of each, and what
# a client does, which masks all it sends.
HEADS = {size: b"\x82\x7e" + size.to_bytes(2) for size in SIZES}
MASKED = {size: b"\x82\xfe" + size.to_bytes(2) for size in SIZES}
# Head and mask.
BEFORE = 8
PING = b"\x89\x01?"
