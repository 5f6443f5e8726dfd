"""Sound files of all kinds are either right or refused with a sentence."""

from __future__ import annotations

import contextlib
import io
import math
import struct
import tracemalloc
import wave
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from callflows.audio.files import Prompt, convert, read_prompt, wav_bytes, write_wav
from callflows.audio.format import RATES, AudioError
from callflows.audio.pcm import samples
from callflows.audio.tones import spectrum_peak, tone
from tests.audio.odd import encoded, flac_of_unknown_length, noise

LIMIT = 600.0
ODD_WAVE = np.array([1, -2, 3, -4, 5, -6, 7], np.int16)
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(100)
HOSTILE_RATE = struct.pack("<I", 0x7FFFFFFF)


def read(content: bytes, limit: float = LIMIT) -> Prompt:
    return read_prompt(io.BytesIO(content), limit)


@pytest.mark.parametrize(
    ("kind", "subtype", "rate"),
    [
        ("WAV", "PCM_U8", 8000),
        ("WAV", "PCM_16", 44100),
        ("WAV", "PCM_24", 192000),
        ("WAV", "PCM_32", 11025),
        ("WAV", "FLOAT", 48000),
        ("WAV", "DOUBLE", 22050),
        ("WAV", "ULAW", 8000),
        ("WAV", "IMA_ADPCM", 8000),
        ("RF64", "PCM_16", 44100),
        ("AIFF", "PCM_16", 44100),
        ("AU", "PCM_16", 44100),
        ("CAF", "PCM_16", 44100),
        ("FLAC", "PCM_16", 44100),
        ("OGG", "VORBIS", 44100),
        ("OGG", "OPUS", 48000),
        ("MP3", None, 44100),
    ],
)
def test_a_tone_arrives_at_all_rates(kind: str, subtype: str | None, rate: int) -> None:
    prompt = read(encoded(tone(1000, 1.0, rate), rate, kind, subtype))
    assert (prompt.source_rate, prompt.channels, prompt.notes) == (rate, 1, ())
    assert prompt.seconds == pytest.approx(1.0, abs=0.06)
    # Lossy codecs overshoot where the tone starts.
    assert prompt.peak == pytest.approx(-12, abs=1.5)
    assert prompt.level == pytest.approx(-15, abs=0.7)
    assert set(prompt.pcm) == set(RATES)
    for to_rate, pcm in prompt.pcm.items():
        assert len(pcm) == 2 * round(prompt.seconds * to_rate)
        assert spectrum_peak(samples(pcm), to_rate) == pytest.approx(1000, abs=1)


def test_samples_at_their_own_rate_stay_exact() -> None:
    whole = np.random.default_rng(2).integers(-32768, 32767, 5000).astype(np.int16)
    assert (samples(read(encoded(whole, 16000)).pcm[16000]) == whole).all()


@pytest.mark.parametrize("rate", [8000, 44100, 192000])
def test_seven_samples_are_a_prompt(rate: int) -> None:
    prompt = read(encoded(ODD_WAVE, rate))
    assert prompt.seconds == 7 / rate
    assert all(len(pcm) >= 2 for pcm in prompt.pcm.values())


@pytest.mark.parametrize("channels", [2, 7])
def test_many_channels_are_mixed_to_mono(channels: int) -> None:
    first = tone(500, 0.5, 16000, level_db=-6)
    sound = np.zeros((first.size, channels), np.float32)
    sound[:, 0], sound[:, -1] = first, tone(2000, 0.5, 16000, level_db=-6)
    prompt = read(encoded(sound, 16000, subtype="FLOAT"))
    assert prompt.channels == channels
    mono = samples(prompt.pcm[16000]) / 32768
    assert np.allclose(mono, sound.mean(axis=1), atol=1 / 32768)


def test_nothing_above_the_new_limit_is_folded_down() -> None:
    prompt = read(encoded(tone(9500, 1.0, 44100, level_db=-1)))
    assert all(abs(int(sample)) <= 1 for sample in samples(prompt.pcm[16000])[1600:-1600])
    assert spectrum_peak(samples(prompt.pcm[24000]), 24000) == pytest.approx(9500, abs=1)


