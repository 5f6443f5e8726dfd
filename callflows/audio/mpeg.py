"""Knows the frames of an MP3: how many there are, and how to read them all where its header counts too few."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from typing import BinaryIO

from callflows.audio.format import AudioError
from callflows.audio.pieces import BLOCK, Piece, joined

# kbit/s by the index in a frame's header, of MPEG 1 and of MPEG 2 and 2.5, all layer III; 0 and 15 name none.
BIT_RATES = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0),
)
RATES = (44100, 48000, 32000, 0)
# Samples per second are divided by this, by the version in a header: 2.5, none, 2, 1.
DIVISORS = (4, 0, 2, 1)
# The beginning of a frame of layer III with a bit rate.
SYNC = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][\x10-\xef]", re.DOTALL)
# A header, its side information, and the word that marks a frame which only tells of the others.
HEAD_BYTES = 64
# What is no frame and no tag, between frames: more than this is no MP3 that anybody should hear.
MOST_JUNK = 1 << 20
# A frame that only names how many follow, at 64 kbit/s: 192 bytes or more at every rate.
NAMING_BIT_RATE = 64
SHORTEST_TAG = {b"ID3": 10, b"TAG": 128, b"APETAGEX": 32}


@dataclass(frozen=True, slots=True)
class Frame:
    """What the first four bytes of a frame say: samples per second and in the frame, bytes of it all."""

    rate: int
    samples: int
    length: int
    mono: bool

    @classmethod
    def parse(cls, head: bytes) -> Frame | None:
        """Return what a frame of layer III begins with; None for anything else."""
        if not SYNC.match(head) or len(head) < 4 or not (divisor := DIVISORS[head[1] >> 3 & 3]):
            return None
        first = divisor == 1
        rate = RATES[head[2] >> 2 & 3] // divisor
        bit_rate = BIT_RATES[0 if first else 1][head[2] >> 4] * 1000
        if not rate or not bit_rate:
            return None
        samples = 1152 if first else 576
        return cls(rate, samples, samples // 8 * bit_rate // rate + (head[2] >> 1 & 1), head[3] >> 6 == 3)

    @property
    def side(self) -> int:
        """Bytes of side information, after the header."""
        return (17 if self.mono else 32) if self.samples == 1152 else (9 if self.mono else 17)


@dataclass
class _Found:
    """The frames with sound, as pieces of the file that follow each other, and what the first frame says of them."""

    start: int = 0
    head: bytes = b""
    frame: Frame | None = None
    count: int = 0
    named: int | None = None
    pieces: list[tuple[int, int]] = field(default_factory=list)
    cut: bool = False


def whole(file: BinaryIO) -> BinaryIO | None:
    """Return the frames of ``file``, seekable, as a file in which the decoder finds every one; None: it is no MP3.

    The decoder believes the count in the first frame, which names only the first of several files put together, and
    guesses one from the first bit rate where none is named. Raises AudioError for one that is cut off, or that
    changes its rate on its way.
    """
    found = _walk(file)
    if found.frame is None:
        return None
    seconds = [count * found.frame.samples / found.frame.rate for count in (found.named or 0, found.count)]
    if found.named is not None and found.named > found.count + 1:
        raise AudioError(
            f"The file is cut off: it promises {seconds[0]:.1f} s of sound, but only {seconds[1]:.1f} s can be read."
        )
    if found.cut:
        raise AudioError(f"The file is cut off: its last frame, after {seconds[1]:.1f} s, is not whole.")
    pieces: list[Piece] = [*found.pieces]
    if found.named is not None and found.named >= found.count - 1 and len(pieces) == 1:
        # With its first frame, which also says how much silence the encoder added.
        return joined(file, [(found.start, found.pieces[0][1])])
    return joined(file, [_naming(found.head, found.count), *pieces])


def after_tags(file: BinaryIO) -> int:
    """Return where the tags at the front of a file end."""
    return _Window(file).skip_tags(0)


def _walk(file: BinaryIO) -> _Found:
    """Step from frame to frame; the first one is the first of two in a row. Tags and zeros may stand before it."""
    found, window = _Found(), _Window(file)
    at = first = window.skip_tags(0)
    junk = 0
    while at < window.size:
        head = window.read(at, HEAD_BYTES)
        frame = Frame.parse(head)
        follows = bool(found.pieces) and found.pieces[-1][1] == at
        searched = found.frame is None and at != first
        if frame is None or not (follows or window.begins(at, frame, searched)):
            after = window.skip_tags(at)
            step = after if after != at else window.next_sync(at + 1)
            junk += step - at if after == at else 0
            if junk > MOST_JUNK and found.frame is None:
                return found
            if junk > MOST_JUNK:
                raise AudioError("The file is damaged: more than 1 MiB between its frames is no MP3.")
            at = step
            continue
        if at + frame.length > window.size:
            found.cut = found.named is None or found.count < found.named
            break
        _take(found, at, head, frame)
        at += frame.length
    return found


def _take(found: _Found, at: int, head: bytes, frame: Frame) -> None:
    """Add a frame; one that only tells of the others is none of them, wherever it stands."""
    if found.frame and (found.frame.rate, found.frame.mono) != (frame.rate, frame.mono):
        raise AudioError(
            f"The sound changes on its way, from {_kind(found.frame)} to {_kind(frame)}: export it as one file."
        )
    named = _named(head, frame)
    if found.frame is None:
        found.start, found.head, found.frame, found.named = at, head[:4], frame, named
    if named is not None:
        return
    found.count += 1
    if found.pieces and found.pieces[-1][1] == at:
        found.pieces[-1] = (found.pieces[-1][0], at + frame.length)
    else:
        found.pieces.append((at, at + frame.length))


def _kind(frame: Frame) -> str:
    return f"{frame.rate:,} samples per second in {'one channel' if frame.mono else 'two channels'}"


def _named(head: bytes, frame: Frame) -> int | None:
    """Return how many frames a frame says that follow it; None for one with sound. 0: it does not say."""
    word = 4 + frame.side
    if head[word : word + 4] in (b"Xing", b"Info"):
        flags, count = struct.unpack_from(">II", head, word + 4)
        return count if flags & 1 else 0
    return struct.unpack_from(">I", head, 50)[0] if head[36:40] == b"VBRI" and len(head) >= 54 else None


def _naming(head: bytes, count: int) -> bytes:
    """Return a frame without sound that says how many follow, like those that begin with ``head``."""
    first = DIVISORS[head[1] >> 3 & 3] == 1
    index = BIT_RATES[0 if first else 1].index(NAMING_BIT_RATE)
    # No checksum, no padding; all else as the others have it.
    header = bytes((head[0], head[1] | 1, index << 4 | head[2] & 0x0C, head[3]))
    frame = Frame.parse(header)
    assert frame is not None, "a header made of a frame's header is one"
    return (header + bytes(frame.side) + struct.pack(">4sII", b"Xing", 1, count)).ljust(frame.length, b"\0")


class _Window:
    """A file of which a few bytes are asked for at one place after the other."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._start, self._held = file, 0, b""
        self.size = file.seek(0, 2)

    def read(self, at: int, count: int) -> bytes:
        """Return ``count`` bytes, fewer at the end of the file."""
        if not self._start <= at <= at + count <= self._start + len(self._held):
            self._file.seek(at)
            self._start, self._held = at, self._file.read(BLOCK)
        return self._held[at - self._start : at - self._start + count]

    def begins(self, at: int, frame: Frame, searched: bool) -> bool:
        """Whether another frame of the same kind follows; where this one was not searched for, an end or a tag does."""
        after = self.read(at + frame.length, 8) if at + frame.length < self.size else b""
        follows = Frame.parse(after)
        same = follows is not None and (follows.rate, follows.samples) == (frame.rate, frame.samples)
        return same or (not searched and (not after or after.startswith(tuple(SHORTEST_TAG))))

    def skip_tags(self, at: int) -> int:
        while (length := self._tag(at)) and at < self.size:
            at += length
        return at

    def _tag(self, at: int) -> int:
        """Return the length of the tag that begins here; 0 for none."""
        head = self.read(at, 32)
        for mark, shortest in SHORTEST_TAG.items():
            if head.startswith(mark) and len(head) >= 10:
                # A size of 28 bits, seven in each byte, and a footer where a flag says so. Some programs
                # write eight in each; where that cannot be told the first frame is searched for.
                seven = max(head[6:10]) < 0x80
                size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9] if seven else int.from_bytes(head[6:10])
                if mark == b"ID3":
                    return shortest + size + (10 if head[5] & 0x10 else 0)
                return shortest + (
                    struct.unpack_from("<I", head, 12)[0] if mark == b"APETAGEX" and head[23] & 32 else 0
                )
        return 0

    def next_sync(self, at: int) -> int:
        """Return where the next frame may begin, at most one block further; the end of the file when nowhere."""
        block = self.read(at, min(BLOCK, self.size - at))
        found = SYNC.search(block)
        return at + (found.start() if found else max(1, len(block) - 2))
