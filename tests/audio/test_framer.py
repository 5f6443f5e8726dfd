"""Audio leaves in whole frames, and all of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflows.audio.format import RATES, Format
from callflows.audio.framer import frames


@given(pcm=st.binary(max_size=5000), rate=st.sampled_from(RATES))
def test_every_frame_is_whole_and_nothing_is_lost(pcm: bytes, rate: int) -> None:
    fmt = Format(rate)
    cut = [bytes(frame) for frame in frames(pcm, fmt)]
    assert {len(frame) for frame in cut} <= {fmt.frame_bytes}
    joined = b"".join(cut)
    assert joined[: len(pcm)] == pcm
    assert joined[len(pcm) :] == bytes(-len(pcm) % fmt.frame_bytes)


def test_no_audio_is_no_frame() -> None:
    assert list(frames(b"", Format(8000))) == []


@pytest.mark.parametrize("kind", [bytes, memoryview])
def test_seven_samples_are_one_padded_frame(kind: type[bytes]) -> None:
    (frame,) = frames(kind(b"\1\2" * 7), Format(16000))
    assert bytes(frame) == b"\1\2" * 7 + bytes(640 - 14)


def test_whole_frames_are_not_copied() -> None:
    pcm = bytearray(640)
    (frame,) = frames(memoryview(pcm), Format(16000))
    pcm[0] = 9
    assert frame[0] == 9
