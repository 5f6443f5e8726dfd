"""Knows what is wrong with a sound: clipped, silent, off its middle line, or cancelling itself in mono."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from callflows.audio.pcm import decibels

Samples = NDArray[np.float32]

# Below this a caller hears nothing, in dBFS; and the least value that is given for silence.
SILENT_DB = -60.0
FLOOR_DB = -120.0
# 1 % of full scale: an offset that clicks at both ends of a prompt.
OFFSET = 0.01
# Three equal samples in a row near full scale make a flat top; a few of them are chance.
FLAT_TOP = 0.98
FLAT_TOPS = 10
# Mono at a tenth (-20 dB) of what channels with nothing in common would give: they stand against each other.
CANCELS = 0.1


class Meter:
    """Sums over a sound given in blocks; ``hear`` each block, then ask."""

    def __init__(self, channels: int) -> None:
        self.frames = 0
        self._highest = 0.0
        self._squares = 0.0
        self._sum = 0.0
        self._channel_squares = np.zeros(channels)
        self._clipped = 0

    def hear(self, block: Samples, mono: Samples) -> None:
        """Add a block of shape (n, channels) and what callers will hear of it, shape (n,)."""
        if not mono.size:
            return
        wide = mono.astype(np.float64)
        self.frames += mono.size
        self._highest = max(self._highest, float(np.abs(mono).max()))
        self._squares += float(wide @ wide)
        self._sum += float(wide.sum())
        self._channel_squares += np.einsum("nc,nc->c", block, block, dtype=np.float64)
        self._clipped += _flat_tops(block)

    @property
    def level(self) -> float:
        """RMS in dBFS of what callers will hear."""
        return max(FLOOR_DB, decibels(self._rms))

    @property
    def peak(self) -> float:
        return max(FLOOR_DB, decibels(self._highest))

    @property
    def cancels(self) -> bool:
        """Whether mixing the channels takes away nearly all that is in them."""
        unrelated = math.sqrt(float(self._channel_squares.sum()) / max(1, self.frames)) / self._channel_squares.size
        return decibels(unrelated) > SILENT_DB and self._rms < CANCELS * unrelated

    def notes(self, first_only: bool) -> tuple[str, ...]:
        """Return a sentence for each flaw; ``first_only`` when the first channel stands for all."""
        offset = self._sum / max(1, self.frames)
        found = {
            f"Silent: its loudest sample is at {self.peak:.0f} dBFS.": self.peak < SILENT_DB,
            f"Clipped: {self._clipped:,} samples are cut off at full scale and sound harsh.": self._clipped
            >= FLAT_TOPS,
            f"Off its middle line by {offset:.1%} of full scale (DC offset); it may click.": abs(offset) > OFFSET,
            "Its channels cancel each other in mono (opposite phase); only the first one is used.": first_only,
        }
        return tuple(sentence for sentence, true in found.items() if true)

    @property
    def _rms(self) -> float:
        return math.sqrt(self._squares / max(1, self.frames))


def _flat_tops(block: Samples) -> int:
    """Count samples beyond full scale, and those in the middle of three equal ones near it."""
    size = np.abs(block)
    if float(size.max()) < FLAT_TOP:
        return 0
    flat = (block[1:-1] == block[:-2]) & (block[1:-1] == block[2:]) & (size[1:-1] >= FLAT_TOP)
    return int(np.count_nonzero(flat)) + int(np.count_nonzero(size > 1))
