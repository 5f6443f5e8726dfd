"""Knows sound in frames of 20 ms: clips that are played, live sound, other rates, and the sum of several."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from callflows.audio import pcm as samples_of
from callflows.audio.files import read_prompt
from callflows.audio.format import FRAMES_PER_SECOND, RATES, Format
from callflows.audio.tones import beep

LONGEST_SECONDS = 3600.0
# Samples of a conversion's filter to each side, at the common rate of 48 kHz: 2.5 ms of delay.
_REACH = 120
_COMMON = 48000


class Frame(Protocol):
    """20 ms of one source: ``rate`` is its own, and it can be had at any."""

    @property
    def name(self) -> str: ...

    @property
    def rate(self) -> int: ...

    def at(self, rate: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Clip:
    """Sound that is there as a whole: mono L16 by rate, or silence (None), of so many ``frames``."""

    pcm: Mapping[int, bytes] | None
    frames: int
    rate: int = 8000

    @classmethod
    def of(cls, pcm: Mapping[int, bytes], rate: int = 8000) -> Clip:
        """Return a sound that exists at all rates; ``rate`` is its own."""
        return cls(pcm, math.ceil(len(pcm[rate]) / Format(rate).frame_bytes), rate)

    @classmethod
    def read(cls, data: bytes) -> Clip:
        """Return the sound of a file, at its own rate where a socket could carry that; raises AudioError."""
        prompt = read_prompt(io.BytesIO(data), LONGEST_SECONDS)
        return cls.of(prompt.pcm, prompt.source_rate if prompt.source_rate in RATES else 16000)

    @classmethod
    def silence(cls, seconds: float) -> Clip:
        """Return silence in whole frames, at least ``seconds`` long."""
        return cls(None, math.ceil(seconds * FRAMES_PER_SECOND))


def beep_clip() -> Clip:
    """Return the beep before a recording, and of an answering machine."""
    return Clip.of({rate: samples_of.to_int16(beep(rate)).tobytes() for rate in RATES})


@dataclass(frozen=True, slots=True)
class Piece:
    """One frame of a clip."""

    name: str
    clip: Clip
    place: int
    gain: float

    @property
    def rate(self) -> int:
        return self.clip.rate

    def at(self, rate: int) -> bytes:
        size = Format(rate).frame_bytes
        if self.clip.pcm is None:
            return bytes(size)
        pcm = self.clip.pcm[rate][self.place * size : (self.place + 1) * size].ljust(size, b"\0")
        return pcm if self.gain == 1.0 else _louder(pcm, self.gain)


@dataclass(eq=False, slots=True)
class Player:
    """Plays a clip ``loop`` times, 0: for ever; ``level`` from -1 (silent) over 0 to 1 (twice as loud)."""

    name: str
    clip: Clip
    loop: int = 1
    level: float = 0.0
    done: bool = False
    _place: int = 0

    def next(self) -> Frame | None:
        """Return the next 20 ms; None once its last frame has been played to its end."""
        if self._place >= self.clip.frames:
            self.loop, self._place = self.loop - 1, 0
            if self.loop == 0 or not self.clip.frames:
                self.done = True
        if self.done:
            return None
        self._place += 1
        return Piece(self.name, self.clip, self._place - 1, 1.0 + self.level)

    def stop(self) -> None:
        """End it where it is."""
        self.done = True


@dataclass(eq=False, slots=True)
class Live:
    """A source that gives frame after frame at one rate."""

    name: str
    rate: int
    _converters: dict[int, Converter] = field(default_factory=dict)

    def frame(self, pcm: bytes) -> Frame:
        """Return a frame that the mix can have at any rate."""
        return _LiveFrame(self, pcm)

    def converter(self, rate: int) -> Converter:
        """Return what brings it to another rate, with the state that it has there."""
        if rate not in self._converters:
            self._converters[rate] = Converter(self.rate, rate)
        return self._converters[rate]


@dataclass(eq=False, slots=True)
class _LiveFrame:
    live: Live
    pcm: bytes
    _made: dict[int, bytes] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.live.name

    @property
    def rate(self) -> int:
        return self.live.rate

    def at(self, rate: int) -> bytes:
        if rate == self.live.rate:
            return self.pcm
        if rate not in self._made:
            self._made[rate] = self.live.converter(rate).push(self.pcm)
        return self._made[rate]


class Converter:
    """Brings live sound to another rate: exactly one frame for each frame, 2.5 ms later, with state between them."""

    def __init__(self, rate: int, to_rate: int) -> None:
        self._up, self._down = _COMMON // rate, _COMMON // to_rate
        edge = 0.46 * min(rate, to_rate) / _COMMON
        place = np.arange(-_REACH, _REACH + 1)
        self._filter = 2 * edge * np.sinc(2 * edge * place) * np.blackman(place.size) * self._up
        self._before = np.zeros(2 * _REACH // self._up + 1)

    def push(self, pcm: bytes) -> bytes:
        """Return 20 ms at the other rate."""
        heard = np.concatenate([self._before, samples_of.samples(pcm).astype(np.float64)])
        self._before = heard[-self._before.size :]
        wide = np.zeros(heard.size * self._up)
        wide[:: self._up] = heard
        filtered = np.convolve(wide, self._filter, "full")[: wide.size]
        kept = len(pcm) // 2 * self._up
        return _saturated(filtered[wide.size - kept :: self._down])


def mixed(frames: Sequence[Frame], rate: int) -> bytes:
    """Return the sum of some frames, at least one; a sum beyond full scale saturates."""
    if len(frames) == 1:
        return frames[0].at(rate)
    return samples_of.mix([frame.at(rate) for frame in frames])


def _louder(pcm: bytes, gain: float) -> bytes:
    return _saturated(samples_of.samples(pcm) * gain)


def _saturated(wave: NDArray[np.floating[Any]]) -> bytes:
    top = samples_of.FULL_SCALE
    whole: NDArray[np.int16] = np.clip(np.rint(wave), -top, top - 1).astype("<i2")
    return whole.tobytes()
