"""Knows how to write a WAV file that can be opened after kill -9, and how to mend what is left of one."""

from __future__ import annotations

import fcntl
import os
import struct
import wave
from pathlib import Path
from types import TracebackType

from callflows.audio.format import SAMPLE_BYTES, AudioError

# The header that the wave module writes: RIFF, fmt and the head of data.
HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")


class WavFile:
    """A new file of 16 bit samples, only for our own user, locked while it is written. Blocks the thread that calls.

    Raises FileExistsError when ``path`` is there, OSError when it cannot be written.
    """

    def __init__(self, path: Path, rate: int, channels: int = 2) -> None:
        _make_folder(path.parent)
        if path.exists():
            raise FileExistsError(f"{path} exists; a recording never overwrites another")
        # It gets its name when it is locked and has a header, so repair never meets a file that is being started.
        part = path.with_suffix(".part")
        self._file = os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._wave = wave.open(self._file, "wb")  # noqa: SIM115  closed by close()
        self._wave.setparams((channels, SAMPLE_BYTES, rate, 0, "NONE", "not compressed"))
        self.write(b"")
        part.rename(path)

    def write(self, block: bytes) -> None:
        """Append samples of all channels; the header is right again before this returns. Best half a second or more."""
        self._wave.writeframes(block)
        # What is in our own buffer dies with the process; what the kernel has does not.
        self._file.flush()

    def close(self) -> None:
        """Close and unlock, also when the disk is full."""
        try:
            self._wave.close()
        finally:
            self._file.close()

    def __enter__(self) -> WavFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _make_folder(folder: Path) -> None:
    """Make a folder for our own user alone, and those above it that are missing: `mkdir` makes those for all."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def is_locked(path: Path) -> bool:
    """Whether a living process, this one too, still writes the file."""
    with path.open("rb") as file:
        return not _lock(file.fileno())


def repair(path: Path) -> float:
    """Make the header of a left-over fit its size; return its seconds of audio, 0.0 when there is nothing in it.

    Raises AudioError when it is still being written or is no WAV file of ours.
    """
    with path.open("r+b") as file:
        if not _lock(file.fileno()):
            raise AudioError(f"expected a recording that nobody writes any more, but {path.name} is locked")
        size = os.fstat(file.fileno()).st_size
        if size < HEADER.size:
            return 0.0
        riff, _, kind, fmt, length, code, channels, rate, speed, frame, bits, data, _ = HEADER.unpack(
            file.read(HEADER.size)
        )
        if (
            (riff, kind, fmt, length, code, data) != (b"RIFF", b"WAVE", b"fmt ", 16, 1, b"data")
            or not rate
            or not frame
        ):
            raise AudioError(f"expected a WAV file of 16 bit samples, but {path.name} has another header")
        audio = (size - HEADER.size) // frame * frame
        file.seek(0)
        file.write(HEADER.pack(riff, audio + 36, kind, fmt, 16, 1, channels, rate, speed, frame, bits, data, audio))
        file.truncate(HEADER.size + audio)
        return float(audio / frame / rate)


def _lock(descriptor: int) -> bool:
    """Take the lock until the file is closed; False when another has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
