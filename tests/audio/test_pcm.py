"""Levels, mixing and waveforms of 16 bit samples."""

from __future__ import annotations

import math

import numpy as np
import pytest

from callflows.audio import pcm
from callflows.audio.format import AudioError
from callflows.audio.tones import tone


@pytest.mark.parametrize("peak", [0.0, -6.0, -40.0])
def test_a_sine_is_3_db_quieter_than_its_peaks(peak: float) -> None:
    assert pcm.level(pcm.to_int16(tone(1000, 0.02, 16000, peak))) == pytest.approx(peak - 3.01, abs=0.05)


def test_silence_is_infinitely_quiet() -> None:
    assert pcm.level(np.zeros(160, np.int16)) == -math.inf


def test_the_loudest_samples_do_not_overflow() -> None:
    assert pcm.level(np.full(480, -32768, np.int16)) == 0.0


def test_no_samples_have_no_level() -> None:
    with pytest.raises(AudioError, match="no samples"):
        pcm.level(np.zeros(0, np.int16))


def test_samples_beyond_full_scale_saturate() -> None:
    assert pcm.to_int16(np.array([-9.0, -1.0, 0.0, 0.5, 1.0, 9.0])).tolist() == [-32768, -32768, 0, 16384, 32767, 32767]


def test_16_bit_samples_survive_floating_point() -> None:
    whole = np.arange(-32768, 32768, dtype=np.int16)
    assert (pcm.to_int16(whole.astype(np.float32) / 32768) == whole).all()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(AudioError, match="finite"):
        pcm.to_int16(np.array([0.0, value]))


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(AudioError, match="got 639 bytes"):
        pcm.samples(bytes(639))


def test_a_mix_is_the_sum_and_saturates() -> None:
    first, second = (np.array(row, "<i2").tobytes() for row in ([1, 30000, -30000], [2, 30000, -30000]))
    assert pcm.samples(pcm.mix([first, second])).tolist() == [3, 32767, -32768]


@pytest.mark.parametrize("sizes", [[], [320, 640]])
def test_a_mix_wants_frames_of_one_length(sizes: list[int]) -> None:
    with pytest.raises(AudioError, match="one length"):
        pcm.mix([bytes(size) for size in sizes])


def test_a_waveform_shows_lowest_and_highest_of_each_column() -> None:
    assert pcm.peaks(np.array([1, -5, 3, 7, 2, 2], np.int16), 3).tolist() == [[-5, 1], [3, 7], [2, 2]]


def test_a_waveform_of_fewer_samples_than_columns_is_drawn() -> None:
    assert pcm.peaks(np.array([4, -4], np.int16), 4).tolist() == [[4, 4], [4, 4], [-4, -4], [-4, -4]]


def test_a_waveform_of_nothing_is_refused() -> None:
    with pytest.raises(AudioError, match="got 0 samples"):
        pcm.peaks(np.zeros(0, np.int16), 4)
