"""Knows what a sound file is by its content: names and content types of others may be wrong."""

from __future__ import annotations

import math
from pathlib import Path

import soundfile

# Bytes at the start that are enough to tell.
HEAD_BYTES = 16


def kind_of(head: bytes) -> str:
    """Return ``mp3``, ``wav`` or ``ogg``, what Vonage records, by a file's first 16 bytes; empty for anything else."""
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"OggS":
        return "ogg"
    return "mp3" if head[:3] == b"ID3" or _is_mpeg(head) else ""


def _is_mpeg(head: bytes) -> bool:
    """Whether these are the first bytes of an MPEG audio frame: eleven bits set, layer III, a real bit rate."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    return head[1] & 0x06 == 0x02 and head[1] & 0x18 != 0x08 and head[2] >> 4 not in (0, 15) and head[2] & 0x0C != 0x0C


def seconds_of(path: Path) -> float | None:
    """Return the length of a sound file, by its header; None where that cannot be told."""
    try:
        found = soundfile.info(str(path))
    except (soundfile.LibsndfileError, TypeError, ValueError):
        return None
    # A length of 2^62 and more stands for "not known".
    seconds = found.frames / found.samplerate if found.samplerate and found.frames < 2**62 else math.nan
    return seconds if math.isfinite(seconds) and seconds > 0 else None
