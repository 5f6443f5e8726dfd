"""The sounds that we make ourselves."""

from __future__ import annotations

import numpy as np
import pytest

from callflows.audio.pcm import level, to_int16
from callflows.audio.tones import beep, melody, spectrum_peak, tone


@pytest.mark.parametrize("hz", [50.0, 697.0, 1000.0, 3399.5])
def test_a_tone_has_its_frequency_and_level(hz: float) -> None:
    wave = tone(hz, 0.5, 8000, level_db=-20)
    assert wave.dtype == np.float32
    assert wave.shape == (4000,)
    assert spectrum_peak(wave, 8000) == pytest.approx(hz, abs=0.5)
    assert level(to_int16(wave)) == pytest.approx(-23.01, abs=0.1)


def test_silence_has_no_frequency() -> None:
    assert spectrum_peak(np.zeros(320, np.int16), 16000) == 0.0


def test_a_beep_has_soft_edges() -> None:
    sound = beep(8000)
    assert sound.shape == (3200,)
    assert spectrum_peak(sound, 8000) == pytest.approx(1000, abs=0.5)
    assert abs(sound[0]) < 0.001
    assert abs(sound[-1]) < 0.001
    assert np.abs(np.diff(sound[:40])).max() < np.abs(np.diff(sound[200:240])).max()


def test_the_melody_is_the_same_at_each_call() -> None:
    sound = melody(5.0, 8000)
    assert sound.shape == (40000,)
    assert (melody(5.0, 8000) == sound).all()


def test_the_melody_fills_its_time_within_full_scale() -> None:
    sound = melody()
    assert sound.size / 24000 == 32.0
    assert np.abs(sound).max() == pytest.approx(0.5)
    seconds = to_int16(sound).reshape(-1, 24000)
    assert min(level(second) for second in seconds[:-1]) > -40
    assert abs(sound[-1]) < 0.001


def test_the_melody_lies_where_telephones_carry_it() -> None:
    sound = melody(8.0, 24000)
    power = np.abs(np.fft.rfft(sound)) ** 2
    hz = np.fft.rfftfreq(sound.size, 1 / 24000)
    assert power[(hz > 250) & (hz < 3400)].sum() / power.sum() > 0.95
