"""Knows 16 bit samples: how loud they are, how to mix them, and how other numbers become them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from callflows.audio.format import AudioError

FULL_SCALE = 32768


def samples(pcm: bytes | bytearray | memoryview) -> NDArray[np.int16]:
    """Return little-endian L16 as samples of shape (n,), without copying.

    Raises AudioError for an odd number of bytes.
    """
    if len(pcm) % 2:
        raise AudioError(f"expected whole 16 bit samples, got {len(pcm)} bytes")
    return np.frombuffer(pcm, dtype="<i2")


def to_int16(wave: NDArray[np.floating[Any]]) -> NDArray[np.int16]:
    """Return ``wave``, where 1.0 is full scale, as little-endian 16 bit samples of the same shape.

    What is beyond full scale saturates. Raises AudioError for values that are no finite numbers.
    """
    if not np.isfinite(wave).all():
        raise AudioError("expected samples that are finite numbers, got NaN or infinity")
    whole: NDArray[np.int16] = np.clip(np.rint(wave * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype("<i2")
    return whole


def decibels(ratio: float) -> float:
    """Return an amplitude, where 1.0 is full scale, in dBFS; nothing is -inf."""
    return 20 * math.log10(ratio) if ratio > 0 else -math.inf


def level(samples: NDArray[np.int16]) -> float:
    """Return the loudness (RMS) in dBFS: 0 is full scale, silence is -inf.

    ``samples`` has shape (n,), mono. Raises AudioError when it is empty.
    """
    if samples.size == 0:
        raise AudioError("cannot measure the level of no samples")
    # Integers keep the sum exact, and a dot product costs a third of np.mean of squares on a 20 ms frame.
    wide = samples.astype(np.float64)
    return decibels(math.sqrt(float(wide @ wide) / wide.size) / FULL_SCALE)


def mix(frames: Sequence[bytes | memoryview]) -> bytes:
    """Return the sum of several L16 pieces of the same length; a sum beyond full scale saturates.

    Raises AudioError when the lengths differ or there is none.
    """
    if len({len(frame) for frame in frames}) != 1:
        raise AudioError(f"expected frames of one length to mix, got {[len(frame) for frame in frames]}")
    total = np.sum([samples(frame) for frame in frames], axis=0, dtype=np.int32)
    return np.clip(total, -FULL_SCALE, FULL_SCALE - 1).astype("<i2").tobytes()


def peaks(samples: NDArray[np.int16], columns: int) -> NDArray[np.int16]:
    """Return the lowest and the highest sample of each column of a waveform, shape (columns, 2).

    Columns beyond the number of samples repeat their neighbour. Raises AudioError when there are no samples.
    """
    if samples.size == 0 or columns < 1:
        raise AudioError(f"expected samples and at least 1 column, got {samples.size} samples and {columns} columns")
    starts = np.arange(columns) * samples.size // columns
    # reduceat takes one sample where a column is empty, so a file shorter than the picture draws too.
    return np.stack([np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)], axis=1)
