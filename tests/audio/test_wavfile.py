"""Recordings on disk: whole after kill -9, locked while they are written, and mended when they are left over."""

from __future__ import annotations

import signal
import subprocess
import sys
import wave
from pathlib import Path

import pytest

from callflows.audio.format import AudioError
from callflows.audio.wavfile import WavFile, is_locked, repair

SECOND = bytes(range(256)) * 125  # 1 s of 8 kHz stereo
WRITER = """
import sys, time
from pathlib import Path
from callflows.audio.wavfile import WavFile
file = WavFile(Path(sys.argv[1]), 8000)
for _ in range(3):
    file.write(bytes(range(256)) * 125)
print("written", flush=True)
time.sleep(60)
"""


@pytest.mark.process
def test_a_killed_writer_leaves_a_file_that_wave_opens(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == b"written\n"
        locked = is_locked(path)
        writer.send_signal(signal.SIGKILL)
    assert locked
    assert not is_locked(path)
    with wave.open(str(path)) as wav:
        assert (wav.getnchannels(), wav.getframerate(), wav.getsampwidth()) == (2, 8000, 2)
        assert wav.readframes(wav.getnframes()) == SECOND * 3


def test_a_file_is_locked_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    with WavFile(path, 8000) as file:
        file.write(SECOND)
        assert is_locked(path)
        with pytest.raises(AudioError, match=r"call\.wav is locked"):
            repair(path)
    assert not is_locked(path)


def test_only_our_own_user_may_read_it(tmp_path: Path) -> None:
    with WavFile(tmp_path / "open" / "call.wav", 8000):
        assert (tmp_path / "open" / "call.wav").stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "open").stat().st_mode & 0o777 == 0o700
        assert [path.name for path in (tmp_path / "open").iterdir()] == ["call.wav"]


def test_a_recording_never_overwrites_another(tmp_path: Path) -> None:
    WavFile(tmp_path / "call.wav", 8000).close()
    with pytest.raises(FileExistsError, match="exists"):
        WavFile(tmp_path / "call.wav", 8000)


def test_a_recording_of_nothing_can_be_opened(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    WavFile(path, 16000).close()
    with wave.open(str(path)) as wav:
        assert wav.getnframes() == 0
    assert repair(path) == 0.0


@pytest.mark.parametrize("extra", [b"", b"\1\2\3\4" * 800, b"\1\2\3\4\5"])
def test_repair_makes_the_header_fit_the_size(tmp_path: Path, extra: bytes) -> None:
    path = tmp_path / "call.wav"
    with WavFile(path, 8000) as file:
        file.write(SECOND)
    with path.open("ab") as left_over:
        left_over.write(extra)
    whole = len(extra) // 4
    assert repair(path) == 1.0 + whole / 8000
    with wave.open(str(path)) as wav:
        assert wav.readframes(wav.getnframes()) == SECOND + extra[: whole * 4]
    assert path.stat().st_size == 44 + len(SECOND) + whole * 4


def test_repair_of_an_empty_file_says_that_there_is_nothing(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    path.touch()
    assert repair(path) == 0.0


def test_repair_leaves_foreign_files_alone(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    path.write_bytes(b"x" * 100)
    with pytest.raises(AudioError, match="another header"):
        repair(path)
    assert path.read_bytes() == b"x" * 100
