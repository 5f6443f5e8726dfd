"""Knows how to change the rate of sound that is there as a whole, without aliasing."""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray


class Resampler:
    """Sound given in blocks, at another rate, with state of a few milliseconds.

    What comes out, taken together, has exactly the length of what went in, and at least one sample.
    It comes out in bursts: for files only, live frames need one that gives a frame for each frame.
    """

    def __init__(self, rate: int, to_rate: int) -> None:
        self._ratio = to_rate / rate
        self._stream = soxr.ResampleStream(rate, to_rate, 1, dtype="float32", quality="HQ") if rate != to_rate else None
        self._heard = 0
        self._given = 0

    def push(self, block: NDArray[np.float32], last: bool = False) -> NDArray[np.float32]:
        """Return what is ready, shape (m,); ``block`` has shape (n,). Nothing may follow the ``last`` one."""
        self._heard += block.size
        ready: NDArray[np.float32] = self._stream.resample_chunk(block, last=last) if self._stream else block
        if last:
            ready = self._fit(ready)
        self._given += ready.size
        return ready

    def _fit(self, ready: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cut or pad the end: soxr rounds 7 samples of 192 kHz to none at 8 kHz, and silence plays no frame."""
        wanted = max(1, round(self._heard * self._ratio)) - self._given if self._heard else 0
        return np.pad(ready[:wanted], (0, max(0, wanted - ready.size)), mode="edge" if ready.size else "constant")


def resample(samples: NDArray[np.float32], rate: int, to_rate: int) -> NDArray[np.float32]:
    """Return ``samples``, shape (n,), at ``to_rate``; rates in samples per second.

    What the new rate cannot hold is removed by more than 100 dB, not folded down.
    """
    return Resampler(rate, to_rate).push(samples, last=True)
