"""Knows the shape of audio on the socket: linear PCM, 16 bit, mono, little-endian, one frame every 20 ms."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Vonage sends and expects exactly 20 ms in a message; a frame of another size ends the leg (close 1006).
FRAME_SECONDS = 0.02
FRAMES_PER_SECOND = 50
SAMPLE_BYTES = 2
RATES = (8000, 16000, 24000)


class AudioError(ValueError):
    """Audio that cannot be used: says what was expected and what came."""


@dataclass(frozen=True, slots=True)
class Format:
    """One of the socket's formats, named by its ``rate`` in samples per second.

    Raises AudioError for a rate that Vonage does not offer.
    """

    rate: int

    def __post_init__(self) -> None:
        if self.rate not in RATES:
            raise AudioError(f"rate: expected 8000, 16000 or 24000 samples per second, got {self.rate!r}")

    @property
    def frame_samples(self) -> int:
        return self.rate // FRAMES_PER_SECOND

    @property
    def frame_bytes(self) -> int:
        return self.frame_samples * SAMPLE_BYTES

    @property
    def silence(self) -> bytes:
        """One frame of silence."""
        return bytes(self.frame_bytes)

    @property
    def content_type(self) -> str:
        return f"audio/l16;rate={self.rate}"

    @classmethod
    def parse(cls, content_type: object) -> Format:
        """Return the format that a ``content-type`` names; spaces and case do not matter.

        Raises AudioError with what was expected and what came.
        """
        found = re.fullmatch(r"\s*audio/l16\s*;\s*rate\s*=\s*(\d{1,6})\s*", str(content_type), re.IGNORECASE)
        if not found:
            raise AudioError(f"content-type: expected 'audio/l16;rate=16000', got {content_type!r}")
        return cls(int(found[1]))
