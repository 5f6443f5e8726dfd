"""Knows where in a file its sound is, and shows that to the decoder, and nothing else.

The decoder is foreign code. It stood for ever at a list larger than the chunk around it, and it believes sizes. It gets
the sound and what is needed to read it, with sizes that were compared with the file.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from callflows.audio import mpeg, ogg
from callflows.audio.encodings import (
    DECODED,
    DECODED_AIFC,
    DECODED_AU,
    DECODED_CAF,
    MP3,
    NAMED,
    refuse_undecoded,
    shown,
    wav_tag,
)
from callflows.audio.format import AudioError
from callflows.audio.kinds import HEAD_BYTES, HEADER_UNREADABLE, is_mpeg, named_other, why_unreadable
from callflows.audio.ogg import SEVERAL, refuse_behind
from callflows.audio.pieces import BLOCK, Piece, joined

# Programs that write into a pipe cannot know the length, and leave something near 2 GiB or 4 GiB.
UNKNOWN = 0x7FFF0000
NOT_KNOWN = -1
# Recorders count their header, or a part of it, as sound.
MOST_OVER = 1024
# A header has a handful of chunks; the limit ends files made to keep us busy.
MOST_CHUNKS = 1000
# The longest description of a sound that is read; the tables of Apple's lossless codec take more.
MOST_FORM, MOST_TABLE = 4096, 8 << 20
# What stands before a WAV's sound when we write it: its size has to fit in 32 bits with it.
MOST_SOUND = 0xFFFFFFFF - MOST_FORM - 64
# What a WAV file's 16 bytes of name begin with in W64, and how long its own header is.
W64_HEAD = 40
BEGINNINGS = (b"RIFF", b"RIFX", b"RF64", b"FORM", b"riff", b"caff", b".snd")
# The names by which the place of a chunk is known again where its neighbour has an odd size.
NAMES = {
    *(b"fmt ", b"data", b"fact", b"LIST", b"bext", b"cue ", b"smpl", b"inst", b"iXML", b"id3 ", b"ID3 "),
    *(b"JUNK", b"junk", b"PEAK", b"cart", b"plst", b"axml", b"PAD "),
    *(b"COMM", b"SSND", b"FVER", b"NAME", b"AUTH", b"(c) ", b"ANNO", b"MARK"),
}


@dataclass(frozen=True, slots=True)
class Laid:
    """A file for the decoder, and what an operator should know of the file that it came from."""

    file: BinaryIO
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """Where a chunk's content starts, its length as far as the header knows it, and where the next one begins."""

    name: bytes
    start: int
    length: int
    after: int


