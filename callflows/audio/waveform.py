"""Knows the picture of a sound whose length nobody knows before its end: lowest and highest sample by columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from callflows.audio.pcm import FULL_SCALE

# Samples of one pair at first; twice as many each time when there are too many pairs. At 16 kHz: 2 ms, then more.
WIDTH = 32
MOST_PAIRS = 8192
# What a picture counts from the middle to the edge.
EDGE = 100


class Waveform:
    """Hears sound in blocks and draws it; keeps at most 8,192 pairs, whatever its length."""

    def __init__(self) -> None:
        self._width = WIDTH
        self._rest = np.zeros(0, np.int16)
        self._low = self._high = np.zeros(0, np.int16)

    def hear(self, samples: NDArray[np.int16]) -> None:
        """Add a block of shape (n,)."""
        joined = np.concatenate([self._rest, samples])
        while joined.size >= self._width:
            count = min(joined.size // self._width, MOST_PAIRS - self._low.size)
            rows = joined[: count * self._width].reshape(count, self._width)
            joined = joined[rows.size :]
            self._low = np.concatenate([self._low, rows.min(axis=1)])
            self._high = np.concatenate([self._high, rows.max(axis=1)])
            if self._low.size == MOST_PAIRS:
                self._low, self._high = self._low.reshape(-1, 2).min(axis=1), self._high.reshape(-1, 2).max(axis=1)
                self._width *= 2
        self._rest = joined

    def columns(self, count: int) -> tuple[tuple[int, int], ...]:
        """Return lowest and highest of each column, from -100 to 100; fewer columns where there is less sound."""
        low, high = self._low, self._high
        if self._rest.size:
            low, high = np.append(low, self._rest.min()), np.append(high, self._rest.max())
        if not low.size:
            return ()
        count = min(count, low.size)
        starts = np.arange(count) * low.size // count
        lowest = np.minimum.reduceat(low, starts) * (EDGE / FULL_SCALE)
        highest = np.maximum.reduceat(high, starts) * (EDGE / FULL_SCALE)
        return tuple(zip(np.rint(lowest).astype(int).tolist(), np.rint(highest).astype(int).tolist(), strict=True))
