"""Knows what parties heard, with its time, and how to find tones, silence and prompts in it."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from callflows.audio.pcm import FULL_SCALE, decibels, samples
from callflows.audio.resample import resample
from callflows.simulator.effects import Heard

RATE = 16000
FRAME = RATE // 50
Wave = NDArray[np.float64]


@dataclass(eq=False, slots=True)
class Ears:
    """Everything that was heard, by leg: frames of 20 ms with their moment."""

    frames: defaultdict[str, list[tuple[float, int, bytes]]] = field(default_factory=lambda: defaultdict(list))

    def __call__(self, heard: Heard) -> None:
        self.frames[heard.leg].append((heard.at, heard.rate, heard.pcm))

    def wave(self, leg: str, start: float, end: float) -> Wave:
        """Return what a leg heard between two moments at 16 kHz, 1.0 is full scale; nothing heard is silence."""
        found = [each for each in self.frames[leg] if start - 1e-6 <= each[0] < end - 1e-6]
        wave = np.zeros((max(0, round((end - start) * 50)), FRAME))
        for rate in {rate for _, rate, _ in found}:
            own = [(at, pcm) for at, each, pcm in found if each == rate]
            heard = np.divide(samples(b"".join(pcm for _, pcm in own)), FULL_SCALE, dtype=np.float32)
            at_16 = resample(heard, rate, RATE).reshape(-1, FRAME)
            place = 0
            for (at, _), frame in zip(own, at_16, strict=True):
                # Frames keep their order, and none is lost to rounding.
                place = max(place, round((at - start) * 50))
                if place < len(wave):
                    wave[place] = frame
                place += 1
        return wave.reshape(-1)

    def end(self, leg: str) -> float:
        """Return when a leg heard its last frame."""
        return self.frames[leg][-1][0] + 0.02 if self.frames[leg] else 0.0


def loudness(wave: Wave) -> float:
    """Return the loudness in dBFS; silence is -inf."""
    return decibels(float(np.sqrt(np.mean(wave**2)))) if wave.size else -math.inf


def tone_level(wave: Wave, hz: float) -> float:
    """Return the level of the peaks of a tone in dBFS."""
    if not wave.size:
        return -math.inf
    window = np.hanning(wave.size)
    turning = np.exp(-2j * np.pi * hz * np.arange(wave.size) / RATE)
    return decibels(float(2 * abs(np.sum(wave * window * turning)) / np.sum(window)))


def find(wave: Wave, prompt: Wave) -> tuple[float, float]:
    """Return how alike a prompt and the best place in a sound are, 0 to 1, and that place in seconds."""
    if not prompt.size or wave.size < prompt.size:
        return 0.0, 0.0
    size = 1 << (wave.size + prompt.size).bit_length()
    product = np.fft.irfft(np.fft.rfft(wave, size) * np.conj(np.fft.rfft(prompt, size)), size)
    product = product[: wave.size - prompt.size + 1]
    sums = np.concatenate([[0.0], np.cumsum(wave**2)])
    energy = sums[prompt.size :] - sums[: -prompt.size]
    scale = np.sqrt(np.maximum(energy, 1e-6 * float(np.sum(prompt**2))) * float(np.sum(prompt**2)))
    likeness = product / np.maximum(scale, 1e-12)
    best = int(likeness.argmax())
    return float(likeness[best]), best / RATE
