"""Knows how to cut audio into whole frames."""

from __future__ import annotations

from collections.abc import Iterator

from callflows.audio.format import Format


def frames(pcm: bytes | memoryview, fmt: Format) -> Iterator[bytes | memoryview]:
    """Yield ``pcm`` frame by frame, without copying; the last one is padded with silence.

    A partial frame would end the leg: Vonage closes the socket on any other size.
    """
    size = fmt.frame_bytes
    view = memoryview(pcm)
    whole = len(view) - len(view) % size
    for start in range(0, whole, size):
        yield view[start : start + size]
    if whole < len(view):
        yield bytes(view[whole:]).ljust(size, b"\0")