class _File:
    """A file of which bytes are asked for at any place, be it beyond all files."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.size = file, file.seek(0, 2)

    def read(self, at: int, count: int) -> bytes:
        if at >= self.size:
            return b""
        self.file.seek(at)
        return self.file.read(count)


def lay_out(source: BinaryIO) -> Laid:
    """Return what of ``source``, seekable, the decoder gets. Raises AudioError for what can be no sound."""
    file = _File(source)
    if not file.size:
        raise AudioError("The file is empty.")
    head = file.read(0, HEAD_BYTES)
    if layout := _layout(head):
        return layout(file, head[:4])
    if head[:4] == b"OggS":
        return Laid(*ogg.whole(source))
    if head[:4] == b"fLaC":
        return Laid(source)
    # Tags and zeros may stand before an MP3, and a tag of an MP3 before a FLAC.
    if not is_mpeg(head) and (other := named_other(head)):
        raise AudioError(other)
    if found := mpeg.whole(source):
        return Laid(found)
    at = mpeg.after_tags(source)
    if file.read(at, 4) == b"fLaC":
        return Laid(joined(source, [(at, file.size)]))
    raise AudioError(why_unreadable(head))


def _layout(head: bytes) -> Callable[[_File, bytes], Laid] | None:
    """Return what knows a file that begins so; None: no container of chunks."""
    if head[:4] in (b"RIFF", b"RIFX", b"RF64"):
        return _wav if head[8:12] == b"WAVE" else None
    if head[:4] == b"FORM":
        return _aiff if head[8:12] in (b"AIFF", b"AIFC") else None
    return {b"riff": _w64, b"caff": _caf, b".snd": _au}.get(head[:4])


# Each layout.


def _wav(file: _File, kind: bytes) -> Laid:
    order = ">" if kind == b"RIFX" else "<"
    return _as_wav(file, [*_riff(file, kind, order)], b"RIFX" if order == ">" else b"RIFF", order)


def _w64(file: _File, kind: bytes) -> Laid:
    return _as_wav(file, [*_w64_chunks(file)], b"RIFF", "<")


def _as_wav(file: _File, chunks: Sequence[Chunk], kind: bytes, order: str) -> Laid:
    form = _content(file, chunks, b"fmt ", MOST_FORM)
    if len(form) < 16:
        raise AudioError(HEADER_UNREADABLE)
    tag = wav_tag(form, order)
    refuse_undecoded(tag in DECODED, NAMED.get(tag, f"number 0x{tag:04X}"))
    start, stop, notes = _sound(file, chunks, b"data")
    if tag == MP3:
        sound = joined(file.file, [(start, stop)])
        return Laid(mpeg.whole(sound) or sound, notes)
    body = _chunk(b"fmt ", form, order) + b"data" + struct.pack(f"{order}I", stop - start)
    head = kind + struct.pack(f"{order}I", 4 + len(body) + stop - start) + b"WAVE" + body
    return Laid(joined(file.file, [head, (start, stop)]), notes)


def _aiff(file: _File, kind: bytes) -> Laid:
    chunks, compressed = [*_riff(file, kind, ">")], file.read(8, 4) == b"AIFC"
    form = _content(file, chunks, b"COMM", MOST_FORM)
    if len(form) < (22 if compressed else 18):
        raise AudioError(HEADER_UNREADABLE)
    if compressed:
        refuse_undecoded(form[18:22] in DECODED_AIFC, shown(form[18:22]))
    start, stop, notes = _sound(file, chunks, b"SSND")
    # The sound begins with how many bytes of it are to be left out.
    offset = int.from_bytes(file.read(start, 4))
    if stop - start < 8 or offset > stop - start - 8:
        raise AudioError(HEADER_UNREADABLE if offset else "There is no audio in this file.")
    body = _chunk(b"COMM", form, ">") + b"SSND" + struct.pack(">I", stop - start)
    if compressed:
        body = _chunk(b"FVER", bytes.fromhex("a2805140"), ">") + body
    head = b"FORM" + struct.pack(">I", 4 + len(body) + stop - start) + file.read(8, 4) + body
    return Laid(joined(file.file, [head, (start, stop)]), notes)


def _caf(file: _File, kind: bytes) -> Laid:
    chunks = [*_caf_chunks(file)]
    form = _content(file, chunks, b"desc", MOST_FORM)
    if len(form) < 32:
        raise AudioError(HEADER_UNREADABLE)
    refuse_undecoded(form[8:12] in DECODED_CAF, shown(form[8:12]))
    start, stop, notes = _sound(file, chunks, b"data")
    pieces: list[Piece] = [b"caff\0\1\0\0" + _caf_chunk(b"desc", form)]
    for name in (b"kuki", b"pakt"):
        if content := _content(file, chunks, name, MOST_TABLE):
            pieces.append(_caf_chunk(name, content))
    pieces += [struct.pack(">4sq", b"data", stop - start), (start, stop)]
    return Laid(joined(file.file, pieces), notes)


def _au(file: _File, kind: bytes) -> Laid:
    head = file.read(4, 20)
    if len(head) < 20:
        raise AudioError(HEADER_UNREADABLE)
    start, length, encoding = struct.unpack(">III", head[:12])
    refuse_undecoded(encoding in DECODED_AU, f"number {encoding}")
    if start < 24 or start > file.size:
        raise AudioError(HEADER_UNREADABLE)
    known = length if length < UNKNOWN else NOT_KNOWN
    chunk = Chunk(b"data", start, known, file.size if known == NOT_KNOWN else start + length)
    start, stop, notes = _sound(file, [chunk], b"data")
    return Laid(joined(file.file, [b".snd" + struct.pack(">II", 24, stop - start) + head[8:], (start, stop)]), notes)


def _chunk(name: bytes, content: bytes, order: str) -> bytes:
    return name + struct.pack(f"{order}I", len(content)) + content + bytes(len(content) % 2)


def _caf_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">4sq", name, len(content)) + content


def _content(file: _File, chunks: Sequence[Chunk], name: bytes, most: int) -> bytes:
    """Return what stands in the first chunk of a name; nothing when there is none, or when it is too long."""
    found = next((chunk for chunk in chunks if chunk.name == name), None)
    return file.read(found.start, found.length) if found and 0 <= found.length <= most else b""


# Where the sound stops.


def _sound(file: _File, chunks: Sequence[Chunk], name: bytes) -> tuple[int, int, tuple[str, ...]]:
    """Return where the sound starts and stops, and notes; refuse what is cut off or would be heard in part."""
    place = next((place for place, chunk in enumerate(chunks) if chunk.name == name), None)
    if place is None:
        raise AudioError(HEADER_UNREADABLE)
    chunk, behind = chunks[place], chunks[place + 1 :]
    stop, notes = _stop(file, chunk, behind)
    if stop - chunk.start > MOST_SOUND:
        raise AudioError("The file is larger than 4 GB, the most that is read.")
    if not notes:
        _refuse_behind(file, chunk, behind)
    return chunk.start, stop, notes


def _stop(file: _File, chunk: Chunk, behind: Sequence[Chunk]) -> tuple[int, tuple[str, ...]]:
    there = file.size - chunk.start
    if chunk.length == NOT_KNOWN:
        return file.size, ()
    if not chunk.length and there > 0 and not _are_chunks(file, behind):
        return file.size, ("The file's header counts no audio, as if it was never finished: it is heard to its end.",)
    over = chunk.length - there
    if 0 < over <= min(chunk.start, MOST_OVER):
        return file.size, (f"The file's header counts {over:,} bytes of audio too many: all that is there is heard.",)
    if over > 0:
        raise AudioError(
            f"The file is cut off: it promises {chunk.length:,} bytes of audio, but only {max(0, there):,} are there."
        )
    return chunk.start + chunk.length, ()


def _are_chunks(file: _File, behind: Sequence[Chunk]) -> bool:
    """Whether these are chunks up to the end of the file, and not sound that looks like some."""
    names = all(chunk.name in NAMES for chunk in behind)
    return bool(behind) and names and behind[-1].after in (file.size, file.size + 1)


def _refuse_behind(file: _File, sound: Chunk, behind: Sequence[Chunk]) -> None:
    """Raise AudioError for another sound behind the first, or for much that is neither chunk nor padding."""
    at = sound.after
    for chunk in behind:
        if chunk.name in BEGINNINGS:
            raise AudioError(SEVERAL)
        if not chunk.name.isascii() or not chunk.name.decode().isprintable() or chunk.after > file.size + 1:
            break
        at = chunk.after
    refuse_behind(sound.length, file.size - at, file.read(at, BLOCK))


# The chunks of each container.


def _riff(file: _File, kind: bytes, order: str) -> Iterator[Chunk]:
    """Walk the chunks of WAV and AIFF; a length that does not fit in 32 bits stands in ``ds64``."""
    at, long = 12, 0
    for _ in range(MOST_CHUNKS):
        head = file.read(at, 8)
        if len(head) < 8:
            return
        name, length = struct.unpack(f"{order}4sI", head)
        start = at + 8
        if name == b"ds64":
            long = struct.unpack("<8xQ", file.read(start, 16).ljust(16, b"\0"))[0]
        if kind == b"RF64" and length == 0xFFFFFFFF:
            length = long
        elif length >= UNKNOWN and kind != b"RF64":
            # Nothing stands behind a sound whose length nobody knew.
            yield Chunk(name, start, NOT_KNOWN, file.size)
            return
        at = _after(file, start + length, length)
        yield Chunk(name, start, length, at)


def _after(file: _File, end: int, length: int) -> int:
    """Return where the next chunk begins: after a pad byte, which some programs forget."""
    if length % 2 == 0:
        return end
    padded, bare = file.read(end + 1, 4), file.read(end, 4)
    return end if bare in NAMES and padded not in NAMES else end + 1


def _w64_chunks(file: _File) -> Iterator[Chunk]:
    """Walk the chunks of W64: names of 16 bytes, lengths that count the chunk's own head, places in steps of 8."""
    at = W64_HEAD
    for _ in range(MOST_CHUNKS):
        head = file.read(at, 24)
        if len(head) < 24:
            return
        name, length = struct.unpack("<4s12xQ", head)
        after = at + max(24, (length + 7) // 8 * 8)
        yield Chunk(name, at + 24, max(0, length - 24), after)
        at = after


def _caf_chunks(file: _File) -> Iterator[Chunk]:
    """Walk the chunks of CAF; -1 stands for "to the end of the file"."""
    at = 8
    for _ in range(MOST_CHUNKS):
        head = file.read(at, 12)
        if len(head) < 12:
            return
        name, length = struct.unpack(">4sq", head)
        if length < 0:
            yield Chunk(name, at + 12, NOT_KNOWN, file.size)
            return
        yield Chunk(name, at + 12, length, at + 12 + length)
        at += 12 + length
