"""A new rate keeps the sound and invents none: measured in the spectrum."""

from __future__ import annotations

import numpy as np
import pytest

from callflows.audio.format import RATES
from callflows.audio.pcm import decibels
from callflows.audio.resample import Resampler, resample
from callflows.audio.tones import spectrum_peak, tone


def loudness(wave: np.ndarray, edge: int) -> float:
    """RMS in dBFS, without the edges, where a tone that starts suddenly has every frequency."""
    inner = wave[edge:-edge].astype(np.float64)
    return decibels(float(np.sqrt(np.mean(inner**2))))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("above", [1.02, 1.2, 1.5, 1.79])
def test_a_tone_above_the_new_limit_is_gone(rate: int, above: float) -> None:
    hz = min(above * rate / 2, 21900)
    wave = tone(hz, 1.0, 44100, level_db=0)
    assert loudness(resample(wave, 44100, rate), rate // 10) - loudness(wave, 4410) < -80


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("hz", [300, 1000, 3400])
def test_a_tone_of_the_telephone_band_stays_as_it_is(rate: int, hz: float) -> None:
    wave = tone(hz, 1.0, 44100)
    changed = resample(wave, 44100, rate)
    assert spectrum_peak(changed, rate) == pytest.approx(hz, abs=0.5)
    assert loudness(changed, rate // 10) == pytest.approx(loudness(wave, 4410), abs=0.05)


@pytest.mark.parametrize("source", [1000, 8000, 11025, 44100, 48000, 192000, 384000])
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_length_is_exact_and_never_nothing(source: int, rate: int, size: int) -> None:
    assert resample(np.ones(size, np.float32), source, rate).size == max(1, round(size * rate / source))


def test_no_sound_stays_no_sound() -> None:
    assert resample(np.zeros(0, np.float32), 44100, 8000).size == 0


def test_the_same_rate_changes_no_sample() -> None:
    wave = tone(440, 0.1, 16000)
    assert (resample(wave, 16000, 16000) == wave).all()


def test_blocks_give_the_same_as_the_whole() -> None:
    wave = tone(440, 1.0, 44100)
    stream = Resampler(44100, 16000)
    pieces = [stream.push(piece, last=False) for piece in np.array_split(wave, 37)]
    pieces.append(stream.push(np.zeros(0, np.float32), last=True))
    assert np.allclose(np.concatenate(pieces), resample(wave, 44100, 16000), atol=1e-6)
