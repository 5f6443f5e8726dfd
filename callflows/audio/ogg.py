"""Knows the pages of an OGG: whether they are all there, and how to mark the last one where nobody did."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

from callflows.audio.encodings import DECODED_OGG
from callflows.audio.format import AudioError
from callflows.audio.pieces import BLOCK, joined

# The fixed part of a page, and the lengths of its segments at most.
HEAD, SEGMENTS = 27, 255
FIRST, LAST = 2, 4
# Ten minutes in pages of 20 ms are 30,000; the limit ends files made to keep us busy.
MOST_PAGES = 200_000
# Tags and padding behind the sound: more than this is sound that the header does not count.
MOST_BEHIND = 4096
NO_MARK = (
    "The end of the file's OGG stream is not marked, as in voice messages of phones: it is heard to its last page."
)
SEVERAL = (
    "The file holds several sounds, one after the other, of which only the first would be heard: join them in one."
)


@dataclass(frozen=True, slots=True)
class Page:
    start: int
    stop: int
    flags: int


def whole(file: BinaryIO) -> tuple[BinaryIO, tuple[str, ...]]:
    """Return ``file``, seekable, with the end of its stream marked, and a note where it was not.

    The decoder takes an Opus stream without the mark for cut off. Raises AudioError for one that is, for several after
    each other, and for what is no sound.
    """
    size = file.seek(0, 2)
    last = _last_page(file, size)
    refuse_behind(last.stop, size - last.stop, _read(file, last.stop, BLOCK))
    if last.flags & LAST:
        return file, ()
    marked = _marked(_read(file, last.start, last.stop - last.start))
    return joined(file, [(0, last.start), marked]), (NO_MARK,)


def refuse_behind(counted: int, left: int, behind: bytes) -> None:
    """Raise AudioError when what follows a sound, ``left`` bytes that begin with ``behind``, is more than padding."""
    if len(behind.strip(b"\0")) > MOST_BEHIND:
        raise AudioError(
            f"The file's header counts {counted:,} bytes of audio, but {left:,} more follow: export it again."
        )


def _last_page(file: BinaryIO, size: int) -> Page:
    """Walk the pages: each must be whole, and no stream may begin after another."""
    page, begun = Page(0, 0, 0), False
    for _ in range(MOST_PAGES):
        head = _read(file, page.stop, HEAD + SEGMENTS)
        if not head.startswith(b"OggS"):
            return page
        count = head[26] if len(head) >= HEAD else SEGMENTS
        stop = page.stop + HEAD + count + sum(head[HEAD : HEAD + count])
        if len(head) < HEAD + count or stop > size:
            raise AudioError("The file is cut off: its last OGG page is not whole.")
        page = Page(page.stop, stop, head[5])
        if page.flags & FIRST and begun:
            raise AudioError(SEVERAL)
        if not page.start and not _read(file, HEAD + count, 8).startswith(DECODED_OGG):
            raise AudioError("The sound in this OGG file cannot be read here; export it as OGG with Vorbis or Opus.")
        begun = begun or not page.flags & FIRST
    raise AudioError(f"The file has more than {MOST_PAGES:,} OGG pages; export it again.")


def _marked(page: bytes) -> bytes:
    """Return a page that says it is the last one, with its checksum."""
    head = page[:5] + bytes((page[5] | LAST,)) + page[6:22]
    checksum = _checksum(head + bytes(4) + page[26:])
    return head + struct.pack("<I", checksum) + page[26:]


def _checksum(page: bytes) -> int:
    """Return the CRC of a page: 32 bits, 0x04C11DB7, not reflected, from 0 (RFC 3533, section 6)."""
    register = 0
    for byte in page:
        register = register << 8 & 0xFFFFFFFF ^ _TABLE[register >> 24 ^ byte]
    return register


def _table() -> list[int]:
    table = []
    for byte in range(256):
        register = byte << 24
        for _ in range(8):
            register = register << 1 ^ (0x104C11DB7 if register & 0x80000000 else 0)
        table.append(register)
    return table


_TABLE = _table()


def _read(file: BinaryIO, at: int, count: int) -> bytes:
    file.seek(at)
    return file.read(count)
