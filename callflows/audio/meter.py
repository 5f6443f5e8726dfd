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
# Mono at half (-6 dB) of it: much is lost, and callers should be asked whether they hear it.
WEAKENS = 0.5


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
        # Without dot products: BLAS would start threads of its own for them, and cost ten times as much on a busy core.
        self.frames += mono.size
        self._highest = max(self._highest, float(mono.max()), -float(mono.min()))
        self._squares += _squares(mono)
        self._sum += float(mono.sum(dtype=np.float64))
        self._channel_squares += [_squares(channel) for channel in block.T]
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
        return decibels(self._unrelated) > SILENT_DB and self._rms < CANCELS * self._unrelated

    def notes(self, first_only: bool) -> tuple[str, ...]:
        """Return a sentence for each flaw; ``first_only`` when the first channel stands for all."""
        offset = self._sum / max(1, self.frames)
        found = {
            f"Silent: its loudest sample is at {self.peak:.0f} dBFS.": self.peak < SILENT_DB,
            f"Clipped: {self._clipped:,} samples are cut off at full scale and sound harsh.": self._clipped
            >= FLAT_TOPS,
            f"Off its middle line by {offset:.1%} of full scale (DC offset); it may click.": abs(offset) > OFFSET,
            "Its channels cancel each other in mono (opposite phase); only the first one is used.": first_only,
            f"Its channels weaken each other in mono by {self._lost:.0f} dB (partly opposite phase): "
            "listen to it, or upload one channel.": not first_only and self._weakens,
        }
        return tuple(sentence for sentence, true in found.items() if true)

    @property
    def _unrelated(self) -> float:
        """RMS that mono would have of channels that have nothing in common."""
        return math.sqrt(float(self._channel_squares.sum()) / max(1, self.frames)) / self._channel_squares.size

    @property
    def _weakens(self) -> bool:
        return decibels(self._rms) > SILENT_DB and self._rms < WEAKENS * self._unrelated

    @property
    def _lost(self) -> float:
        return decibels(self._unrelated) - decibels(self._rms) if self._weakens else 0.0

    @property
    def _rms(self) -> float:
        return math.sqrt(self._squares / max(1, self.frames))


def _squares(wave: Samples) -> float:
    return float(np.square(wave).sum(dtype=np.float64))


def _flat_tops(block: Samples) -> int:
    """Count samples beyond full scale, and those in the middle of three equal ones near it."""
    if float(block.max()) < FLAT_TOP and float(block.min()) > -FLAT_TOP:
        return 0
    size = np.abs(block)
    flat = (block[1:-1] == block[:-2]) & (block[1:-1] == block[2:]) & (size[1:-1] >= FLAT_TOP)
    return int(np.count_nonzero(flat)) + int(np.count_nonzero(size > 1))
