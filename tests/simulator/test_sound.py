"""Knows the sounds of fake calls, the callers who make them and how they are shown."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest

from callflows.audio.files import wav_bytes
from callflows.audio.format import AudioError, Format
from callflows.audio.tones import spectrum_peak, tone
from callflows.simulator.caller import Press
from callflows.simulator.effects import Heard, Note, Said
from callflows.simulator.show import Screen, meter
from callflows.simulator.sound import Sound, Voice, decode, level, sample_voice

WIDE, NARROW = Format(16000), Format(8000)
VOICE = Voice.of(tone(440, 1.01, 16000), 16000)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_voice_is_cut_into_whole_frames_at_each_rate() -> None:
    for fmt in (NARROW, WIDE, Format(24000)):
        frames = list(VOICE.frames(fmt))
        assert {len(frame) for frame in frames} == {fmt.frame_bytes}
        assert len(frames) == 51
        assert spectrum_peak(np.frombuffer(b"".join(frames[:50]), "<i2"), fmt.rate) == pytest.approx(440, abs=1)


def test_a_voice_can_be_heard_from_its_middle() -> None:
    assert list(VOICE.frames(WIDE, 0.5)) == list(VOICE.frames(WIDE))[25:]
    assert list(VOICE.frames(WIDE, 5.0)) == []


def test_a_voice_read_from_a_file_keeps_its_samples(tmp_path: Path) -> None:
    path = tmp_path / "hello.wav"
    path.write_bytes(wav_bytes(VOICE.pcm[16000], 16000))
    assert Voice.read(path).pcm[16000] == VOICE.pcm[16000]


def test_a_voice_that_is_no_sound_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hello.wav"
    path.write_text("hello")
    with pytest.raises(AudioError):
        Voice.read(path)


def test_the_sample_voice_is_quiet_and_always_the_same() -> None:
    assert sample_voice(2.0) == sample_voice(2.0)
    assert sample_voice(2.0).seconds == 2.0
    assert -35 < sample_voice(2.0).level(0.0, 1.2) < -20


def test_a_file_of_another_rate_is_heard_at_16_khz() -> None:
    pcm, fmt = decode(wav_bytes(VOICE.pcm[16000], 44100))
    assert fmt == WIDE
    assert len(pcm) // 2 == round(16160 * 16000 / 44100)


def test_what_was_heard_is_joined_at_the_highest_rate() -> None:
    sound = Sound()
    for frame in VOICE.frames(NARROW):
        sound.add("talk", 8000, frame)
    for frame in VOICE.frames(WIDE):
        sound.add("socket", 16000, frame)
    pcm, rate = sound.mixdown()
    assert (rate, sound.frames, sound.seconds) == (16000, 102, 2.04)
    assert len(pcm) == 102 * 640
    assert pcm[51 * 640 :] == sound.of("socket")
    assert spectrum_peak(np.frombuffer(pcm[: 50 * 640], "<i2"), 16000) == pytest.approx(440, abs=1)


def test_nothing_heard_is_an_empty_file() -> None:
    assert Sound().mixdown() == (b"", 8000)


def test_level_of_silence_and_of_full_scale() -> None:
    assert level(b"") == level(bytes(640)) == -math.inf
    assert level(b"\x00\x80" * 320) == 0.0


@pytest.mark.parametrize(
    ("dbfs", "shown"),
    [
        (-math.inf, "[....................]  silence "),
        (-60.0, "[....................]  -60 dBFS"),
        (-30.0, "[##########..........]  -30 dBFS"),
        (0.0, "[####################]    0 dBFS"),
    ],
)
def test_meter(dbfs: float, shown: str) -> None:
    assert meter(dbfs) == shown


def test_keys_are_pressed_one_after_the_other() -> None:
    assert Press.parse("42#@1.5") == [Press("4", 1.5), Press("2", 1.8), Press("#", 2.1)]


@pytest.mark.parametrize("text", ["5", "@1", "a@1", "5@", "5@-1", "5@x"])
def test_other_presses_are_refused_with_the_expected_form(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected keys and seconds such as 5@1\.0"):
        Press.parse(text)


def test_without_a_terminal_levels_are_a_line_each_second() -> None:
    out = io.StringIO()
    screen = Screen(out)
    screen(Note(0.1, "event", "phone", "started"))
    for _ in range(120):
        screen(Said(b"\0\x10" * 160, 8000))
        screen(Heard(bytes(320), 8000, "talk"))
    lines = out.getvalue().splitlines()
    assert lines[0] == "   0.100  phone      event    started"
    assert len(lines) == 3
    assert lines[1].strip().startswith("says [##############......]  -18 dBFS  hears [....")


def test_on_a_terminal_levels_are_rewritten_in_place() -> None:
    out = Terminal()
    screen = Screen(out)
    for _ in range(20):
        screen(Heard(bytes(320), 8000, "talk"))
    screen(Note(0.5, "end", "phone", "over"))
    screen.close()
    assert out.getvalue().count("\r") >= 5
    assert out.getvalue().count("\n") == 1
    assert out.getvalue().rpartition("\r")[2] == "   0.500  phone      end      over\n"
