"""Knows how to turn a sound file into a prompt that can be played as it is, or to say why not."""

from __future__ import annotations

import io
import math
import wave
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from callflows.audio.containers import lay_out
from callflows.audio.format import RATES, SAMPLE_BYTES, AudioError
from callflows.audio.kinds import HEAD_BYTES, why_unreadable
from callflows.audio.loudness import Loudness
from callflows.audio.meter import Meter
from callflows.audio.pcm import to_int16
from callflows.audio.resample import Resampler
from callflows.audio.waveform import Waveform

Samples = NDArray[np.float32]

# Values decoded at a time, of all channels together: 1 MiB, whatever the header says; 4 times as many are no quicker,
# 16 times fewer cost a fifth. And no more than some seconds: 1 kHz makes 24 times as much at 24 kHz.
BLOCK_VALUES = 1 << 18
BLOCK_SECONDS = 8
SOURCE_RATES = range(1000, 384001)
# An MP3 names its length in whole frames of 1,152 samples, and a healthy one may be two short of it.
MP3_SLACK = 2 * 1152
# What callers hear at best, and stream actions fetch: loudness and the picture are those of this rate.
HEARD_RATE = 16000
COLUMNS = 400
# A length of 2^62 and more stands for "not known".
NOT_KNOWN = 2**62


@dataclass(frozen=True, slots=True)
class Sound:
    """What an operator should know of a sound.

    ``level`` (RMS) and ``peak`` are in dBFS, at least -120; ``loudness`` is in LUFS, None for less than 0.4 s and for
    silence. ``notes`` are sentences about flaws. ``waveform`` has the lowest and highest sample of up to 400 columns,
    from -100 to 100.
    """

    seconds: float
    source_rate: int
    channels: int
    level: float
    peak: float
    loudness: float | None
    notes: tuple[str, ...]
    waveform: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Prompt(Sound):
    """A sound ready to be played: ``pcm`` holds mono L16, little-endian, by rate (8000, 16000, 24000)."""

    pcm: dict[int, bytes]


def check(source: BinaryIO, max_seconds: float) -> None:
    """Raise AudioError, with a sentence for an operator, for what cannot be a prompt as far as its beginning tells.

    Reads the header, the layout and the first second of ``source``, seekable: what is wrong further on is found when it
    is converted.
    """
    with _open(source) as stream:
        _refuse_long(stream, max_seconds)
        if not len(_block(stream, stream.samplerate)):
            raise AudioError("There is no audio in this file.")


def convert(
    source: BinaryIO,
    max_seconds: float,
    outputs: Mapping[int, BinaryIO],
    progress: Callable[[float], object] = lambda part: None,
) -> Sound:
    """Write the sound of a file, seekable, as mono L16 into ``outputs``, files by rate; return what it is.

    It is read in blocks and no further than ``max_seconds``: what a header says may be a lie. Two channels that cancel
    each other are not mixed; the first is taken. ``progress`` is told which part of it was read, from 0 to 1. Raises
    AudioError with one sentence for an operator.
    """
    sound, cancels = _convert(source, max_seconds, outputs, progress, first_only=False)
    if not cancels:
        return sound
    for output in outputs.values():
        output.seek(0)
        output.truncate()
    return _convert(source, max_seconds, outputs, progress, first_only=True)[0]


def seconds_of(source: BinaryIO) -> float | None:
    """Return the length of a sound by its header; None where that cannot be told."""
    try:
        with _open(source) as stream:
            known = 0 < stream.frames < NOT_KNOWN
            return float(stream.frames / stream.samplerate) if known else None
    except AudioError:
        return None


def read_prompt(source: BinaryIO | Path, max_seconds: float) -> Prompt:
    """Return the sound of a file, as `convert` does, in memory. Raises AudioError."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            return read_prompt(file, max_seconds)
    outputs = {rate: io.BytesIO() for rate in RATES}
    sound = convert(source, max_seconds, outputs)
    about = {name: getattr(sound, name) for name in Sound.__slots__}
    return Prompt(**about, pcm={rate: output.getvalue() for rate, output in outputs.items()})


def wav_bytes(pcm: bytes, rate: int, channels: int = 1) -> bytes:
    """Return L16, interleaved where there are several channels, as a plain WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setparams((channels, SAMPLE_BYTES, rate, 0, "NONE", "not compressed"))
        wav.writeframes(pcm)
    return file.getvalue()


def write_wav(pcm: BinaryIO, rate: int, target: BinaryIO) -> None:
    """Write L16 of one channel, read from its start in blocks, into ``target``, seekable, as a plain WAV file."""
    pcm.seek(0)
    with wave.open(target, "wb") as wav:
        wav.setparams((1, SAMPLE_BYTES, rate, 0, "NONE", "not compressed"))
        while block := pcm.read(1 << 20):
            wav.writeframesraw(block)


