"""Knows how texts are spoken: with a voice where one is installed, else as a murmur, and that this is said."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from callflows.audio.files import wav_bytes
from callflows.simulator import spoken
from callflows.simulator.sound import level, sample_voice
from callflows.simulator.spoken import NO_VOICE, murmur, speak

TEXT = "I would like to book a table for two."


@pytest.fixture(autouse=True)
def _no_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine has. eSpeak stays as it is where it was loaded: started twice in a process it crashes."""
    monkeypatch.setattr(spoken, "_library", lambda: None)
    monkeypatch.setenv("PATH", "")


def program(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    path = folder / "espeak-ng"
    path.write_text(f"#!{sys.executable}\n{script}")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_without_a_voice_a_murmur_of_the_same_length_is_said_and_told() -> None:
    voice, hint = speak(TEXT)
    assert hint == NO_VOICE
    assert voice.seconds == pytest.approx(len(TEXT) / 15, abs=0.02)
    assert level(voice.pcm[16000]) == pytest.approx(-20, abs=0.2)


def test_a_murmur_sounds_in_the_telephones_band_and_the_same_each_time() -> None:
    first = np.frombuffer(murmur(TEXT).pcm[16000], "<i2").astype(float)
    power = np.abs(np.fft.rfft(first)) ** 2
    frequencies = np.fft.rfftfreq(first.size, 1 / 16000)
    band = power[(frequencies > 300) & (frequencies < 3400)].sum()
    assert band > 0.3 * power.sum()
    assert murmur(TEXT).pcm == murmur(TEXT).pcm


@pytest.mark.process
def test_a_program_speaks_and_gets_the_text_as_no_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "voice.wav").write_bytes(wav_bytes(sample_voice(0.5).pcm[16000], 16000))
    script = "import sys\nassert sys.stdin.read() == '--version' and sys.argv[1:] == ['--stdout', '--stdin']\n"
    wave = f"sys.stdout.buffer.write(open({str(tmp_path / 'voice.wav')!r}, 'rb').read())"
    program(tmp_path, monkeypatch, script + wave)
    voice, hint = speak("--version")
    assert (voice.seconds, hint) == (0.5, "")


@pytest.mark.process
def test_a_program_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, monkeypatch, "raise SystemExit(3)")
    _, hint = speak(TEXT)
    assert "espeak-ng does not speak" in hint
    assert NO_VOICE in hint


def test_without_the_package_there_is_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    assert spoken._library.__wrapped__() is None


def test_a_packaged_voice_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    pytest.importorskip("espeakng_loader", reason="the package espeakng-loader is not installed")
    (voice, hint), (longer, _) = speak("Yes."), speak(TEXT)
    assert hint == ""
    assert 0.2 < voice.seconds < longer.seconds
    assert level(longer.pcm[16000]) > -30
