"""Live frames at another rate: one for one, soon, without images, aliases or clicks; each figure measured."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from callflows.audio.format import RATES, AudioError, Format
from callflows.audio.live_resample import LiveResampler
from callflows.audio.pcm import decibels, samples, to_int16

WAYS = list(itertools.permutations(RATES, 2))
# 100 frames, and before them as many as the filter needs to fill.
SETTLING, FRAMES = 5, 100


def through(wave: NDArray[np.float64], rate: int, to_rate: int) -> NDArray[np.float64]:
    """Return a sound, where 1 is full scale, that has passed frame by frame."""
    resampler, pcm, size = LiveResampler(rate, to_rate), to_int16(wave).tobytes(), Format(rate).frame_bytes
    out = [resampler.push(pcm[at : at + size]) for at in range(0, len(pcm), size)]
    assert {len(each) for each in out} == {Format(to_rate).frame_bytes}
    return samples(b"".join(out)) / 32768


def tone(hertz: float, rate: int, high: float = 0.5) -> NDArray[np.float64]:
    count = (SETTLING + FRAMES) * Format(rate).frame_samples
    wave: NDArray[np.float64] = high * np.sin(2 * np.pi * hertz * np.arange(count) / rate)
    return wave


def spectrum(wave: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    """Return the amplitude at each 0.5 Hz of the last 100 frames; a sine of 1 is 1."""
    last = wave[-FRAMES * Format(rate).frame_samples :]
    # Hertz that are multiples of 0.5 have whole periods in 2 s: no window, nothing leaks.
    amplitudes: NDArray[np.float64] = np.abs(np.fft.rfft(last)) * 2 / last.size
    return amplitudes


def gain(hertz: float, rate: int, to_rate: int) -> float:
    """Return how loud a tone comes out where it belongs, in dB."""
    return decibels(float(spectrum(through(tone(hertz, rate), rate, to_rate), to_rate)[round(hertz * 2)]) / 0.5)


@pytest.mark.parametrize(("rate", "to_rate"), WAYS)
def test_speech_up_to_3400_hz_passes_within_1_db(rate: int, to_rate: int) -> None:
    gains = [gain(hertz, rate, to_rate) for hertz in (50, 300, 1000, 2000, 2800, 3200, 3400)]
    assert max(map(abs, gains)) < 0.2


@pytest.mark.parametrize(("rate", "to_rate"), [(16000, 24000), (24000, 16000)])
def test_wide_band_passes_up_to_7400_hz(rate: int, to_rate: int) -> None:
    assert max(abs(gain(hertz, rate, to_rate)) for hertz in (5000, 7000, 7400)) < 0.2


@pytest.mark.parametrize("rate", [16000, 24000])
def test_what_8_khz_cannot_hold_is_gone_by_60_db(rate: int) -> None:
    for hertz in range(4500, 8000, 250):
        left = spectrum(through(tone(hertz, rate), rate, 8000), 8000)
        assert decibels(left.max() / 0.5) < -60, f"{hertz} Hz"


@pytest.mark.parametrize("hertz", [8500, 9000, 10000, 11500])
def test_what_16_khz_cannot_hold_is_gone_by_60_db(hertz: int) -> None:
    assert decibels(spectrum(through(tone(hertz, 24000), 24000, 16000), 16000).max() / 0.5) < -60


@pytest.mark.parametrize(("rate", "to_rate"), WAYS)
@pytest.mark.parametrize("hertz", [1000, 3400])
def test_tone_shows_no_spur_above_minus_70_db(rate: int, to_rate: int, hertz: int) -> None:
    """A state that is not kept would click 50 times a second; a bad filter would mirror the tone."""
    found = spectrum(through(tone(hertz, rate), rate, to_rate), to_rate)
    found[hertz * 2] = 0
    assert decibels(found.max() / 0.5) < -70


@pytest.mark.parametrize(("rate", "to_rate"), WAYS)
def test_sound_comes_out_3_ms_later(rate: int, to_rate: int) -> None:
    click = np.zeros(3 * Format(rate).frame_samples)
    click[Format(rate).frame_samples] = 0.9
    out = through(click, rate, to_rate)
    assert np.argmax(np.abs(out)) / to_rate - 0.02 == pytest.approx(0.003, abs=0.5 / 8000)
    # And nothing of it before it came in.
    assert not out[: Format(to_rate).frame_samples].any()


@pytest.mark.parametrize(("rate", "to_rate"), WAYS)
def test_too_loud_saturates_and_never_wraps(rate: int, to_rate: int) -> None:
    square = np.sign(tone(400, rate))
    out = through(square, rate, to_rate)
    # A square wave overshoots once its overtones are cut off: at its corners it stays at full scale.
    assert out.max() == 32767 / 32768
    assert out.min() == -1.0
    steps = np.abs(np.diff(out[Format(to_rate).frame_samples :]))
    assert steps.max() < 1.9


@pytest.mark.parametrize(("rate", "to_rate"), WAYS)
def test_constant_stays_constant(rate: int, to_rate: int) -> None:
    out = through(np.full(10 * Format(rate).frame_samples, 0.25), rate, to_rate)[-Format(to_rate).frame_samples :]
    assert np.abs(out - 0.25).max() <= 1 / 32768


@pytest.mark.parametrize("rate", RATES)
def test_same_rate_changes_nothing(rate: int) -> None:
    frame = bytes(range(160)) * (Format(rate).frame_bytes // 160)
    assert LiveResampler(rate, rate).push(memoryview(frame)) == frame


def test_each_line_has_a_state_of_its_own() -> None:
    loud, quiet = LiveResampler(16000, 8000), LiveResampler(16000, 8000)
    loud.push(to_int16(np.full(320, 0.5)).tobytes())
    assert quiet.push(bytes(640)) == bytes(320)


@pytest.mark.parametrize("size", [0, 639, 641, 320])
def test_frame_of_wrong_size_is_refused(size: int) -> None:
    with pytest.raises(AudioError, match=f"expected 640 bytes of audio, got {size}"):
        LiveResampler(16000, 8000).push(bytes(size))


@pytest.mark.parametrize(("rate", "to_rate"), [(44100, 8000), (8000, 11025)])
def test_rates_that_vonage_does_not_offer_are_refused(rate: int, to_rate: int) -> None:
    with pytest.raises(AudioError, match="expected 8000, 16000 or 24000 samples per second"):
        LiveResampler(rate, to_rate)