@pytest.mark.parametrize(("source", "lowest"), [(22050, 8050), (44100, 12100), (48000, 12100), (192000, 12100)])
def test_no_alias_of_any_tone_is_above_minus_80_dbfs(source: int, lowest: int) -> None:
    """Tones at 0 dBFS above each new limit leave nothing: -80 dBFS is a line of 3.3 of 32,768."""
    for hz in np.linspace(lowest, source / 2 * 0.98, 5):
        prompt = read(encoded(0.999 * tone(float(hz), 1.0, source, level_db=0), source, subtype="FLOAT"))
        for rate, pcm in prompt.pcm.items():
            if hz > rate / 2:
                inner = samples(pcm)[rate // 10 : -rate // 10]
                assert np.abs(np.fft.rfft(inner)).max() * 2 / inner.size < 3.3, f"{hz:.0f} Hz at {rate}"


def test_conversion_tells_how_far_it_is() -> None:
    told: list[float] = []
    content = encoded(noise(30.0, 8000), 8000)
    convert(io.BytesIO(content), LIMIT, {8000: io.BytesIO()}, told.append)
    assert told == sorted(told)
    assert (told[-1], len(told)) == (1.0, 5)


def test_conversion_of_a_flac_from_a_pipe_tells_how_far_it_is() -> None:
    told: list[float] = []
    convert(io.BytesIO(flac_of_unknown_length(30.0)), LIMIT, {8000: io.BytesIO()}, told.append)
    assert told == sorted(told)
    assert 0 < told[0] <= told[-1] <= 1.0


@pytest.mark.parametrize("rate", [1000, 44100])
def test_memory_does_not_grow_with_the_length(rate: int, tmp_path: Path) -> None:
    """A file of 3 minutes takes no more than one of 30 s: both are read in blocks, and written to files."""

    def most(seconds: float) -> int:
        (tmp_path / "sound.wav").write_bytes(encoded(np.zeros(round(seconds * rate), np.int16), rate))
        files = {to_rate: (tmp_path / f"{to_rate}.l16").open("w+b") for to_rate in RATES}
        tracemalloc.start()
        with (tmp_path / "sound.wav").open("rb") as source, contextlib.ExitStack() as stack:
            convert(source, LIMIT, {to_rate: stack.enter_context(file) for to_rate, file in files.items()})
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    short = most(30)
    assert most(180) < short + (1 << 20)
    assert short < 24 << 20


def test_wav_is_written_from_a_file_in_blocks() -> None:
    pcm, wav = np.arange(600_000, dtype=np.int16).tobytes(), io.BytesIO()
    write_wav(io.BytesIO(pcm), 16000, wav)
    assert wav.getvalue() == wav_bytes(pcm, 16000)


def test_a_path_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "prompt.raw"
    path.write_bytes(encoded(ODD_WAVE, 8000))
    assert (samples(read_prompt(path, LIMIT).pcm[8000]) == ODD_WAVE).all()


def test_the_name_of_an_upload_does_not_matter() -> None:
    file = io.BytesIO(encoded(ODD_WAVE, 8000))
    file.name = "upload.raw"
    assert read_prompt(file, LIMIT).seconds == 7 / 8000


def flaw(sound: NDArray[Any]) -> str:
    return " ".join(read(encoded(sound, 16000, subtype="FLOAT")).notes)


def test_flaws_are_named() -> None:
    fine = tone(440, 0.5, 16000)
    assert flaw(np.clip(8 * fine, -1, 1)).startswith("Clipped: ")
    assert flaw(8 * fine).startswith("Clipped: ")
    assert flaw(np.zeros(8000, np.float32)) == "Silent: its loudest sample is at -120 dBFS."
    assert flaw(fine + 0.1).startswith("Off its middle line by 10.0%")
    assert flaw(tone(440, 0.5, 16000, level_db=0) * 0.97) == ""


def test_channels_that_cancel_each_other_are_not_mixed() -> None:
    left = tone(440, 0.5, 16000)
    prompt = read(encoded(np.stack([left, -left], axis=1), 16000, subtype="FLOAT"))
    assert "only the first one is used" in prompt.notes[0]
    assert np.allclose(samples(prompt.pcm[16000]) / 32768, left, atol=1 / 32768)
    # Converted twice, and the first one left nothing.
    assert len(prompt.pcm[8000]) == 2 * 4000


def test_channels_that_weaken_each_other_are_mixed_with_a_warning() -> None:
    left, other = tone(440, 0.5, 16000), tone(700, 0.5, 16000)
    weak = flaw(np.stack([left + other / 3, -left + other / 3], axis=1))
    assert weak.startswith("Its channels weaken each other in mono by 7 dB")
    assert flaw(np.stack([left, other], axis=1)) == ""


def test_one_channel_of_many_is_not_taken_for_cancelling() -> None:
    sound = np.zeros((8000, 16), np.float32)
    sound[:, 9] = tone(440, 0.5, 16000, level_db=0) * 0.9
    assert read(encoded(sound, 16000, subtype="FLOAT")).notes == ()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The file is empty."),
        (encoded(np.zeros(0)), "There is no audio in this file."),
        (encoded(np.zeros(0), kind="OGG"), "There is no audio in this file."),
        (PNG, "This is a PNG picture, not a sound file; upload WAV, FLAC, OGG, MP3 or AIFF."),
        (b"\0\0\0\x20ftypM4A " + bytes(200), "This is an MP4, MOV or M4A file, which cannot be read here"),
        (b"\x1aE\xdf\xa3" + bytes(200), "This is a Matroska or WebM file, not a sound file"),
        (b"hello\n" * 1000, "This is not a sound file that can be read"),
        (bytes(5000), "This is not a sound file that can be read"),
        (encoded(noise(0.1))[:30], "The file is cut off or damaged: its header cannot be read."),
        (encoded(np.array([0.0, math.nan] * 100), subtype="FLOAT"), "values that are no numbers"),
        (encoded(np.array([0.0, math.inf] * 100), subtype="FLOAT"), "values that are no numbers"),
        (encoded(np.array([0.0, 1e300] * 100), subtype="DOUBLE"), "values that are no numbers"),
        (encoded(ODD_WAVE).replace(struct.pack("<I", 44100), HOSTILE_RATE, 1), "expected 1,000 to 384,000"),
    ],
)
def test_what_cannot_be_a_prompt_is_refused_with_a_sentence(content: bytes, sentence: str) -> None:
    with pytest.raises(AudioError, match=sentence):
        read(content)


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [
        ("WAV", "PCM_16"),
        ("RF64", "PCM_16"),
        ("AIFF", "PCM_16"),
        ("AU", "PCM_16"),
        ("CAF", "PCM_16"),
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
        ("OGG", "OPUS"),
        ("MP3", None),
    ],
)
@pytest.mark.parametrize("part", [0.5, 0.97])
def test_a_file_that_was_cut_off_is_refused(kind: str, subtype: str | None, part: float) -> None:
    whole = encoded(noise(3.0, 48000), 48000, kind, subtype)
    assert read(whole).seconds == pytest.approx(3.0, abs=0.06)
    with pytest.raises(AudioError, match="cut off"):
        read(whole[: int(len(whole) * part)])


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFF024])
def test_a_wav_from_a_pipe_that_does_not_know_its_length_is_read(length: int) -> None:
    content = encoded(ODD_WAVE, 8000)
    at = content.index(b"data") + 4
    assert read(content[:at] + struct.pack("<I", length) + content[at + 4 :]).seconds == 7 / 8000


