"""Knows how an audio file looks that was cut off on its way, where reading it would not say so."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from callflows.audio.format import AudioError

# Programs that write into a pipe cannot know the length, and leave 0 or something near 2 GiB or 4 GiB.
UNKNOWN = 0x7FFF0000
# An OGG page has at most 27 + 255 + 255 x 255 bytes.
OGG_PAGE = 65307


def refuse_cut_off(file: BinaryIO) -> None:
    """Raise AudioError when ``file``, seekable, is empty or shorter than its own header says.

    The library that decodes takes what is there and says nothing. Knows WAV, RF64, AIFF, AU and OGG.
    """
    size = file.seek(0, 2)
    if not size:
        raise AudioError("The file is empty.")
    file.seek(0)
    kind = file.read(4)
    for start, promised in _promises(file, kind):
        if start + promised > size:
            there = max(0, size - start)
            raise AudioError(
                f"The file is cut off: it promises {promised:,} bytes of audio, but only {there:,} are there."
            )
    if kind == b"OggS" and not _ogg_has_end(file, size):
        raise AudioError("The file is cut off: the end of its OGG stream is missing.")


def _promises(file: BinaryIO, kind: bytes) -> Iterator[tuple[int, int]]:
    """Yield where audio data starts and how many bytes of it the header promises, 0 where it does not know."""
    if kind == b".snd":
        start, length = struct.unpack(">II", file.read(8).ljust(8, b"\0"))
        yield start, length if length < UNKNOWN else 0
    elif kind in (b"RIFF", b"RF64", b"RIFX", b"FORM"):
        order, name = ("<", b"data") if kind in (b"RIFF", b"RF64") else (">", b"SSND" if kind == b"FORM" else b"data")
        yield from ((start, length) for chunk, start, length in _chunks(file, order) if chunk == name)


def _chunks(file: BinaryIO, order: str) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and length of each chunk; a length that does not fit in 32 bits stands in ``ds64``."""
    at, long = 12, 0
    # A header has a handful of chunks; the limit ends files made to keep us busy.
    for _ in range(1000):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return
        name, length = struct.unpack(f"{order}4sI", head)
        if name == b"ds64":
            long = struct.unpack("<8xQ", file.read(16).ljust(16, b"\0"))[0]
        yield name, at + 8, length if length < UNKNOWN else long
        at += 8 + length + length % 2


def _ogg_has_end(file: BinaryIO, size: int) -> bool:
    """Whether the last page carries the end-of-stream flag and is there to its last byte."""
    file.seek(max(0, size - OGG_PAGE - 4096))
    tail = file.read()
    page = tail[max(0, tail.rfind(b"OggS")) :]
    if len(page) < 27 or not page[5] & 4:
        return False
    segments = page[27 : 27 + page[26]]
    return len(page) >= 27 + page[26] + sum(segments)
