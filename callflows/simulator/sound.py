"""Knows the sounds of a fake call: what the caller says, what he heard, and how long a text is spoken."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from callflows.audio import pcm as samples_of
from callflows.audio.files import read_prompt
from callflows.audio.format import FRAME_SECONDS, FRAMES_PER_SECOND, RATES, AudioError, Format
from callflows.audio.framer import frames
from callflows.audio.resample import resample
from callflows.audio.tones import tone

# Vonage's voices say about 15 characters a second.
CHARACTERS_PER_SECOND = 15
PHONE = Format(8000)
LONGEST_SECONDS = 3600.0


def refuse_other_streams(data: bytes) -> None:
    """Raise AudioError for a file that the stream of the REST API does not take (contract 11.4)."""
    try:
        found = soundfile.info(io.BytesIO(data))
    except soundfile.LibsndfileError:
        raise AudioError("expected a WAV or an MP3 file") from None
    if found.format == "MP3":
        return
    if found.format not in ("WAV", "WAVEX"):
        raise AudioError(f"expected a WAV or an MP3 file, got {found.format}")
    if (found.subtype, found.channels) != ("PCM_16", 1) or found.samplerate not in (8000, 16000):
        raise AudioError(
            "expected a WAV of 16 bits and one channel at 8 or 16 kHz, got "
            f"{found.subtype}, {found.channels} channels at {found.samplerate:,} Hz"
        )


@dataclass(frozen=True, slots=True)
class Voice:
    """What a caller says from the moment when the flow first listens: mono L16 by rate; silence after its end."""

    pcm: Mapping[int, bytes]

    @classmethod
    def read(cls, path: Path) -> Voice:
        """Return the sound of a file; raises AudioError when it cannot be read."""
        return cls(read_prompt(path, LONGEST_SECONDS).pcm)

    @classmethod
    def of(cls, wave: NDArray[np.float32], rate: int) -> Voice:
        """Return ``wave``, shape (n,), 1.0 is full scale, as a voice."""
        return cls({to: samples_of.to_int16(resample(wave, rate, to)).tobytes() for to in RATES})

    @property
    def seconds(self) -> float:
        return len(self.pcm[PHONE.rate]) / 2 / PHONE.rate

    def frames(self, fmt: Format, start: float = 0.0) -> Iterator[bytes]:
        """Yield frames of 20 ms from ``start`` seconds on (to the nearest frame)."""
        skipped = round(start * FRAMES_PER_SECOND) * fmt.frame_bytes
        return (bytes(frame) for frame in frames(memoryview(self.pcm[fmt.rate])[skipped:], fmt))

    def level(self, start: float, end: float) -> float:
        """Return the loudness between two moments in dBFS; silence is -inf."""
        first, last = (round(max(0.0, moment) * PHONE.rate) * 2 for moment in (start, end))
        return level(self.pcm[PHONE.rate][first:last])


def sample_voice(seconds: float, pitch: float = 1.0) -> Voice:
    """Return a quiet pattern of three tones and a pause, so that an echo can be heard and told from noise.

    Another ``pitch`` tells another caller apart: 1.5 is a fifth higher.
    """
    rate = 24000
    notes = [tone(hz * pitch, 0.3, rate, -24) for hz in (440.0, 550.0, 660.0)]
    pattern = np.concatenate([*notes, np.zeros(round(0.3 * rate), np.float32)])
    return Voice.of(np.resize(pattern, round(seconds * rate)), rate)


def speaking_seconds(text: str) -> float:
    """Return how long a talk is spoken; SSML tags are not."""
    spoken = " ".join(re.sub(r"<[^<>]*>", " ", text).split())
    return max(0.5, len(spoken) / CHARACTERS_PER_SECOND)


def silence(seconds: float, fmt: Format) -> bytes:
    """Return silence in whole frames, at least ``seconds`` long."""
    return fmt.silence * math.ceil(seconds * FRAMES_PER_SECOND)


def decode(data: bytes) -> tuple[bytes, Format]:
    """Return the sound of a file as mono L16, at its own rate where a socket could carry that.

    Raises AudioError when it cannot be read.
    """
    prompt = read_prompt(io.BytesIO(data), LONGEST_SECONDS)
    fmt = Format(prompt.source_rate if prompt.source_rate in RATES else 16000)
    return prompt.pcm[fmt.rate], fmt


def level(pcm: bytes) -> float:
    """Return the loudness of L16 in dBFS: 0 is full scale, silence (or nothing) is -inf."""
    return samples_of.level(samples_of.samples(pcm)) if pcm else -math.inf


@dataclass(slots=True)
class Sound:
    """What a caller heard, in order: runs of frames of one source (talk, stream, beep, socket) and rate."""

    runs: list[tuple[str, int, list[bytes]]] = field(default_factory=list)
    # What was heard without a break at one rate, with the second in which it began.
    pieces: list[tuple[float, int, list[bytes]]] = field(default_factory=list)

    def add(self, source: str, rate: int, frame: bytes, at: float | None = None) -> None:
        """Add 20 ms that began ``at`` that second; None: right after those before."""
        if not self.runs or self.runs[-1][:2] != (source, rate):
            self.runs.append((source, rate, []))
        self.runs[-1][2].append(frame)
        end = self._end
        begin = end if at is None else at
        # Rooms tick each on their own grid: what is less than half a frame off goes on.
        if not self.pieces or self.pieces[-1][1] != rate or abs(begin - end) >= FRAME_SECONDS / 2:
            self.pieces.append((begin, rate, []))
        self.pieces[-1][2].append(frame)

    @property
    def _end(self) -> float:
        return self.pieces[-1][0] + len(self.pieces[-1][2]) * FRAME_SECONDS if self.pieces else 0.0

    def of(self, source: str) -> bytes:
        """Return all that came from one source, as it was played."""
        return b"".join(frame for name, _, heard in self.runs if name == source for frame in heard)

    @property
    def frames(self) -> int:
        return sum(len(heard) for _, _, heard in self.runs)

    @property
    def seconds(self) -> float:
        return self.frames / FRAMES_PER_SECOND

    def mixdown(self, start: float | None = None, end: float | None = None) -> tuple[bytes, int]:
        """Return what was heard between two seconds as mono L16 at the highest rate that occurred.

        It lies where it was heard, and what lies between is silence. None: from the first frame, to the last one.
        """
        rate = max((rate for _, rate, _ in self.runs), default=PHONE.rate)
        first = self.pieces[0][0] if self.pieces else 0.0
        begin = first if start is None else start
        whole = bytearray()
        for at, own, heard in self.pieces:
            place = 2 * round((at - begin) * rate)
            whole += bytes(max(0, place - len(whole)))
            # What was heard before the beginning is left out.
            whole += _at(b"".join(heard), own, rate)[max(0, -place) :]
        length = len(whole) if end is None else 2 * max(0, round((end - begin) * rate))
        return bytes(whole[:length]).ljust(length, b"\0"), rate


def _at(pcm: bytes, own: int, rate: int) -> bytes:
    if own == rate:
        return pcm
    wave = np.divide(samples_of.samples(pcm), samples_of.FULL_SCALE, dtype=np.float32)
    return samples_of.to_int16(resample(wave, own, rate)).tobytes()
