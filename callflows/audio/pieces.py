"""Knows how to show pieces of a file, and bytes of our own before and between them, as one file."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import BinaryIO

# Bytes read at a time, whatever the decoder asks for.
BLOCK = 1 << 20

# Bytes of our own, or where a piece of the file starts and stops.
Piece = bytes | tuple[int, int]


def joined(file: BinaryIO, pieces: Sequence[Piece]) -> BinaryIO:
    """Return ``pieces`` of ``file``, seekable, as one file to read."""
    return io.BufferedReader(_Joined(file, pieces), BLOCK)


class _Joined(io.RawIOBase):
    def __init__(self, file: BinaryIO, pieces: Sequence[Piece]) -> None:
        super().__init__()
        self._file, self._at = file, 0
        # Each piece with where it begins and ends in what is shown.
        self._pieces: list[tuple[int, int, Piece]] = []
        self._size = 0
        for piece in pieces:
            length = len(piece) if isinstance(piece, bytes) else piece[1] - piece[0]
            self._pieces.append((self._size, self._size + length, piece))
            self._size += length

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, target: memoryview, /) -> int:  # type: ignore[override]  # it is one, whatever was given
        """Read from one piece at a time: who wants more asks again."""
        for start, stop, piece in self._pieces:
            if start <= self._at < stop:
                count = min(len(target), stop - self._at)
                block = self._block(piece, self._at - start, count)
                target[: len(block)] = block
                self._at += len(block)
                return len(block)
        return 0

    def _block(self, piece: Piece, at: int, count: int) -> bytes:
        if isinstance(piece, bytes):
            return piece[at : at + count]
        self._file.seek(piece[0] + at)
        return self._file.read(count)
