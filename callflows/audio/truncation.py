"""Knows how a sound file looks that is cut off, or several in one, where reading it would not say so."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO

from callflows.audio.format import AudioError

# Programs that write into a pipe cannot know the length, and leave something near 2 GiB or 4 GiB.
UNKNOWN = 0x7FFF0000
# The fixed part of an OGG page, and the lengths of its segments at most.
OGG_HEAD, OGG_SEGMENTS = 27, 255
# Tags and padding behind the sound: more than this is sound that the header does not count.
MOST_BEHIND = 4096
# A header has a handful of chunks; the limit ends files made to keep us busy.
MOST_CHUNKS = 1000
SEVERAL = (
    "The file holds several sounds, one after the other, of which only the first would be heard: join them in one."
)
# What a WAV file's 16 bytes names begin with in W64, and how its header is laid out.
W64_HEAD = 40

# Where a chunk's content starts, its length as far as the header knows it, and where the next one begins.
Chunk = tuple[bytes, int, int, int]


def refuse_broken(file: BinaryIO) -> None:
    """Raise AudioError when ``file``, seekable, is empty, or when more or less is there than its header says.

    The library that decodes takes what is there, or the first sound only, and says nothing. Knows WAV, RF64, W64, AIFF,
    CAF, AU and OGG.
    """
    size = file.seek(0, 2)
    if not size:
        raise AudioError("The file is empty.")
    file.seek(0)
    kind = file.read(4)
    if kind == b"OggS":
        _check_ogg(file, size)
    elif chunks := _CHUNKS.get(kind):
        _check_chunks(file, size, chunks(file, kind))


def _check_chunks(file: BinaryIO, size: int, chunks: Iterator[Chunk]) -> None:
    """Look at the chunk with the sound, and at what stands behind it: more chunks, or what nobody counted."""
    sound, behind = None, 0
    for name, start, length, after in chunks:
        if sound is None and name in (b"data", b"SSND"):
            if start + length > size:
                there = max(0, size - start)
                raise AudioError(
                    f"The file is cut off: it promises {length:,} bytes of audio, but only {there:,} are there."
                )
            sound, behind = length, after
        elif sound is not None:
            if name in _CHUNKS:
                raise AudioError(SEVERAL)
            if not name.isascii() or not name.decode().isprintable() or after > size + 1:
                break
            behind = after
    if sound is not None:
        _refuse_behind(file, size, behind, sound)


def _refuse_behind(file: BinaryIO, size: int, behind: int, counted: int) -> None:
    """Raise AudioError for much that is not padding behind the last chunk."""
    left = size - behind
    file.seek(min(behind, size))
    if left > MOST_BEHIND and len(file.read(1 << 20).strip(b"\0")) > MOST_BEHIND:
        raise AudioError(
            f"The file's header counts {counted:,} bytes of audio, but {left:,} more follow: export it again."
        )


def _riff(file: BinaryIO, kind: bytes) -> Iterator[Chunk]:
    """Walk the chunks of WAV and AIFF; a length that does not fit in 32 bits stands in ``ds64``."""
    order = "<" if kind in (b"RIFF", b"RF64") else ">"
    at, long = 12, 0
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return
        name, length = struct.unpack(f"{order}4sI", head)
        if name == b"ds64":
            long = struct.unpack("<8xQ", file.read(16).ljust(16, b"\0"))[0]
        known = length if length < UNKNOWN or kind == b"RF64" else 0
        known = long if kind == b"RF64" and length == 0xFFFFFFFF else known
        # Nothing stands behind a sound whose length nobody knew.
        after = at + 8 + known + known % 2 if known or not length else file.seek(0, 2)
        yield name, at + 8, known, after
        at = after


def _w64(file: BinaryIO, kind: bytes) -> Iterator[Chunk]:
    """Walk the chunks of W64: names of 16 bytes, lengths that count the chunk's own head, places in steps of 8."""
    at = W64_HEAD
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        head = file.read(24)
        if len(head) < 24:
            return
        name, length = struct.unpack("<4s12xQ", head)
        yield name, at + 24, max(0, length - 24), at + max(24, (length + 7) // 8 * 8)
        at += max(24, (length + 7) // 8 * 8)


def _caf(file: BinaryIO, kind: bytes) -> Iterator[Chunk]:
    """Walk the chunks of CAF; -1 stands for "to the end of the file"."""
    at = 8
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        head = file.read(12)
        if len(head) < 12:
            return
        name, length = struct.unpack(">4sq", head)
        after = at + 12 + length if length >= 0 else file.seek(0, 2)
        yield name, at + 12, max(0, length), after
        at = after


def _au(file: BinaryIO, kind: bytes) -> Iterator[Chunk]:
    start, length = struct.unpack(">II", file.read(8).ljust(8, b"\0"))
    known = length if length < UNKNOWN else 0
    yield b"data", start, known, start + known if length < UNKNOWN else file.seek(0, 2)


_CHUNKS: dict[bytes, Callable[[BinaryIO, bytes], Iterator[Chunk]]] = {
    **dict.fromkeys((b"RIFF", b"RIFX", b"RF64", b"FORM"), _riff),
    b"riff": _w64,
    b"caff": _caf,
    b".snd": _au,
}


def _check_ogg(file: BinaryIO, size: int) -> None:
    """Walk the pages: the last one must be whole and marked as the end, and no stream may begin after another."""
    at, ended, begun = 0, False, False
    while at < size:
        file.seek(at)
        head = file.read(OGG_HEAD + OGG_SEGMENTS)
        if not head.startswith(b"OggS"):
            break
        count = head[26] if len(head) >= OGG_HEAD else OGG_SEGMENTS
        at += OGG_HEAD + count + sum(head[OGG_HEAD : OGG_HEAD + count])
        if len(head) < OGG_HEAD + count or at > size:
            raise AudioError("The file is cut off: its last OGG page is not whole.")
        first, ended = bool(head[5] & 2), bool(head[5] & 4)
        if first and begun:
            raise AudioError(SEVERAL)
        begun = begun or not first
    if not ended:
        raise AudioError("The file is cut off: the end of its OGG stream is missing.")
    _refuse_behind(file, size, at, at)
