"""Loudness is that of the standard, and the picture of a sound has its highest and lowest samples where they are."""

from __future__ import annotations

import math
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from callflows.audio.loudness import Loudness
from callflows.audio.tones import tone
from callflows.audio.waveform import MOST_PAIRS, Waveform


def lufs(wave: NDArray[np.float32], rate: int = 16000, pieces: int = 7) -> float | None:
    meter = Loudness(rate)
    for piece in np.array_split(wave.astype(np.float32), pieces):
        meter.hear(piece)
    return meter.lufs


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 48000])
@pytest.mark.parametrize("level", [-3.01, -23.0, -40.0])
def test_sine_of_1_khz_is_as_loud_as_the_standard_says(rate: int, level: float) -> None:
    """BS.1770: 0 dBFS of one channel at 997 Hz is -3.01 LUFS."""
    measured = lufs(tone(997, 5.0, rate, level_db=level), rate)
    assert measured == pytest.approx(level - 3.01, abs=0.05)


@pytest.mark.parametrize(("hz", "more"), [(100, -1.76), (2000, 2.51), (6000, 3.42)])
def test_deep_tones_count_less_and_high_ones_more(hz: float, more: float) -> None:
    """The K curve of the standard at 48 kHz against its value at 997 Hz, which is 0.69 dB."""
    measured = lufs(tone(hz, 5.0, 48000, level_db=-20), 48000)
    assert measured == pytest.approx(-20 - 3.01 - 0.69 + 0.69 + more, abs=0.15)


def test_pauses_do_not_count() -> None:
    """EBU Tech 3341, case 3: -36 LUFS for 10 s, -23 for 60, -36 for 10 is -23."""
    loud, soft = tone(1000, 60.0, 16000, level_db=-20), tone(1000, 10.0, 16000, level_db=-33)
    assert lufs(np.concatenate([soft, loud, soft])) == pytest.approx(-23.0, abs=0.1)


def test_blocks_of_any_size_give_the_same() -> None:
    wave = np.random.default_rng(1).normal(0, 0.1, 50_001).astype(np.float32)
    assert lufs(wave, pieces=1) == pytest.approx(lufs(wave, pieces=997), abs=1e-6)


@pytest.mark.parametrize("wave", [np.zeros(0, np.float32), tone(440, 0.399, 16000), np.zeros(32000, np.float32)])
def test_what_is_too_short_or_silent_has_no_loudness(wave: NDArray[np.float32]) -> None:
    assert lufs(wave) is None


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="no ffmpeg to compare with")
def test_loudness_is_that_of_ffmpeg(tmp_path: Path) -> None:
    chance, time = np.random.default_rng(2), np.arange(16000 * 20) / 16000
    speech = np.convolve(chance.normal(0, 1, time.size), np.exp(-np.arange(60) / 12), "same")
    wave = (0.03 * speech * np.abs(np.sin(3 * time)) * (np.sin(0.4 * time) > -0.3)).astype(np.float32)
    soundfile.write(tmp_path / "x.wav", wave, 16000, subtype="FLOAT")
    command = ["ffmpeg", "-nostats", "-i", str(tmp_path / "x.wav"), "-af", "ebur128", "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stderr
    theirs = float(said.rpartition("Integrated loudness:")[2].split("I:")[1].split()[0])
    ours = lufs(wave)
    assert ours is not None
    assert math.isclose(ours, theirs, abs_tol=0.15)


def picture(samples: NDArray[np.int16], columns: int, pieces: int = 5) -> list[tuple[int, int]]:
    waveform = Waveform()
    for piece in np.array_split(samples, pieces):
        waveform.hear(piece)
    return list(waveform.columns(columns))


def test_click_stands_in_its_column() -> None:
    samples = np.zeros(400 * 320, np.int16)
    samples[100 * 320 + 5], samples[300 * 320 + 319] = 32767, -32768
    drawn = picture(samples, 400)
    assert (len(drawn), drawn[100], drawn[300]) == (400, (0, 100), (-100, 0))
    assert [place for place, pair in enumerate(drawn) if pair != (0, 0)] == [100, 300]


def test_picture_of_an_hour_keeps_as_little_as_that_of_a_minute() -> None:
    waveform, click = Waveform(), np.zeros(16000 * 64, np.int16)
    click[0] = 32767
    for _ in range(60):
        waveform.hear(click)
        assert len(waveform.columns(10 * MOST_PAIRS)) <= MOST_PAIRS
    assert waveform.columns(60) == ((0, 100),) * 60
    assert sum(pair == (0, 100) for pair in waveform.columns(600)) == 60


def test_few_samples_make_few_columns() -> None:
    assert picture(np.array([100, -200, 16384], np.int16), 400) == [(-1, 50)]
    assert picture(np.zeros(0, np.int16), 400) == []
