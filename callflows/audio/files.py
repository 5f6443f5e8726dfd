"""Knows how to turn a sound file into a prompt that can be played as it is, or to say why not."""

from __future__ import annotations

import io
import math
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from callflows.audio.format import RATES, SAMPLE_BYTES, AudioError
from callflows.audio.meter import Meter
from callflows.audio.pcm import to_int16
from callflows.audio.resample import Resampler
from callflows.audio.truncation import refuse_cut_off

Samples = NDArray[np.float32]

# Values decoded at a time, of all channels together: 4 MiB, whatever the header says about channels.
BLOCK_VALUES = 1 << 20
SOURCE_RATES = range(1000, 384001)
# An MP3 names its length in whole frames of 1,152 samples, and a healthy one may be two short of it.
MP3_SLACK = 2 * 1152
USABLE = "upload WAV, FLAC, OGG, MP3 or AIFF"
# What people take for a sound file, by its first bytes.
OTHERS = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive or an office document",
    b"\x1aE\xdf\xa3": "a Matroska or WebM file",
    b"0&\xb2u": "a Windows Media file",
    b"<": "a web page or XML",
}


@dataclass(frozen=True, slots=True)
class Prompt:
    """Sound ready to be played, and what an operator should know of it.

    ``pcm`` holds mono L16, little-endian, by rate (8000, 16000, 24000). ``level`` (RMS) and ``peak`` are in dBFS,
    at least -120. ``notes`` are sentences about flaws.
    """

    seconds: float
    source_rate: int
    channels: int
    level: float
    peak: float
    notes: tuple[str, ...]
    pcm: dict[int, bytes]


def read_prompt(source: BinaryIO | Path, max_seconds: float) -> Prompt:
    """Return the sound of a file, seekable, mixed to mono and converted to all rates.

    It is read in blocks and no further than ``max_seconds``: what a header says may be a lie. Two channels that cancel
    each other are not mixed; the first is taken. Raises AudioError with one sentence for an operator.
    """
    if isinstance(source, Path):
        with source.open("rb") as file:
            return read_prompt(file, max_seconds)
    refuse_cut_off(source)
    prompt, cancels = _convert(source, max_seconds, first_only=False)
    return _convert(source, max_seconds, first_only=True)[0] if cancels else prompt


def wav_bytes(pcm: bytes, rate: int, channels: int = 1) -> bytes:
    """Return L16, interleaved where there are several channels, as a plain WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setparams((channels, SAMPLE_BYTES, rate, 0, "NONE", "not compressed"))
        wav.writeframes(pcm)
    return file.getvalue()


class _Stream(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A file read from start to end: soundfile seeks after each block, which fails in a FLAC that names no length."""

    def seekable(self) -> bool:
        return False


def _convert(source: BinaryIO, max_seconds: float, first_only: bool) -> tuple[Prompt, bool]:
    """Return the prompt, and whether mixing its channels to mono takes away nearly all sound."""
    with _open(source) as stream:
        rate, meter = stream.samplerate, Meter(stream.channels)
        resamplers = {to_rate: Resampler(rate, to_rate) for to_rate in RATES}
        pieces: dict[int, list[bytes]] = {to_rate: [] for to_rate in RATES}
        for block in _blocks(stream, max_seconds):
            mono = block[:, 0].copy() if first_only else block.mean(axis=1, dtype=np.float32)
            meter.hear(block, mono)
            for to_rate, resampler in resamplers.items():
                pieces[to_rate].append(to_int16(resampler.push(mono, last=not block.size)).tobytes())
        if not meter.frames:
            raise AudioError("There is no audio in this file.")
        notes = meter.notes(first_only)
        pcm = {to_rate: b"".join(pieces.pop(to_rate)) for to_rate in RATES}
        return Prompt(meter.frames / rate, rate, stream.channels, meter.level, meter.peak, notes, pcm), meter.cancels


def _open(source: BinaryIO) -> _Stream:
    source.seek(0)
    head = source.read(16)
    source.seek(0)
    # Without a name: soundfile would believe an upload that is called "x.raw" to have no header.
    nameless = SimpleNamespace(read=source.read, seek=source.seek, tell=source.tell)
    try:
        stream = _Stream(nameless)
    except soundfile.LibsndfileError:
        raise AudioError(_why_unreadable(head)) from None
    if stream.samplerate not in SOURCE_RATES:
        raise AudioError(f"The file has {stream.samplerate:,} samples per second; expected 1,000 to 384,000.")
    return stream


def _why_unreadable(head: bytes) -> str:
    for start, name in OTHERS.items():
        if head.startswith(start):
            return f"This is {name}, not a sound file; {USABLE}."
    if head[4:8] == b"ftyp":
        return f"This is an MP4 or M4A file, which cannot be read here; {USABLE}."
    if head[:4] in (b"RIFF", b"RF64", b"FORM", b"fLaC", b"OggS", b".snd", b"caff") or head[:3] == b"ID3":
        return "The file is cut off or damaged: its header cannot be read."
    return f"This is not a sound file that can be read; {USABLE}."


def _blocks(stream: _Stream, max_seconds: float) -> Iterator[Samples]:
    """Yield blocks of shape (n, channels), the last one of no samples; refuse what is too long, cut off or no sound."""
    rate, promised, read = stream.samplerate, stream.frames, 0
    # A length of 2^62 and more stands for "not known".
    if max_seconds * rate < promised < 2**62:
        raise AudioError(_too_long(promised / rate, max_seconds))
    while True:
        block = _block(stream)
        read += len(block)
        if read > max_seconds * rate:
            raise AudioError(_too_long(math.inf, max_seconds))
        if not np.isfinite(block).all():
            raise AudioError("The file holds values that are no numbers (NaN or infinity); export it again.")
        if (
            not len(block)
            and read < min(promised, 2**62) - (MP3_SLACK if stream.format == "MP3" else 0)
            and promised < 2**62
        ):
            raise AudioError(_cut(read / rate, promised / rate))
        yield block
        if not len(block):
            return


def _block(stream: _Stream) -> Samples:
    try:
        block = stream.read(max(1, BLOCK_VALUES // stream.channels), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError:
        raise AudioError("The file is cut off or damaged: a part of it cannot be decoded.") from None
    return np.asarray(block, np.float32)


def _cut(read: float, promised: float) -> str:
    return f"The file is cut off: it promises {promised:.1f} s of sound, but only {read:.1f} s can be read."


def _too_long(seconds: float, limit: float) -> str:
    length = "longer than that" if math.isinf(seconds) else f"{_clock(seconds)} long"
    return f"The sound is {length}, at most {_clock(limit)} allowed."


def _clock(seconds: float) -> str:
    """Minutes and seconds, rounded up: 10 minutes and a bit must not read 10:00."""
    return "{}:{:02}".format(*divmod(math.ceil(seconds), 60))