class _Stream(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A file read from start to end: soundfile seeks after each block, which fails in a FLAC that names no length.

    ``notes`` are sentences about the file that it came from.
    """

    notes: tuple[str, ...] = ()

    def seekable(self) -> bool:
        return False


def _convert(
    source: BinaryIO,
    max_seconds: float,
    outputs: Mapping[int, BinaryIO],
    progress: Callable[[float], object],
    first_only: bool,
) -> tuple[Sound, bool]:
    """Return what the sound is, and whether mixing its channels to mono takes away nearly all of it."""
    # Before the decoder has it: it would not know that the place has moved.
    size = source.seek(0, 2)
    with _open(source) as stream:
        rate, count = stream.samplerate, stream.channels
        meter, loudness, waveform = Meter(count), Loudness(HEARD_RATE), Waveform()
        resamplers = {to_rate: Resampler(rate, to_rate) for to_rate in outputs}
        for block in _blocks(stream, max_seconds):
            mono = _mixed(block[:, :1] if first_only else block)
            meter.hear(block, mono)
            for to_rate, resampler in resamplers.items():
                ready = resampler.push(mono, last=not block.size)
                pcm = to_int16(ready)
                outputs[to_rate].write(pcm.data)
                if to_rate == HEARD_RATE:
                    loudness.hear(ready)
                    waveform.hear(pcm)
            progress(_part(stream, source, meter.frames, size))
        if not meter.frames:
            raise AudioError("There is no audio in this file.")
        notes, drawn = (*stream.notes, *meter.notes(first_only)), waveform.columns(COLUMNS)
        seconds = meter.frames / rate
        return Sound(seconds, rate, count, meter.level, meter.peak, loudness.lufs, notes, drawn), meter.cancels


def _mixed(block: Samples) -> Samples:
    """Return the mean of all channels: channel by channel, which is quicker than row by row."""
    mono: Samples = block[:, 0].copy()
    for channel in block.T[1:]:
        mono += channel
    mono *= np.float32(1 / block.shape[1])
    return mono


def _part(stream: _Stream, source: BinaryIO, frames: int, size: int) -> float:
    """Return how much of a file was read, from 0 to 1: by its promise, else by the place where it is read."""
    done, end = (frames, int(stream.frames)) if stream.frames < NOT_KNOWN else (source.tell(), size)
    return min(1.0, done / max(1, end))


def _open(source: BinaryIO) -> _Stream:
    laid = lay_out(source)
    file = laid.file
    file.seek(0)
    head = file.read(HEAD_BYTES)
    file.seek(0)
    # Without a name: soundfile would believe an upload that is called "x.raw" to have no header.
    nameless = SimpleNamespace(read=file.read, seek=file.seek, tell=file.tell)
    try:
        stream = _Stream(nameless)
    except soundfile.LibsndfileError:
        raise AudioError(why_unreadable(head)) from None
    stream.notes = laid.notes
    if stream.samplerate not in SOURCE_RATES:
        raise AudioError(f"The file has {stream.samplerate:,} samples per second; expected 1,000 to 384,000.")
    return stream


def _blocks(stream: _Stream, max_seconds: float) -> Iterator[Samples]:
    """Yield blocks of shape (n, channels), the last one of no samples; refuse what is too long, cut off or no sound."""
    rate, promised, read = stream.samplerate, stream.frames, 0
    _refuse_long(stream, max_seconds)
    slack = MP3_SLACK if stream.format in ("MP3", "MPEG") else 0
    while True:
        block = _block(stream, max(1, min(BLOCK_VALUES // stream.channels, BLOCK_SECONDS * rate)))
        read += len(block)
        if read > max_seconds * rate:
            raise AudioError(f"The sound goes on after {_clock(max_seconds)}, the most that is allowed.")
        if not len(block) and read < promised - slack and promised < NOT_KNOWN:
            raise AudioError(
                f"The file is cut off: it promises {promised / rate:.1f} s of sound, "
                f"but only {read / rate:.1f} s can be read."
            )
        yield block
        if not len(block):
            return


def _block(stream: _Stream, frames: int) -> Samples:
    try:
        block = np.asarray(stream.read(frames, dtype="float32", always_2d=True), np.float32)
    except soundfile.LibsndfileError:
        raise AudioError("The file is cut off or damaged: a part of it cannot be decoded.") from None
    if not np.isfinite(block).all():
        raise AudioError("The file holds values that are no numbers (NaN or infinity); export it again.")
    return block


def _refuse_long(stream: _Stream, max_seconds: float) -> None:
    seconds = stream.frames / stream.samplerate
    if max_seconds < seconds and stream.frames < NOT_KNOWN:
        raise AudioError(f"The sound is {_clock(seconds)} long, at most {_clock(max_seconds)} allowed.")


def _clock(seconds: float) -> str:
    """Minutes and seconds, rounded up: 10 minutes and a bit must not read 10:00."""
    return "{}:{:02}".format(*divmod(math.ceil(seconds), 60))
