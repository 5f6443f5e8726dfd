"""Knows how to change the rate of sound while it is spoken: one frame out for each frame in, 3 ms later."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from callflows.audio.format import AudioError, Format
from callflows.audio.pcm import FULL_SCALE

# Half the filter's length: what comes out stands so much later. 5 ms may be spent; more only makes the filter steeper.
DELAY_SECONDS = 0.003
# By how many dB is taken away what the new rate cannot hold, and what a higher rate would mirror.
STOP_DB = 70.0
# The filter's edge is 720 Hz wide. Its middle stands below half the lower rate, so that at 8 kHz sound is whole up to
# 3.5 kHz, and gone from 4.3 kHz on.
BELOW_HALF = 100.0

# The filter in parts: of which outputs, from which sample before or after the frame's first, and its taps.
Parts = tuple[tuple[int, int, NDArray[np.float32]], ...]


class LiveResampler:
    """L16 frames of one rate into frames of another, with a state of 6 ms of sound.

    Each frame in gives exactly one out; what is beyond full scale saturates. Raises AudioError for a rate that Vonage
    does not offer. A frame takes 9 microseconds between 8 and 16 kHz, 21 between 16 and 24.
    """

    def __init__(self, rate: int, to_rate: int) -> None:
        self._size = Format(rate).frame_bytes
        self._samples = Format(to_rate).frame_samples
        self._same = rate == to_rate
        common = math.gcd(rate, to_rate)
        self._up, self._down = to_rate // common, rate // common
        self._parts = _parts(rate, self._up, self._down)
        self._back = max(-first for _, first, _ in self._parts)
        self._heard = np.zeros(self._back + self._size // 2, np.float32)

    def push(self, frame: bytes | memoryview) -> bytes:
        """Return the next frame at the other rate. Raises AudioError for a wrong size."""
        if len(frame) != self._size:
            raise AudioError(f"expected {self._size} bytes of audio, got {len(frame)}")
        if self._same:
            return bytes(frame)
        heard, back, up, down = self._heard, self._back, self._up, self._down
        heard[:back] = heard[-back:].copy()
        heard[back:] = np.frombuffer(frame, "<i2")
        wave = np.zeros(self._samples, np.float32)
        groups = self._samples // up
        for place, first, taps in self._parts:
            start = back + first
            part = heard[start : start + down * (groups + taps.size - 2) + 1 : down]
            wave[place::up] += np.correlate(part, taps)
        np.rint(wave, out=wave)
        np.clip(wave, -FULL_SCALE, FULL_SCALE - 1, out=wave)
        return wave.astype("<i2").tobytes()


@lru_cache(maxsize=9)
def _parts(rate: int, up: int, down: int) -> Parts:
    """Cut the filter into plain sums: every ``up``-th output sees its own taps, every ``down``-th sample one part.

    Output k stands at k x down of a sound that is ``up`` times as dense; only each ``up``-th sample there is not zero.
    """
    whole = _lowpass(rate * up, min(rate, rate * up // down) / 2 - BELOW_HALF)
    parts = []
    for place in range(up):
        taps = whole[place * down % up :: up]
        # Each output's taps add up to exactly 1: else a constant would become a tone.
        taps = taps / taps.sum()
        for turn in range(down):
            mine = taps[turn::down]
            first = place * down // up - turn - down * (mine.size - 1)
            parts.append((place, first, np.ascontiguousarray(mine[::-1], np.float32)))
    return tuple(parts)


def _lowpass(rate: int, edge: float) -> NDArray[np.float64]:
    """Return a filter of linear phase that halves what is at ``edge``: a sinc under Kaiser's window."""
    half = round(DELAY_SECONDS * rate)
    at = np.arange(-half, half + 1)
    wide = 2 * edge / rate
    taps: NDArray[np.float64] = wide * np.sinc(wide * at) * np.kaiser(at.size, 0.1102 * (STOP_DB - 8.7))
    return taps
