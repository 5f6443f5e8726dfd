"""Knows voices that can be told apart in a mix, and how loud each is in it."""

from __future__ import annotations

from functools import cache

import numpy as np

from callflows.audio.pcm import decibels, samples, to_int16
from callflows.audio.tones import tone
from callflows.simulator.sound import Sound, Voice

LEVEL = -12.0


@cache
def voice(hz: float, seconds: float = 30.0, level: float = LEVEL) -> Voice:
    """A steady tone; its level is that of its peaks."""
    return Voice({rate: to_int16(tone(hz, seconds, rate, level)).tobytes() for rate in (8000, 16000, 24000)})


def loudness(pcm: bytes, rate: int, hz: float) -> float:
    """Return the level of a tone in a sound, in dBFS of its peaks; -inf for none."""
    wave = np.asarray(samples(pcm), np.float64) / 32768
    if not wave.size:
        return decibels(0)
    time = np.arange(wave.size) / rate
    window = np.hanning(wave.size)
    part = 2 * abs(np.sum(wave * window * np.exp(-2j * np.pi * hz * time))) / np.sum(window)
    return decibels(float(part))


def hears(sound: Sound, *tones: float) -> set[float]:
    """Return which of some tones are in the last second of what somebody heard, at their full level."""
    pcm, rate = sound.mixdown()
    last = pcm[-2 * rate :]
    return {hz for hz in tones if loudness(last, rate, hz) > LEVEL - 1.5}
