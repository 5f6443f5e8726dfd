"""Knows sounds that we make ourselves: tones, the recorder's beep and a small melody."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

BEEP_HZ = 1000
BEEP_SECONDS = 0.4
EDGE_SECONDS = 0.01

# The tune: steps of a D major scale (0 is d', 587 Hz) or None for a rest, each with its length in eighths; 64 eighths.
# With its bass it stays between 294 and 1175 Hz, where every telephone carries it.
TUNE: tuple[tuple[int | None, int], ...] = (
    *((0, 2), (2, 1), (4, 3), (3, 1), (2, 1), (1, 2), (2, 1), (-1, 3), (None, 2)),
    *((-2, 2), (0, 1), (2, 3), (1, 1), (0, 1), (-1, 2), (1, 1), (-3, 3), (None, 2)),
    *((0, 2), (2, 1), (4, 3), (5, 1), (4, 1), (7, 2), (5, 1), (4, 3), (2, 2)),
    *((3, 2), (2, 1), (1, 3), (2, 1), (-1, 1), (0, 5), (None, 1)),
)
BASS = (0, 4, 5, 3, 0, 4, 3, 0)
SCALE = (0, 2, 4, 5, 7, 9, 11)
EIGHTH = 0.25


def tone(hz: float, seconds: float, rate: int, level_db: float = -12.0) -> NDArray[np.float32]:
    """Return a sine of ``hz`` whose peaks stand at ``level_db`` dBFS, shape (n,), 1.0 is full scale."""
    time = np.arange(round(seconds * rate)) / rate
    return (10 ** (level_db / 20) * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def beep(rate: int = 16000) -> NDArray[np.float32]:
    """Return the beep before a recording, 1 kHz for 0.4 s with soft edges: a hard one clicks.

    Shape (n,), 1.0 is full scale.
    """
    sound = tone(BEEP_HZ, BEEP_SECONDS, rate)
    edge = round(EDGE_SECONDS * rate)
    slope = (0.5 - 0.5 * np.cos(np.pi * np.arange(edge) / edge)).astype(np.float32)
    sound[:edge] *= slope
    sound[-edge:] *= slope[::-1]
    return sound


def melody(seconds: float = 32.0, rate: int = 24000) -> NDArray[np.float32]:
    """Return a calm tune of our own, the same at each call, repeated and faded out to fill ``seconds``.

    Shape (n,), 1.0 is full scale; its highest peak stands at -6 dBFS.
    """
    sound = np.zeros(round(seconds * rate), dtype=np.float64)
    _lay(sound, rate, TUNE, octave=0, strength=1.0)
    _lay(sound, rate, tuple((step, 8) for step in BASS), octave=-1, strength=0.7)
    fade = min(sound.size, 2 * rate)
    sound[sound.size - fade :] *= np.linspace(1, 0, fade) ** 2
    return (sound * (0.5 / max(1e-9, float(np.abs(sound).max(initial=0))))).astype(np.float32)


def spectrum_peak(samples: NDArray[np.floating[Any] | np.integer[Any]], rate: int) -> float:
    """Return the strongest frequency in Hz, to a fraction of ``rate`` / n; 0.0 for silence.

    ``samples`` has shape (n,).
    """
    wave = np.asarray(samples, dtype=np.float64)
    power = np.abs(np.fft.rfft((wave - wave.mean()) * np.hanning(wave.size)))
    top = int(power.argmax())
    if not power[top] or not 0 < top < power.size - 1:
        return top * rate / wave.size
    left, middle, right = np.log(power[top - 1 : top + 2] + 1e-12)
    return float((top + 0.5 * (left - right) / (left - 2 * middle + right)) * rate / wave.size)


def _lay(
    sound: NDArray[np.float64], rate: int, notes: tuple[tuple[int | None, int], ...], octave: int, strength: float
) -> None:
    """Add ``notes`` to ``sound``, from the start again until it is full."""
    at = 0.0
    while at * rate < sound.size:
        for step, eighths in notes:
            start = round(at * rate)
            at += eighths * EIGHTH
            if step is not None and start < sound.size:
                note = _note(_hz(step, octave), eighths * EIGHTH + 0.5, rate)[: sound.size - start]
                sound[start : start + note.size] += strength * note


def _hz(step: int, octave: int) -> float:
    octaves, degree = divmod(step, len(SCALE))
    return 587.33 * 2 ** (octaves + octave + SCALE[degree] / 12)


def _note(hz: float, seconds: float, rate: int) -> NDArray[np.float64]:
    """A struck bar: a fundamental that rings, overtones that die sooner, an attack of 8 ms, nothing left at the end."""
    time = np.arange(round(seconds * rate)) / rate
    sound = np.zeros(time.size)
    for harmonic, strength in ((1, 1.0), (2, 0.35), (3, 0.12), (4, 0.06)):
        if hz * harmonic < 0.45 * rate:
            sound += strength * np.exp(-time * (1.5 + 1.5 * harmonic)) * np.sin(2 * math.pi * hz * harmonic * time)
    return sound * np.minimum(1, time / 0.008) * np.minimum(1, (seconds - time) / 0.1)
