"""Knows that a sound file is told by its content."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from callflows.audio.files import seconds_of
from callflows.audio.kinds import HEAD_BYTES, kind_of
from callflows.audio.tones import tone


def make(path: Path, kind: str, seconds: float = 1.5, channels: int = 1) -> Path:
    """Write a sound as Vonage records it."""
    mono = tone(440, seconds, 16000).astype(np.float32)
    soundfile.write(path, np.repeat(mono[:, None], channels, axis=1), 16000, format=kind.upper())
    return path


def length(path: Path) -> float | None:
    with path.open("rb") as file:
        return seconds_of(file)


@pytest.mark.parametrize("kind", ["mp3", "wav", "ogg"])
@pytest.mark.parametrize("channels", [1, 2])
def test_what_vonage_records_is_known_whatever_its_name(tmp_path: Path, kind: str, channels: int) -> None:
    path = make(tmp_path / "recording.txt", kind, channels=channels)
    assert kind_of(path.read_bytes()[:HEAD_BYTES]) == kind
    assert length(path) == pytest.approx(1.5, abs=0.15)


def test_mp3_with_a_tag_is_known() -> None:
    assert kind_of(b"ID3\x04\0\0\0\0\0\0") == "mp3"


@pytest.mark.parametrize(
    "head",
    [
        *(b"", b"\xff", b"RIFF\0\0\0\0AVI ", b"<html>", b'{"type":', b"%PDF-1.7", b"\x89PNG\r\n\x1a\n"),
        # A byte-order mark of UTF-16, AAC, a reserved version, no bit rate, a forbidden bit rate, a forbidden rate.
        *(b"\xff\xfea\0", b"\xff\xf1\x50\x80", b"\xff\xeb\x50\xc0", b"\xff\xfb\x00\xc0", b"\xff\xfb\xf0\xc0"),
        b"\xff\xfb\x5c\xc0",
    ],
)
def test_anything_else_is_no_sound(head: bytes) -> None:
    assert kind_of(head) == ""


def test_length_that_cannot_be_told_is_none(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    for content in (b"", b"ID3 but nothing else", b"RIFF\0\0\0\0WAVE", make(tmp_path / "y", "ogg").read_bytes()[:40]):
        path.write_bytes(content)
        assert length(path) is None


def test_wav_whose_header_names_no_length_is_measured_by_its_size(tmp_path: Path) -> None:
    """As a server writes it that does not know yet how long it will be."""
    path = make(tmp_path / "x", "wav")
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, 4, 0xFFFFFFFF)
    struct.pack_into("<I", content, content.index(b"data") + 4, 0xFFFFFFFF)
    path.write_bytes(content)
    assert length(path) == pytest.approx(1.5, abs=0.01)


def test_wav_without_samples_has_no_length(tmp_path: Path) -> None:
    assert length(make(tmp_path / "x", "wav", seconds=0.0)) is None