def test_a_flac_from_a_pipe_that_does_not_know_its_length_is_read() -> None:
    assert read(flac_of_unknown_length(2.0)).seconds == 2.0


def test_what_is_too_long_is_refused_by_its_header_and_by_what_comes() -> None:
    with pytest.raises(AudioError, match=r"^The sound is 0:04 long, at most 0:03 allowed\.$"):
        read(encoded(noise(3.1)), limit=3.0)
    assert read(encoded(noise(3.0)), limit=3.0).seconds == 3.0
    with pytest.raises(AudioError, match=r"^The sound goes on after 0:03, the most that is allowed\.$"):
        read(flac_of_unknown_length(5.0), limit=3.0)


def test_a_wav_of_ours_is_opened_by_the_standard_library() -> None:
    pcm = ODD_WAVE.tobytes() + bytes(2)
    with wave.open(io.BytesIO(wav_bytes(pcm, 16000, channels=2))) as wav:
        assert (wav.getnchannels(), wav.getsampwidth(), wav.getframerate()) == (2, 2, 16000)
        assert wav.readframes(10) == pcm


def test_no_content_at_all_breaks_the_reader() -> None:
    chance = np.random.default_rng(3)
    whole = encoded(noise(0.2), kind="FLAC"), encoded(noise(0.2), kind="OGG"), encoded(noise(0.2)), zlib.compress(PNG)
    for turn in range(60):
        content = bytearray(whole[turn % 4])
        for at in chance.integers(0, len(content), 5):
            content[at] = chance.integers(256)
        with contextlib.suppress(AudioError):
            assert read(bytes(content)).seconds > 0
