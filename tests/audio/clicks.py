"""Frames that can be told apart, and where they stand in a recording."""

from __future__ import annotations

import numpy as np

from callflows.audio.format import Format

FMT = Format(8000)
FRAME = 0.02


def frame(number: int) -> bytes:
    """A frame with a click that tells which one it is; 0 is silence."""
    click = np.zeros(FMT.frame_samples, "<i2")
    click[0] = number
    return click.tobytes()


def clicks(blocks: list[bytes], channel: int) -> dict[int, int]:
    """Return the frame number of each click in a channel."""
    sound = np.frombuffer(b"".join(blocks), "<i2").reshape(-1, 2)[:, channel]
    assert sound.size % FMT.frame_samples == 0
    return {int(sound[at]): at // FMT.frame_samples for at in sound.nonzero()[0].tolist()}
